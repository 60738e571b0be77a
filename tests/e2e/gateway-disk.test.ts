/** A gateway whose disk is full: it hears on; when it is to send it ends with a sentence, silent, and goes on with the next start. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { encodeKiss } from "@airlift/gateway/links/kiss";
import { toHex } from "@airlift/protocol/lib/bytes";
import { encodeFrame } from "@airlift/protocol/zmesh/frame";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { NETWORK_KEY, releaseOf, ScriptedServer } from "./mesh-stage.ts";

const LAUNCHER = join(import.meta.dirname, "../../packages/cli/bin/airlift.js");
const BAND = "868.0-868.6";
const LEDGER = `ledger-${BAND}`;
const SENTENCE = /^airlift: what has to be kept in \S+ cannot be: ENOSPC: [^\n]+ \(DISK\)\n$/;

const folder = mkdtempSync(join(tmpdir(), "airlift-disk-"));
const full = join(folder, "full");
/** As long as there is a file `full` the disk takes no file whose path has in it what is in there. */
const FILLER = `data:text/javascript,${encodeURIComponent(`
  import fs from "node:fs";
  import { syncBuiltinESMExports } from "node:module";
  const open = fs.openSync;
  fs.openSync = (path, ...rest) => {
    if (fs.existsSync(${JSON.stringify(full)}) && String(path).includes(fs.readFileSync(${JSON.stringify(full)}, "utf8")))
      throw Object.assign(new Error("ENOSPC: no space left on device, open"), { code: "ENOSPC" });
    return open(path, ...rest);
  };
  syncBuiltinESMExports();
`)}`;

let server: ScriptedServer;
let serverUrl = "";
const modem = createServer((socket) => {
  modemSocket = socket;
  socket.on("data", (bytes) => {
    sentBytes += bytes.length;
  });
  socket.on("error", () => {});
});
let sentBytes = 0;
let modemSocket: Socket | undefined;
before(async () => {
  modem.listen(0, "127.0.0.1");
  await once(modem, "listening");
});
beforeEach(async () => {
  rmSync(full, { force: true });
  server = new ScriptedServer();
  serverUrl = await server.listen();
});
afterEach(() => server.close());
after(() => {
  modem.close();
  rmSync(folder, { recursive: true });
});

function startGateway(dataDir: string, logLevel = "silent") {
  const { port } = modem.address() as AddressInfo;
  const place = ["--server", serverUrl, "--id", "mast", "--data", join(folder, dataDir), "--band", BAND];
  const link = ["--link", `kiss+tcp://127.0.0.1:${port}`, "--network-key", toHex(NETWORK_KEY)];
  const child = spawn(process.execPath, [LAUNCHER, "gateway", ...place, ...link, "--log-level", logLevel], {
    stdio: ["ignore", "pipe", "pipe"],
    // One that does not end by itself fails its test.
    timeout: 100_000,
    killSignal: "SIGKILL",
    env: { ...process.env, NODE_OPTIONS: `--import=${FILLER}` },
  });
  const told = text(child.stderr);
  const isTold = once(child.stderr, "data");
  return {
    isOn: once(child.stdout, "data"),
    isTold,
    stop: () => child.kill("SIGTERM"),
    ended: once(child, "close").then(async ([code, signal]) => ({ code, signal, told: await told })),
  };
}

test("one that could not keep what it is about to send ends without having sent it; the next one sends it", async () => {
  const first = startGateway("sending");
  await first.isOn;
  writeFileSync(full, LEDGER);
  const schedule = releaseOf("1.1.0", 1_000).image.scheduleAt(Date.now() + 3_600_000);
  const window = { fromMs: 0, untilMs: Date.now() + 600_000 };
  const commands = [server.seal({ kind: "schedule", schedule }, 1)];
  server.order({ kind: "command", commandId: "c1", band: BAND, rateBps: 50_000, ttl: 0, commands, window });
  const { code, signal, told } = await first.ended;
  assert.deepEqual([code, signal], [1, null]);
  assert.match(told, SENTENCE);
  assert.equal(sentBytes, 0);
  rmSync(full);
  const next = startGateway("sending");
  await server.until(() => server.reports.find((report) => report.kind === "command" && report.sentCount === 1));
  next.stop();
  assert.equal((await next.ended).code, 0);
});

test("one that is told to end then, and one that starts then, say so and end", async () => {
  const running = startGateway("ending");
  await running.isOn;
  writeFileSync(full, LEDGER);
  running.stop();
  const [stopped, started] = await Promise.all([running.ended, startGateway("starting").ended]);
  for (const { code, told } of [stopped, started]) {
    assert.equal(code, 1);
    assert.match(told, SENTENCE);
  }
});

test("one that cannot keep what devices say hears on, and tells the server what they say when there is room", async () => {
  const hearing = startGateway("hearing", "error");
  await hearing.isOn;
  const name = new Uint8Array(6).fill(0xfe);
  const say = (fseq: number) => {
    const frame = { kind: "event", ttl: 0, isProxied: false, name, fseq, payload: new Uint8Array(24) } as const;
    modemSocket?.write(encodeKiss(encodeFrame(frame, { networkKey: NETWORK_KEY, crypto: zmeshCrypto })));
  };
  writeFileSync(full, join(folder, "hearing"));
  say(1);
  await hearing.isTold;
  rmSync(full);
  say(2);
  await server.until(() => server.reports.find((report) => report.kind === "event" && report.fseq === 2));
  hearing.stop();
  const { code, told } = await hearing.ended;
  assert.equal(code, 0);
  assert.match(told, /"what has to be kept cannot be: is the disk full\?"\}\n$/);
});
