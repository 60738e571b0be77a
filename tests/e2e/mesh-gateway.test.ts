/** A gateway and its devices over real links, under a scripted server. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Gateway, type GatewayOptions } from "@airlift/gateway/edge/gateway";
import { WIRED_BAND } from "@airlift/gateway/edge/wired-band";
import { planLink } from "@airlift/gateway/links/open-link";
import type { RadioLink } from "@airlift/gateway/links/radio-link";
import type { EndReport } from "@airlift/protocol/api/gateway";
import { equalBytes, fromHex } from "@airlift/protocol/lib/bytes";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import { decodeFrame, encodeFrame, FRAME_OVERHEAD_BYTES } from "@airlift/protocol/zmesh/frame";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { countViolations, type OnAir } from "@airlift/sim/mesh/sliding-window";
import { seeded } from "@airlift/sim/world";
import { pino } from "pino";
import { NETWORK_KEY, releaseOf, ScriptedServer, StageDevice } from "./mesh-stage.ts";

const cli = join(import.meta.dirname, "../../packages/cli/src/main.ts");
const log = pino({ level: process.env["MESH_LOG"] ?? "silent" }, pino.destination({ dest: 2, sync: true }));
let nextPort = 42_000 + (process.pid % 10_000);
assert.ok(networkInterfaces()["lo"] !== undefined || process.platform !== "linux");
const loopback = networkInterfaces()["lo"] ? "?interface=lo&hops=0" : "?hops=0";

/** Kinds of frames that a gateway never sends. */
const DEVICES_FRAMES = { interest: 1, event: 3 } as const;

interface Setting {
  readonly server: ScriptedServer;
  readonly serverUrl: string;
  readonly folder: string;
  readonly devices: readonly StageDevice[];
  open(): Promise<RadioLink>;
  gateway(changes?: Partial<GatewayOptions>): Promise<Gateway>;
}

async function onStage(
  options: { readonly deviceCount: number; readonly loss?: number; readonly seed?: number; readonly pulls?: boolean },
  play: (setting: Setting) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "airlift-mesh-"));
  const server = new ScriptedServer();
  const serverUrl = await server.listen();
  const uri = `udp://239.195.8.1:${nextPort++}${loopback}`;
  const open = () => planLink(uri).open();
  const random = seeded(options.seed ?? 1);
  const gateways: Gateway[] = [];
  const devices = Array.from(
    { length: options.deviceCount },
    (_, number) =>
      new StageDevice({
        number,
        folder,
        open,
        random,
        onStatus: () => server.nudge(),
        ...(options.loss !== undefined && { loss: options.loss }),
        ...(options.pulls && { pulls: true }),
      }),
  );
  try {
    for (const device of devices) {
      server.know(device.channel);
      await device.start();
    }
    const gateway: Setting["gateway"] = async (changes = {}) => {
      const made = Gateway.open({
        id: "g1",
        serverUrl,
        // Opened only where it is used: what nobody closes keeps the process alive.
        links: changes.links ?? [await open()],
        dataDir: join(folder, "gateway"),
        networkKey: NETWORK_KEY,
        band: WIRED_BAND,
        version: "1",
        log,
        ...changes,
      });
      gateways.push(made);
      await made.start();
      return made;
    };
    await play({ server, serverUrl, folder, devices, open, gateway });
  } finally {
    await Promise.all(devices.map((device) => device.close()));
    for (const gateway of gateways) await gateway.close().catch(() => undefined);
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const endOf = (server: ScriptedServer, sessionId: string): EndReport | undefined =>
  server.reports.find(
    (report): report is EndReport => report.kind === "end" && report.progress.sessionId === sessionId,
  );

test("one device receives a signed image over multicast, installs it and says so", { timeout: 290_000 }, async () => {
  await onStage({ deviceCount: 1 }, async ({ server, devices, gateway }) => {
    await gateway();
    server.transmit("s1", releaseOf("1.1.0", 10_000), { deviceCount: 1 });
    const end = await server.until(() => endOf(server, "s1"));
    assert.equal(end.outcome, "finished");
    const confirmed = await server.until(() =>
      server.events.find(({ status }) => status.detail === "confirmed" || status.result === "success"),
    );
    assert.deepEqual(confirmed.status.version, [1, 1, 0]);
    assert.equal(devices[0]?.version, "1.1.0");
    assert.ok(server.reports.some((report) => report.kind === "order" && report.outcome === "taken"));
  });
});

test("fifty receivers with sockets of their own at 5 % loss: all complete, with at most 1.12 × K packets", {
  timeout: 290_000,
}, async () => {
  await onStage({ deviceCount: 50, loss: 0.05, seed: 7, pulls: true }, async ({ server, devices, gateway }) => {
    await gateway();
    const release = releaseOf("2.0.0", 24_000);
    server.transmit("s1", release, { deviceCount: 50, gapMs: 3 });
    const end = await server.until(() => endOf(server, "s1"));
    assert.equal(end.outcome, "finished");
    const { controlCount, dataCount, repairCount } = end.progress.tallies[1] ?? assert.fail();
    const share = (controlCount + dataCount + repairCount) / release.image.dataCount;
    await server.until(
      () =>
        new Set(server.events.filter(({ status }) => status.result === "success").map(({ name }) => name)).size === 50,
    );
    assert.deepEqual(new Set(devices.map(({ version }) => version)), new Set(["2.0.0"]));
    assert.ok(share <= 1.12, `${share} × K`);
  });
});

test("a server that is away for the whole broadcast: the gateway finishes it, and tells afterwards", {
  timeout: 290_000,
}, async () => {
  await onStage({ deviceCount: 4, loss: 0.1, seed: 3, pulls: true }, async ({ server, devices, gateway }) => {
    const running = await gateway({ answerPatienceMs: 100 });
    server.transmit("s1", releaseOf("1.1.0", 10_000), { deviceCount: 4, loss: 0.1 });
    await server.until(() => server.reports.some(({ kind }) => kind === "order"));
    await server.until(
      () => server.state?.sessions[0]?.state === "waiting" || server.state?.sessions[0]?.state === "streaming",
    );
    server.goAway();
    while (running.state().sessions.length > 0 || devices.some(({ version }) => version !== "1.1.0"))
      await new Promise((resolve) => setTimeout(resolve, 50));
    server.isAway = false;
    const end = await server.until(() => endOf(server, "s1"));
    assert.equal(end.outcome, "finished");
    await server.until(
      () =>
        new Set(server.events.filter(({ status }) => status.result === "success").map(({ name }) => name)).size === 4,
    );
    assert.equal(new Set(server.reports.map(({ number }) => number)).size, server.reports.length);
  });
});

test("cancel ends the air: behind its first frame nothing of the broadcast follows", { timeout: 290_000 }, async () => {
  await onStage({ deviceCount: 1 }, async ({ server, devices, gateway, open }) => {
    await gateway();
    const { updateAtMs, content } =
      server.transmit("s1", releaseOf("1.1.0", 100_000), { deviceCount: 1, gapMs: 5 }).parts[1] ?? assert.fail();
    const witness = await open();
    let [heardCount, farewellCount, lateCount] = [0, 0, 0];
    const { promise: isStreaming, resolve: streams } = Promise.withResolvers<void>();
    let farewell: Uint8Array | undefined;
    witness.listen((bytes) => {
      const { kind, payload } = decodeFrame(bytes, { networkKey: NETWORK_KEY, crypto: zmeshCrypto });
      if (kind === "command" && farewell !== undefined && equalBytes(payload, farewell)) farewellCount += 1;
      if (kind !== "content") return;
      heardCount += 1;
      if (farewellCount > 0) lateCount += 1;
      if (heardCount === 200) streams();
    });
    await isStreaming;
    const name = new Uint8Array(Buffer.from(content.name, "hex"));
    const cancel = server.seal({ kind: "cancel", cancel: { updateAtMs, name } });
    farewell = fromHex(cancel.payload);
    const untilMs = Date.now() + 600_000;
    server.order({ kind: "cancel", sessionId: "s1", rateBps: 500_000, ttl: 0, untilMs, commands: [cancel] });
    const end = await server.until(() => endOf(server, "s1"));
    await server.until(() => server.reports.find(({ kind }) => kind === "command"));
    assert.equal(end.outcome, "cancelled");
    await server.until(() => server.events.some(({ status }) => status.result === "cancelled"));
    // Multicast keeps the order of one sender: whatever was on its way before is here.
    while (farewellCount < 2) await new Promise(setImmediate);
    assert.equal(lateCount, 0);
    assert.equal(devices[0]?.version, "1.0.0");
    await witness.close();
  });
});

test("a wrong network key is silence, and both ends say why", { timeout: 290_000 }, async () => {
  await onStage({ deviceCount: 1 }, async ({ server, devices, gateway, open }) => {
    await gateway({ networkKey: new Uint8Array(16) });
    const witness = await open();
    const device = devices[0] ?? assert.fail();
    const name = new Uint8Array(6).fill(0xfe);
    const frame = { kind: "event", ttl: 0, isProxied: false, name, payload: new Uint8Array(24) } as const;
    for (let fseq = 0; device.foreign === undefined || server.state?.links[0]?.isMostlyForeign !== true; fseq += 1) {
      for (const networkKey of [NETWORK_KEY, new Uint8Array(16)])
        witness.send(encodeFrame({ ...frame, fseq }, { networkKey, crypto: zmeshCrypto }));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.ok(device.foreign.foreignCount >= 8);
    assert.ok((server.state?.links[0]?.foreignCount ?? 0) >= 8);
    await witness.close();
  });
});

test("a second gateway with the same folder refuses", { timeout: 290_000 }, async () => {
  await onStage({ deviceCount: 0 }, async ({ gateway }) => {
    await gateway();
    await assert.rejects(gateway(), (error) => error instanceof EnvironmentError && error.code === "LOCKED");
  });
});

test("commands that a gateway took and could not send yet go out after its restart, and are reported once", {
  timeout: 290_000,
}, async () => {
  await onStage({ deviceCount: 1 }, async ({ server, devices, gateway, open }) => {
    // Without a link there is nobody to hear.
    const mute = await gateway({ links: [] });
    const { image } = releaseOf("1.1.0", 1_000);
    const schedule = image.scheduleAt(Date.now() + 3_600_000);
    const window = { fromMs: 0, untilMs: Date.now() + 600_000 };
    const commands = [server.seal({ kind: "schedule", schedule })];
    server.order({
      kind: "command",
      commandId: "c1",
      band: WIRED_BAND.name,
      rateBps: 500_000,
      ttl: 0,
      commands,
      window,
    });
    await server.until(() => server.reports.some(({ kind }) => kind === "order"));
    await mute.close();
    await gateway({ links: [await open()] });
    await server.until(() => server.reports.find((report) => report.kind === "command" && report.sentCount === 1));
    await server.until(() => devices[0]?.state === "waiting");
    assert.equal(server.reports.filter(({ kind }) => kind === "command").length, 1);
  });
});

test("a cancel that a gateway took and could not say yet reaches the devices after its restart", {
  timeout: 290_000,
}, async () => {
  await onStage({ deviceCount: 1 }, async ({ server, devices, gateway, folder, open }) => {
    const release = releaseOf("1.1.0", 1_000);
    const updateAtMs = Date.now() + 3_600_000;
    const first = await gateway();
    const window = { fromMs: 0, untilMs: Date.now() + 600_000 };
    const common = { kind: "command" as const, band: WIRED_BAND.name, rateBps: 500_000, ttl: 0, window };
    const commands = [server.seal({ kind: "schedule", schedule: release.image.scheduleAt(updateAtMs) })];
    server.order({ ...common, commandId: "c1", commands });
    await server.until(() => devices[0]?.state === "waiting");
    await server.until(() => server.reports.some(({ kind }) => kind === "command"));
    await first.close();
    const mute = await gateway({ links: [] });
    server.transmit("s1", release, { deviceCount: 1 });
    const cancel = server.seal({ kind: "cancel", cancel: { updateAtMs, name: release.image.name } });
    const { untilMs } = window;
    server.order({ kind: "cancel", sessionId: "s1", rateBps: 500_000, ttl: 0, commands: [cancel], untilMs });
    await server.until(() => endOf(server, "s1")?.outcome === "cancelled");
    await server.until(() => server.reports.filter(({ kind }) => kind === "order").length === 3);
    assert.deepEqual(await readdir(join(folder, "gateway", "sessions")), []);
    await mute.close();
    await gateway({ links: [await open()] });
    await server.until(() => server.events.some(({ status }) => status.result === "cancelled"));
    await server.until(() => server.reports.some((report) => report.kind === "command" && report.commandId === "s1"));
    assert.deepEqual(await readdir(join(folder, "gateway", "commands")), []);
  });
});

test("a session that is on disk while its order is not noted as taken is taken, not refused", {
  timeout: 290_000,
}, async () => {
  await onStage({ deviceCount: 0 }, async ({ server, folder, gateway }) => {
    const noted = join(folder, "gateway", "gateway.json");
    const first = await gateway();
    const before = await readFile(noted);
    server.transmit("s1", releaseOf("1.1.0", 1_000), { leadMs: 3_600_000 });
    await server.until(() => server.reports.some(({ kind }) => kind === "order"));
    await first.close();
    await writeFile(noted, before);
    await gateway();
    const orders = await server.until(() => {
      const told = server.reports.filter((report) => report.kind === "order");
      return told.length === 2 ? told : undefined;
    });
    assert.deepEqual(
      orders.map(({ outcome }) => outcome),
      ["taken", "taken"],
    );
  });
});

test("a gateway that the server does not want ends at once with one line that says what to do; a port that is missing is told", {
  timeout: 290_000,
}, async () => {
  const server = new ScriptedServer();
  const url = await server.listen();
  const folder = await mkdtemp(join(tmpdir(), "airlift-mesh-"));
  try {
    for (const [refusal, hint] of [
      [401, /^airlift: http:\S+ does not take the token: give the one that "airlift gateway add g1" printed/m],
      [404, /^airlift: http:\S+ knows no gateway g1: "airlift gateway add g1 --cell CELL"/m],
    ] as const) {
      server.refusal = refusal;
      const where = ["--server", url, "--id", "g1", "--link", `kiss:${join(folder, "no-such-port")}`];
      const key = Buffer.from(NETWORK_KEY).toString("hex");
      const args = [cli, "gateway", ...where, "--data", join(folder, "gateway"), "--network-key", key];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
      const said: Buffer[] = [];
      child.stderr.on("data", (piece: Buffer) => said.push(piece));
      const [code] = await once(child, "close");
      const text = Buffer.concat(said).toString();
      assert.equal(code, 2, text);
      assert.match(text, hint);
      assert.match(text, /no-such-port.*the link is not there: looking for it again and again/);
    }
  } finally {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
});

test("a gateway that is killed again and again goes on, and no window of the law ever holds too much", {
  timeout: 290_000,
}, async () => {
  await onStage({ deviceCount: 5, loss: 0.05, seed: 11, pulls: true }, async (setting) => {
    const { server, serverUrl, folder, devices, open } = setting;
    const limit = { windowMs: 4_000, budgetMs: 500, offMs: 0 };
    const regions = join(folder, "regions.json");
    const band = "868.0-868.6/test";
    const subBand = { name: band, fromKhz: 868_000, toKhz: 868_600, powerMw: 1, ...limit };
    await writeFile(regions, JSON.stringify({ source: "a test", subBands: [subBand] }));
    const witness = await open();
    const onAir: OnAir[] = [];
    let nextKillAt = 150;
    let killCount = 0;
    let child: ChildProcess | undefined;
    const random = seeded(5);
    witness.listen((frame) => {
      const kind = (frame[7] ?? 0) & 0x0f;
      if (kind === DEVICES_FRAMES.interest || kind === DEVICES_FRAMES.event) return;
      onAir.push({ startMs: performance.now(), airtimeMs: airtimeMs(frame.length - FRAME_OVERHEAD_BYTES, 500_000) });
      if (onAir.length < nextKillAt || killCount === 4) return;
      killCount += 1;
      nextKillAt = onAir.length + 20 + Math.floor(random() * 150);
      child?.kill("SIGKILL");
    });
    const uri = witness.uri;
    let isOver = false;
    const supervise = async (): Promise<void> => {
      while (!isOver) {
        const key = Buffer.from(NETWORK_KEY).toString("hex");
        const args = [
          "gateway",
          "--server",
          serverUrl,
          "--id",
          "g1",
          "--link",
          uri,
          "--data",
          join(folder, "g"),
          "--network-key",
          key,
        ];
        child = spawn(
          process.execPath,
          [cli, ...args, "--band", band, "--regions", regions, "--log-level", process.env["MESH_LOG"] ?? "warn"],
          { stdio: ["ignore", "ignore", "inherit"] },
        );
        await once(child, "exit");
      }
    };
    const supervised = supervise();
    server.transmit("s1", releaseOf("1.1.0", 20_000), { deviceCount: 5, band });
    const end = await server.until(() => endOf(server, "s1"));
    await server.until(
      () =>
        new Set(server.events.filter(({ status }) => status.result === "success").map(({ name }) => name)).size === 5,
    );
    isOver = true;
    child?.kill("SIGTERM");
    await supervised;
    await witness.close();
    assert.equal(end.outcome, "finished");
    assert.equal(killCount, 4);
    assert.deepEqual(new Set(devices.map(({ version }) => version)), new Set(["1.1.0"]));
    // A frame is heard a little after it was sent: by that much a window may seem fuller, which the reserve of 10 % covers.
    assert.equal(countViolations(onAir, limit), 0);
  });
});
