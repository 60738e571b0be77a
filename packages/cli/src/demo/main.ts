/**
 * `npm run demo`: a server, ten devices and a radio gateway in processes of their own, and fifty receivers of broadcasts in two more. The
 * ten refuse an image that a stranger signed and take the right one, each in its own way, one of them in spite of a power cut; then one
 * campaign updates all sixty. Exit code 0 only if every device ends as it should.
 */
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Update } from "@airlift/protocol/api/schemas";
import { DEFAULT_SUB_BAND } from "@airlift/protocol/zmesh/regions";
import { Client } from "../client.ts";
import { fail } from "../failure.ts";
import { uploadImage } from "../upload.ts";
import { CAST } from "./cast.ts";
import { createDisplay, type Display } from "./display.ts";
import { type DemoImages, FIRST_VERSION, FORGED_VERSION, JOINT_VERSION, makeImages, NEW_VERSION } from "./images.ts";
import { runJointCampaign } from "./joint-campaign.ts";
import { RECEIVER_COUNT, startMesh } from "./mesh.ts";
import { airSentence, linesOf, type Outcome, tableOf } from "./outcome.ts";
import { Programs } from "./programs.ts";
import { PowerCut, rollOut } from "./rollout.ts";

/** Of each act: more than three times what it takes on two slow cores. */
const ROLLOUT_LIMIT_MS = 300_000;

const NAME = { manufacturer: "Example", model: "Pump", hardware: [] };

async function demo(keep: boolean): Promise<boolean> {
  const startedMs = performance.now();
  const folder = await mkdtemp(join(tmpdir(), "airlift-demo-"));
  const programs = new Programs(folder);
  const display = createDisplay();
  const stop = (): void => void programs.stopAll().then(() => process.exit(130));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, stop);
  try {
    display.say(`everything the demo writes is in ${folder}`);
    const images = await makeImages(folder);
    const server = await startServer(programs, folder);
    const devices = await startDevices(programs, { folder, trustFile: images.trustFile, ...server });
    display.say(`a server at ${server.httpUrl} and ${CAST.length} devices that run ${FIRST_VERSION}`);
    // The mesh plays in the last act only, and gets ready behind the first two.
    const mesh = startMesh({
      programs,
      folder,
      ...server,
      name: { manufacturer: NAME.manufacturer, model: NAME.model },
    });
    mesh.catch(() => {});
    const outcome = await perform({ client: server.client, images, devices, mesh, programs, display });
    const lines = linesOf(outcome);
    display.result(tableOf(lines));
    display.result(`\nOne broadcast: ${airSentence(outcome.joint.sessions, DEFAULT_SUB_BAND)}.\n`);
    const isGood = lines.every(({ verdict }) => verdict === "ok");
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
    const summary = isGood
      ? `The ${CAST.length} devices refused the forged image; all ${CAST.length + RECEIVER_COUNT} run ${JOINT_VERSION}, after ${seconds} s.`
      : `Not as it should be; the logs are in ${folder}.`;
    display.result(`\n${summary}\n`);
    if (keep) await stayUntilStopped(server, display);
    await programs.stopAll();
    if (isGood) await rm(folder, { recursive: true, force: true });
    return isGood;
  } finally {
    await programs.stopAll();
  }
}

interface Stage {
  readonly client: Client;
  readonly images: DemoImages;
  readonly devices: ReadonlyMap<string, DemoDevice>;
  /** Settles when the gateway is heard and all receivers listen. */
  readonly mesh: Promise<void>;
  readonly programs: Programs;
  readonly display: Display;
}

/** The three acts: nobody takes the forged image, everybody the right one; then one campaign is for all. */
async function perform({ client, images, devices, mesh, programs, display }: Stage): Promise<Outcome> {
  const common = { client, cast: CAST, limitMs: ROLLOUT_LIMIT_MS };
  const forged = await uploadImage(client, images.forged, { name: { ...NAME, version: FORGED_VERSION } });
  display.title(`${FORGED_VERSION}, signed by a stranger: every device must refuse it`);
  const refusals = await rollOut({ ...common, image: forged, onProgress: display.progress });

  const good = await uploadImage(client, images.good, { name: { ...NAME, version: NEW_VERSION } });
  display.title(`${NEW_VERSION}, ${(good.sizeBytes / 1e6).toFixed(1)} MB: every device must take it`);
  const cut = powerCutOf(devices, programs, display.say);
  const onProgress = async (updates: readonly Update[]): Promise<void> => {
    display.progress(updates);
    await cut.watch(updates);
  };
  const updates = await rollOut({ ...common, image: good, onProgress });

  await mesh;
  display.say(`${RECEIVER_COUNT} mesh devices that run ${FIRST_VERSION} listen to a radio gateway`);
  const image = await uploadImage(client, images.joint, { name: { ...NAME, version: JOINT_VERSION } });
  display.title(`${JOINT_VERSION}, ${image.sizeBytes / 1e3} kB: one campaign for all, the mesh by one broadcast`);
  const joint = await runJointCampaign({ client, image, onProgress: display.progress, limitMs: ROLLOUT_LIMIT_MS });
  return { refusals, updates, joint, inventory: await client.devices(), cut };
}

async function stayUntilStopped({ httpUrl }: DemoServer, display: Display): Promise<void> {
  display.result(`\nStill running: ${httpUrl}  (airlift devices --url ${httpUrl})\nCtrl-C ends it.\n`);
  await new Promise(() => setInterval(() => {}, 60_000));
}

interface DemoServer {
  readonly httpUrl: string;
  readonly coapPort: number;
  readonly client: Client;
}

async function startServer(programs: Programs, folder: string): Promise<DemoServer> {
  const [httpPort, coapPort] = [await freePort(), await freePort()];
  const httpUrl = `http://127.0.0.1:${httpPort}`;
  const client = new Client({ url: httpUrl });
  const args = ["--data", join(folder, "server"), "--http-port", `${httpPort}`, "--coap-port", `${coapPort}`];
  const child = programs.start("server", ["serve", "--no-auth", "--host", "127.0.0.1", ...args]);
  await programs.untilReady(child, "server", async () => {
    const answer = await fetch(`${httpUrl}/readyz`).catch(() => undefined);
    return answer?.ok === true;
  });
  return { httpUrl, coapPort, client };
}

/** A running device, and how to start it again after its power was cut. */
interface DemoDevice {
  process: ChildProcess;
  readonly start: () => ChildProcess;
}

async function startDevices(
  programs: Programs,
  { folder, trustFile, coapPort, client }: DemoServer & { folder: string; trustFile: string },
): Promise<Map<string, DemoDevice>> {
  const devices = new Map<string, DemoDevice>();
  for (const { endpoint, options } of CAST) {
    const args = ["device", "--endpoint", endpoint, "--server", `coap://127.0.0.1:${coapPort}`];
    args.push("--slots", join(folder, endpoint), "--version", FIRST_VERSION, "--trust", trustFile);
    args.push("--manufacturer", NAME.manufacturer, "--model", NAME.model, ...options);
    const start = (): ChildProcess => programs.start(endpoint, args);
    devices.set(endpoint, { process: start(), start });
  }
  for (const [endpoint, device] of devices) {
    await programs.untilReady(device.process, endpoint, async () => {
      const known = await client.device(endpoint).catch(() => undefined);
      return known?.version === FIRST_VERSION;
    });
  }
  return devices;
}

function powerCutOf(
  devices: ReadonlyMap<string, DemoDevice>,
  programs: Programs,
  say: (line: string) => void,
): PowerCut {
  const member = CAST.find(({ losesPower }) => losesPower);
  const device = devices.get(member?.endpoint ?? "");
  if (member === undefined || device === undefined) throw new Error("nobody in the cast loses power");
  return new PowerCut(member.endpoint, async () => {
    say(`${member.endpoint} loses power in mid-download`);
    await programs.cutPower(device.process);
    device.process = device.start();
  });
}

/** A TCP port that is free now; good enough for a UDP one as well. */
function freePort(): Promise<number> {
  const probe = createServer();
  return new Promise((resolve, reject) => {
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

try {
  const { values } = parseArgs({ options: { keep: { type: "boolean", default: false } } });
  process.exitCode = (await demo(values.keep)) ? 0 : 1;
} catch (error) {
  fail(error);
}
