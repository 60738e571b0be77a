/** Child process: sessions as they lie in memory, and over a restart. `count` of them are made from one by renaming it. */
import { randomBytes } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { DtlsEndpoint } from "@airlift/protocol/dtls/endpoint";
import type { DtlsSnapshot, SessionSnapshot } from "@airlift/protocol/dtls/snapshot";
import { dtlsCrypto } from "@airlift/runtime/dtls-crypto";
import { type UdpPeer, udpPeer } from "@airlift/runtime/udp";

const count = Number(process.argv[2] ?? 100_000);
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const hex = (length: number): string => randomBytes(length).toString("hex");
const sessionOf = (n: number): SessionSnapshot<UdpPeer> => ({
  key: `dtls ${hex(8)}`,
  side: "server",
  address: udpPeer(`10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`, 1024 + (n % 60_000)),
  identity: { kind: "psk", name: `device-${n}` },
  suite: "TLS_PSK_WITH_AES_128_CCM_8",
  hasExtendedMasterSecret: true,
  sessionId: hex(16),
  master: hex(48),
  keys: hex(40),
  ownConnectionId: hex(6),
  peerConnectionId: "",
  writeSequence: 100,
  window: [99, 0xffffffff, 0xffffffff],
  silentMs: 1_000,
});
const newEndpoint = () =>
  new DtlsEndpoint<UdpPeer>(dtlsCrypto, { server: { hasPsk: true, clientKinds: [], anchors: [] } });

function measureMemory(): { heapBytesPerSession: number; rssMb: number } {
  collectGarbage();
  const before = process.memoryUsage();
  const endpoint = newEndpoint();
  for (let n = 0; n < count; n += 1_000)
    endpoint.importSessions({ version: 1, sessions: Array.from({ length: 1_000 }, (_, i) => sessionOf(n + i)) }, 0);
  collectGarbage();
  const after = process.memoryUsage();
  if (endpoint.load.sessions !== count) throw new Error(`only ${endpoint.load.sessions} sessions`);
  const used = after.heapUsed + after.external - before.heapUsed - before.external;
  return { heapBytesPerSession: used / count, rssMb: after.rss / 1e6 };
}

function measureRestart(): { restartMs: number; snapshotMb: number } {
  const old = newEndpoint();
  old.importSessions({ version: 1, sessions: Array.from({ length: 10_000 }, (_, n) => sessionOf(n)) }, 0);
  const startMs = performance.now();
  const text = JSON.stringify(old.exportSessions(1_000));
  const fresh = newEndpoint();
  fresh.importSessions(JSON.parse(text) as DtlsSnapshot<UdpPeer>, 0);
  const restartMs = performance.now() - startMs;
  if (fresh.load.sessions !== 10_000) throw new Error("sessions were lost");
  return { restartMs, snapshotMb: text.length / 1e6 };
}

process.send?.({ ...measureMemory(), ...measureRestart() });
process.disconnect?.();
