/** Mesh devices that ask, are killed, or are given what is not the maker's; over the simulated air or real multicast. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Gateway } from "@airlift/gateway/edge/gateway";
import { WIRED_BAND } from "@airlift/gateway/edge/wired-band";
import { planLink } from "@airlift/gateway/links/open-link";
import type { RadioLink } from "@airlift/gateway/links/radio-link";
import { SimulatedAir } from "@airlift/gateway/links/simulated-air";
import { fromHex, toHex } from "@airlift/protocol/lib/bytes";
import type { DeviceCommand } from "@airlift/protocol/zmesh/command";
import { openStatus } from "@airlift/protocol/zmesh/command-channel";
import { decodeFrame, encodeFrame } from "@airlift/protocol/zmesh/frame";
import { generateSigningKey } from "@airlift/runtime/crypto";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { pino } from "pino";
import { channelOf, GROUP, NETWORK_KEY, releaseOf, ScriptedServer, StageDevice, TRUST_PEM } from "./mesh-stage.ts";

const log = pino({ level: "silent" });
const NEVER_SLOW = { timeout: 280_000 };

interface Setting {
  readonly server: ScriptedServer;
  readonly folder: string;
  open(): Promise<RadioLink>;
  /** With what it asks for by itself. */
  device(number: number, pulls: boolean): Promise<StageDevice>;
}

async function onStage(open: () => Promise<RadioLink>, play: (setting: Setting) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "airlift-mesh-"));
  const server = new ScriptedServer();
  const gateway = Gateway.open({
    id: "g1",
    serverUrl: await server.listen(),
    links: [await open()],
    dataDir: join(folder, "gateway"),
    networkKey: NETWORK_KEY,
    band: WIRED_BAND,
    version: "1",
    log,
  });
  const devices: StageDevice[] = [];
  try {
    await gateway.start();
    const device = async (number: number, pulls: boolean) => {
      const made = new StageDevice({ number, folder, open, pulls, onStatus: () => server.nudge() });
      devices.push(made);
      server.know(made.channel);
      await made.start();
      return made;
    };
    await play({ server, folder, open, device });
  } finally {
    await Promise.all(devices.map((device) => device.close()));
    await gateway.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function onAir(play: (setting: Setting) => Promise<void>): Promise<void> {
  const air = new SimulatedAir();
  await onStage(async () => air.join(), play);
}

const succeeded = (server: ScriptedServer, isOurs: (event: { readonly name: string }) => boolean = () => true) =>
  server.events.find((event) => event.status.result === "success" && isOurs(event));

test(
  "a content that is held is there for a device that asks, at any time and without a broadcast",
  NEVER_SLOW,
  async () => {
    await onAir(async ({ server, device }) => {
      const asking = await device(1, true);
      const waiting = await device(2, false);
      server.hold("h1", releaseOf("1.1.0", 5_000));
      const askingName = toHex(asking.channel.name);
      const { status } = await server.until(() => succeeded(server, ({ name }) => name === askingName));
      assert.deepEqual(status.version, [1, 1, 0]);
      assert.equal(asking.version, "1.1.0");
      // Whoever only listens took the packets that were on air anyway, and asked for none.
      assert.ok(["1.0.0", "1.1.0"].includes(waiting.version));
      assert.ok(server.reports.every(({ kind }) => kind !== "progress" && kind !== "end"));
    });
  },
);

test(
  "an image whose manifest somebody else has signed is refused with result 6, and what runs stays",
  NEVER_SLOW,
  async () => {
    await onAir(async ({ server, device }) => {
      const victim = await device(1, false);
      server.transmit("s1", releaseOf("9.9.9", 5_000, 1, generateSigningKey().privatePem), { deviceCount: 1 });
      const { status } = await server.until(() =>
        server.events.find(({ status: { state, result } }) => state === "idle" && result !== "initial"),
      );
      assert.equal(status.result, "unsupportedPackage");
      assert.deepEqual([victim.version, status.version], ["1.0.0", [1, 0, 0]]);
      // The same device takes what its maker signed.
      server.transmit("s2", releaseOf("1.1.0", 5_000), { deviceCount: 1 });
      await server.until(() => succeeded(server));
      assert.equal(victim.version, "1.1.0");
    });
  },
);

test("polled for an image whose manifest it lacks, a device says nothing; polled for the manifest, it does", async () => {
  const folder = await mkdtemp(join(tmpdir(), "airlift-mesh-"));
  const air = new SimulatedAir();
  const [witness, server] = [air.join(), new ScriptedServer()];
  const device = new StageDevice({ number: 1, folder, open: async () => air.join() });
  try {
    await device.start();
    const { channel } = device;
    const lacking: string[] = [];
    const { promise: isAnswered, resolve: answered } = Promise.withResolvers<void>();
    const { image, manifest } = releaseOf("1.1.0", 5_000);
    witness.listen((bytes) => {
      const { kind, fseq, payload } = decodeFrame(bytes, { networkKey: NETWORK_KEY, crypto: zmeshCrypto });
      if (kind !== "event") return;
      const { name, deficit } = openStatus({ ...channel, crypto: zmeshCrypto }, fseq, payload);
      if (deficit > 0) lacking.push(toHex(name));
      if (toHex(name) === toHex(manifest.name)) answered();
    });
    const say = (command: DeviceCommand) => {
      const { name, fseq, payload } = server.seal(command);
      const octets = { name: fromHex(name), payload: fromHex(payload) } as { name: Uint8Array; payload: Uint8Array };
      const frame = { kind: "command", ttl: 0, isProxied: false, fseq, ...octets } as const;
      witness.send(encodeFrame(frame, { networkKey: NETWORK_KEY, crypto: zmeshCrypto }));
    };
    for (const content of [image, manifest])
      say({ kind: "schedule", schedule: content.scheduleAt(Date.now() + 3_600_000) });
    for (const { name } of [image, manifest])
      say({ kind: "poll", poll: { name, lastRepair: 0, slotCount: 1, slotMs: 1, leastDeficit: 1 } });
    await isAnswered;
    assert.deepEqual(lacking, [toHex(manifest.name)]);
  } finally {
    await device.close();
    await rm(folder, { recursive: true, force: true });
  }
});

test("a device process that is killed in the midst of it goes on with what is in its flash", NEVER_SLOW, async () => {
  const uri = `udp://239.195.8.2:${52_000 + (process.pid % 10_000)}?hops=0${networkInterfaces()["lo"] ? "&interface=lo" : ""}`;
  await onStage(
    () => planLink(uri).open(),
    async ({ server, folder, open }) => {
      const witness = await open();
      const release = releaseOf("1.1.0", 30_000);
      const imageName = toHex(release.image.name);
      let [heardCount, killAt] = [0, 250];
      let kill = (): void => {};
      witness.listen((bytes) => {
        const { kind, name } = decodeFrame(bytes, { networkKey: NETWORK_KEY, crypto: zmeshCrypto });
        if (kind !== "content" || toHex(name) !== imageName) return;
        heardCount += 1;
        if (heardCount === killAt) kill();
      });
      const channel = channelOf(1);
      server.know(channel);
      const trust = join(folder, "maker.pub.pem");
      await writeFile(trust, TRUST_PEM);
      const first = startDevice(uri, { channel, trust, folder });
      await first.started;
      kill = () => first.kill("SIGKILL");
      server.transmit("s1", release, { deviceCount: 1, gapMs: 5, leadMs: 3_000 });
      await first.ended;
      await server.until(() => server.reports.find(({ kind }) => kind === "end"));
      const sentCount = heardCount;
      killAt = Number.POSITIVE_INFINITY;
      const second = startDevice(uri, { channel, trust, folder });
      await second.started;
      server.invite("again", release);
      await server.until(() => succeeded(server));
      second.kill("SIGTERM");
      await second.ended;
      await witness.close();
      // What the list of chunks in flash had is not asked for again: it is written after every 64 of them.
      const askedCount = heardCount - sentCount;
      const { dataCount } = release.image;
      assert.ok(askedCount > 0 && askedCount <= dataCount - 128, `${askedCount} of ${dataCount}, killed after 250`);
    },
  );
});

interface DeviceFiles {
  readonly channel: ReturnType<typeof channelOf>;
  readonly trust: string;
  readonly folder: string;
}

/** `airlift mesh device` with all its processes in a group of their own. */
function startDevice(uri: string, { channel, trust, folder }: DeviceFiles) {
  const cli = join(import.meta.dirname, "../../packages/cli/src/main.ts");
  const group = [GROUP.name, GROUP.key, GROUP.iv].map((octets) => toHex(octets)).join(":");
  const identity = ["--device-id", toHex(channel.name), "--key", toHex(channel.key), "--iv", toHex(channel.iv)];
  const network = ["--link", uri, "--network-key", toHex(NETWORK_KEY), "--group", group, "--news-spread", "200"];
  const make = ["--manufacturer", "ACME", "--model", "TH-100", "--trust", trust, "--slots", join(folder, "device")];
  const child = spawn(process.execPath, [cli, "mesh", "device", "--json", "--pull", ...identity, ...network, ...make], {
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  return {
    started: once(child.stdout, "data"),
    ended: once(child, "exit"),
    kill: (signal: NodeJS.Signals) => void process.kill(-(child.pid as number), signal),
  };
}
