/**
 * One campaign for twenty devices that are asked one by one and fifty that hear a broadcast, one of them behind a serial port. The
 * gateway loses power in the middle; all end well, and no window of the law holds more than it allows.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { postOf } from "@airlift/cli/client";
import { drawLabel } from "@airlift/cli/device/mesh-label";
import { planLink } from "@airlift/gateway/links/open-link";
import type { RadioLink } from "@airlift/gateway/links/radio-link";
import { Campaign, CampaignTarget } from "@airlift/protocol/api/campaign";
import { MeshSession } from "@airlift/protocol/api/mesh";
import { Update } from "@airlift/protocol/api/schemas";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import { FRAME_OVERHEAD_BYTES } from "@airlift/protocol/zmesh/frame";
import { countViolations, type OnAir } from "@airlift/sim/mesh/sliding-window";
import { addGateway, airOf, manifestKeyFile, NETWORK_KEY, takeIn } from "./mesh-edge.ts";
import { Stage, until } from "./stage.ts";

const WIRED_COUNT = 20;
const RECEIVER_COUNT = 50;
/** So long that a slow machine, on which a frame is heard late, does not make a window seem fuller than it was. */
const LIMIT = { windowMs: 30_000, budgetMs: 5_000, offMs: 0 };
/** A sub-band of its own, by a table of its own. */
const BAND = "868.0-868.6/test";
const RATE_BPS = 50_000;
const AIR = airOf("239.195.8.20");
/** Kinds of frames that gateways send: contents and commands. */
const OF_GATEWAYS: readonly number[] = [0, 2];
/** Frames after which the gateway's power is cut: the image is on its way. */
const CUT_AFTER_FRAMES = 350;
const MINUTES = 9;

const hasPython = spawnSync("python3", ["-c", "import pty"]).status === 0;

let stage: Stage;
let modem: ChildProcess | undefined;
let witness: RadioLink;
const onAir: OnAir[] = [];
let cutCount = 0;

before(async () => {
  stage = await Stage.open();
  stage.startFleet(WIRED_COUNT, "--endpoint", "wired");
  await stage.untilRegistered(WIRED_COUNT);
  await startModem();
  await startReceivers();
  witness = await planLink(AIR).open();
  witness.listen((frame) => void hear(frame));
  await startGateway();
});
after(async () => {
  await witness?.close();
  await stage.close();
  modem?.stdin?.end();
});

/** Two ends of a serial line, as a modem and a device's radio have one each. */
async function startModem(): Promise<void> {
  if (!hasPython) return;
  const script = join(import.meta.dirname, "../e2e/pty-pair.py");
  const child = spawn("python3", [script, ...portFiles(), "7"], { stdio: ["pipe", "pipe", "inherit"] });
  modem = child;
  await once(createInterface({ input: child.stdout }), "line");
}

const portFiles = (): string[] => ["gateway", "device"].map((end) => join(stage.folder, `serial-of-${end}`));

/** Taken in by their labels. Without pseudo-terminals the last one hears the multicast as all others do. */
async function startReceivers(): Promise<void> {
  const trust = await manifestKeyFile(stage);
  const labels = Array.from({ length: RECEIVER_COUNT }, (_, i) => drawLabel(`mesh-${i + 1}`));
  for (const payload of labels) await takeIn(stage, payload);
  const manner = ["--network-key", NETWORK_KEY, "--trust", trust, "--pull", "--news-spread", "2000", "--json"];
  for (const [name, own] of [
    ["receivers-1", labels.slice(0, 25)],
    ["receivers-2", labels.slice(25, -1)],
  ] as const) {
    const file = stage.file(`${name}.labels`, Buffer.from(own.join("\n")));
    const where = ["--labels", file, "--slots", join(stage.folder, name), "--link", AIR, "--loss", "0.05"];
    stage.programs.start(name, ["mesh", "fleet", ...where, ...manner]);
  }
  const label = stage.file("serial.label", Buffer.from(labels.at(-1) ?? ""));
  const link = hasPython ? `kiss:${portFiles()[1]}` : AIR;
  const where = ["--label", label, "--slots", join(stage.folder, "serial"), "--link", link];
  stage.programs.start("receiver-serial", ["mesh", "device", ...where, ...manner]);
  await until(
    "all receivers listen",
    async () =>
      new Set(told().flatMap(({ deviceId, kind }) => (kind === "started" ? [deviceId] : []))).size === RECEIVER_COUNT,
    MINUTES,
  );
}

interface Told {
  readonly deviceId: string;
  readonly kind: "started" | "status";
  readonly version?: string;
}

/** What the receivers' programs have said of themselves so far. */
function told(): Told[] {
  const logs = ["receivers-1", "receivers-2", "receiver-serial"].map((name) =>
    readFileSync(join(stage.folder, `${name}.log`), "utf8"),
  );
  return logs.flatMap((log) => log.split("\n").filter((line) => line.startsWith("{"))).map((line) => JSON.parse(line));
}

async function startGateway(): Promise<void> {
  const subBand = { name: BAND, fromKhz: 868_000, toKhz: 868_600, powerMw: 25, ...LIMIT };
  const regions = stage.file("regions.json", Buffer.from(JSON.stringify({ source: "a test", subBands: [subBand] })));
  const asked = { id: "north-1", cells: ["north"], band: BAND, rateBps: RATE_BPS };
  const links = hasPython ? [AIR, `kiss:${portFiles()[0]}`] : [AIR];
  const edge = await addGateway(stage, asked, { links, args: ["--band", BAND, "--regions", regions] });
  let gateway = edge.start();
  cutPower = async () => {
    await stage.programs.cutPower(gateway);
    gateway = edge.start();
  };
  await edge.isThere(MINUTES);
}

let cutPower = async (): Promise<void> => undefined;

async function hear(frame: Uint8Array): Promise<void> {
  if (!OF_GATEWAYS.includes((frame[7] ?? 0) & 0x0f)) return;
  onAir.push({ startMs: performance.now(), airtimeMs: airtimeMs(frame.length - FRAME_OVERHEAD_BYTES, RATE_BPS) });
  if (onAir.length !== CUT_AFTER_FRAMES) return;
  cutCount += 1;
  await cutPower();
}

test("one campaign updates all seventy, though the gateway loses power in the middle of the broadcast", async () => {
  const image = await stage.addFirmware("2.0.0", 24_000);
  const spec = { name: "both worlds", image: image.id, targets: { query: "model==virtual" } };
  const { id } = await stage.client.call("campaigns", Campaign, postOf(spec));
  for (const command of ["submit", "start"])
    await stage.client.call(`campaigns/${id}/${command}`, Campaign, { method: "POST" });
  await until(
    "the campaign has ended",
    async () => (await stage.client.call(`campaigns/${id}`, Campaign)).state === "finished",
    MINUTES,
  );

  const targets = await stage.client.all(`campaigns/${id}/targets`, CampaignTarget);
  assert.deepEqual(
    targets.filter(({ state }) => state !== "succeeded").map(({ endpoint, sentence }) => [endpoint, sentence]),
    [],
  );
  assert.equal(targets.length, WIRED_COUNT + RECEIVER_COUNT);
  assert.equal(cutCount, 1);
  const updates = await stage.client.all(`updates?imageId=${image.id}`, Update);
  const methods = Map.groupBy(updates, ({ endpoint, method }) => `${endpoint.split("-")[0]} ${method === "broadcast"}`);
  assert.deepEqual([...methods.keys()].sort(), ["mesh true", "wired false"]);
  // A gateway tells the end of a broadcast after its devices' last words.
  const sessions = () => stage.client.all(`mesh/sessions?campaignId=${id}`, MeshSession);
  await until(
    "the broadcasts have ended",
    async () => (await sessions()).every(({ outcome }) => outcome !== null),
    MINUTES,
  );
  assert.ok((await sessions()).some(({ outcome }) => outcome === "finished"));
});

test("the server has of each device what the device has of itself: the new version runs", async () => {
  const devices = await stage.client.devices();
  assert.deepEqual(new Set(devices.map(({ version }) => version)), new Set(["2.0.0"]));
  assert.equal(devices.length, WIRED_COUNT + RECEIVER_COUNT);
  const starts = Map.groupBy(
    told().filter(({ kind }) => kind === "started"),
    ({ deviceId }) => deviceId,
  );
  assert.equal(starts.size, RECEIVER_COUNT);
  for (const [deviceId, runs] of starts)
    assert.deepEqual([deviceId, ...runs.map(({ version }) => version)], [deviceId, "1.0.0", "2.0.0"]);
});

test("no window of the law held more than it allows, the power cut in it or not", () => {
  assert.ok(onAir.length > CUT_AFTER_FRAMES);
  assert.equal(countViolations(onAir, LIMIT), 0);
});
