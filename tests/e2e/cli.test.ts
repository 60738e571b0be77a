/** The command line as a process of its own against a real API and store; the engine behind it is scripted. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Image, Update } from "@airlift/protocol/api/schemas";
import { imageInMemory } from "@airlift/protocol/image/reader";
import { verifyImage } from "@airlift/protocol/image/verify";
import { imageCrypto, loadPublicKey } from "@airlift/runtime/crypto";
import { createApi } from "@airlift/server/api/create-api";
import { listen } from "@airlift/server/api/listen";
import type { FleetCommands } from "@airlift/server/api/ports";
import { exampleRegistration, openScratchStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";

const CLI = fileURLToPath(import.meta.resolve("@airlift/cli/main"));
const folder = mkdtempSync(join(tmpdir(), "cli-"));
let scratch: ScratchStores;
let api: FastifyInstance;
let url: string;

/** What the engine does with an update, by the endpoint's name. */
async function play(update: Update): Promise<void> {
  const { updates } = scratch.stores;
  const step = (state: Update["state"], sentence: string, more = {}) =>
    updates.transition(update.id, { state, sentence, ...more });
  if (update.endpoint === "current") return void (await step("skipped", "skipped: the device already runs 2.0.0"));
  await step("transferring", "transferring: the device pulls");
  updates.queueProgress(update.id, Math.floor(update.totalBytes / 2));
  await updates.flush();
  if (update.endpoint === "stays" || update.endpoint === "survives") return;
  await step("downloaded", "downloaded and verified by the device", { acknowledgedBytes: update.totalBytes });
  if (!update.apply) return void (await step("waitingToApply", "waiting for the word to apply"));
  if (update.endpoint === "refuses")
    return void (await step("failed", "failed: the device says integrity check failed", {
      failure: "integrityFailed",
    }));
  await step("applying", "applying");
  await step("succeeded", "succeeded: 2.0.0 runs\u001b[31m");
}

const waitingRequest = (endpoint: string) => ({
  id: "q1",
  endpoint,
  content: { operation: "readComposite" as const, path: "/", paths: ["/3/0/13", "/4/0/2"] },
  state: "waiting" as const,
  place: 1,
  attempts: 0,
  submittedAtMs: 0,
  expiresAtMs: 1,
  finishedAtMs: null,
  outcome: null,
  answer: null,
});

async function startApi(port: number): Promise<void> {
  const commands = {
    isRunning: () => true,
    start: async (update: Update) => void play(update),
    apply: async () => {},
    cancel: async () => {},
    onFetched: () => {},
  };
  const waiting: string[] = [];
  const fleet: FleetCommands = {
    isHere: () => true,
    asleepSinceMs: () => undefined,
    reachabilityOf: () => ({
      awake: "asleep",
      awakeUntil: null,
      nextExpectedAt: null,
      reachability: "asleep since 14:02",
    }),
    queue: {
      submit: async (_, { path }) => path,
      cancel: async (_, id) => void waiting.push(id),
      list: async (endpoint) => (waiting.length > 0 ? [] : [waitingRequest(endpoint)]),
    },
  };
  const config = { httpHost: "127.0.0.1", publicHost: null, maxImageBytes: 2 ** 20, noAuth: true };
  api = await createApi({ config, stores: scratch.stores, commands, fleet, log: pino({ level: "silent" }) });
  url = await listen(api, "127.0.0.1", port);
}

before(async () => {
  scratch = await openScratchStores();
  await startApi(0);
  const endpoints = ["works", "refuses", "stays", "holds", "survives", "current"];
  scratch.stores.devices.queueSave(endpoints.map((endpoint) => exampleRegistration(endpoint)));
  scratch.stores.devices.queueReport({ endpoint: "works", manufacturer: "Example", model: "Sensor", version: "1.0.0" });
  await scratch.stores.devices.flush();
});
after(async () => {
  await api.close();
  await scratch.close();
  rmSync(folder, { recursive: true });
});

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function start(...args: string[]) {
  const child = spawn(process.execPath, [CLI, ...args], { env: { PATH: "/usr/bin:/bin", AIRLIFT_URL: url } });
  const texts = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    texts.out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    texts.err += text;
  });
  const ended = once(child, "close").then(([code]): Run => ({ code, ...texts }));
  const untilErr = async (pattern: RegExp) => {
    while (!pattern.test(texts.err)) await once(child.stderr, "data");
  };
  return { child, ended, untilErr };
}
const airlift = (...args: string[]): Promise<Run> => start(...args).ended;

const name = (version: string) => ["--manufacturer", "Example", "--model", "Sensor", "--version", version];
const payload = Buffer.alloc(50_000, 7);
const payloadFile = join(folder, "app.bin");
writeFileSync(payloadFile, payload);
const addedId = async (version: string): Promise<string> =>
  JSON.parse((await airlift("image", "add", payloadFile, ...name(version), "--json")).out).id;

test("a key pair is made once, the private half for its owner alone, and signs an image on its way up", async () => {
  const key = join(folder, "key.pem");
  const made = await airlift("image", "keygen", "--out", key, "--json");
  assert.deepEqual([made.code, JSON.parse(made.out).publicKey], [0, join(folder, "key.pub.pem")]);
  assert.equal(statSync(key).mode & 0o777, 0o600);
  const secret = readFileSync(key, "utf8");
  const again = await airlift("image", "keygen", "--out", key);
  assert.deepEqual([again.code, again.out, readFileSync(key, "utf8")], [2, "", secret]);
  assert.match(again.err, /^airlift: .*key\.pem exists, and keys are not overwritten\n$/);

  const added = await airlift("image", "add", payloadFile, ...name("3.1.4"), "--sign", key, "--json");
  assert.equal(added.code, 0, added.err);
  const image = JSON.parse(added.out) as Image;
  const stored = new Uint8Array(await (await fetch(`${url}/firmware/${image.id}`)).arrayBuffer());
  assert.equal(stored.length, image.sizeBytes);
  const trusted = loadPublicKey(readFileSync(join(folder, "key.pub.pem"), "utf8"));
  assert.ok((await verifyImage(imageInMemory(stored), [trusted], imageCrypto)).signedBy);

  const raw = await airlift("image", "add", payloadFile, ...name("three"), "--sign", key);
  assert.deepEqual([raw.code, raw.out], [2, ""]);
});

test("images are listed and shown, for people and as JSON", async () => {
  const id = await addedId("1.0.0");
  const list = await airlift("image", "list");
  assert.match(list.out, /^ID +MANUFACTURER +MODEL +VERSION +SIZE/);
  assert.match(list.out, new RegExp(`^${id} +Example +Sensor +1\\.0\\.0 +48\\.8 KiB +raw +no `, "m"));
  assert.ok(JSON.parse((await airlift("image", "list", "--json")).out).some((image: Image) => image.id === id));
  assert.match((await airlift("image", "show", id)).out, /^size +48\.8 KiB \(50000 bytes\)$/m);
});

test("a delta of two images goes into the store, or one of files into a file, and says what it saves", async () => {
  const files = [join(folder, "1.bin"), join(folder, "2.bin")] as const;
  const octets = randomBytes(40_000);
  writeFileSync(files[0], octets);
  writeFileSync(files[1], Buffer.from(octets).fill(2, 0, 16));
  const add = async (file: string, version: string): Promise<string> =>
    JSON.parse((await airlift("image", "add", file, ...name(version), "--json")).out).id;
  const ids = [await add(files[0], "7.1.0"), await add(files[1], "7.2.0")] as const;
  const added = await airlift("image", "delta", ...ids);
  assert.equal(added.code, 0, added.err);
  assert.match(
    added.out,
    /^[0-9a-f]{16} {2}Example Sensor, from 7\.1\.0 to 7\.2\.0: \d+ B, 0\.\d % of the whole image\n$/,
  );
  assert.match(
    (await airlift("image", "show", ids[1])).out,
    /^DELTA +FROM +SIZE +SHARE +ADDED\n[0-9a-f]{16} +7\.1\.0 /m,
  );
  const out = join(folder, "12.delta");
  const written = JSON.parse((await airlift("image", "delta", ...files, "--out", out, "--json")).out);
  assert.deepEqual(written, { file: out, sizeBytes: statSync(out).size, share: statSync(out).size / 40_000 });
  const again = await airlift("image", "add", out, ...name("7.2.0"));
  assert.match(again.out, /^[0-9a-f]{16} {2}delta from 7\.1\.0 to Example Sensor 7\.2\.0, \d+ B, 0\.\d % of/);
  const files2 = await airlift("image", "delta", ...files);
  assert.deepEqual([files2.code, files2.out], [2, ""]);
  const wrong = await airlift("image", "add", out, ...name("7.3.0"));
  assert.match(wrong.err, /not in the store as Example Sensor 7\.3\.0 .*add it first.*\(DELTA_IMAGE\)/);
});

test("an update is followed to its confirmed end; the device's timeline tells it", async () => {
  const id = await addedId("2.0.0");
  const done = await airlift("update", "works", "--image", id);
  assert.equal(done.code, 0, done.err);
  assert.equal(done.out, "works: succeeded: 2.0.0 runs\u{fffd}[31m\n");
  for (const line of ["transferring: the device pulls", "downloaded and verified", "applying"])
    assert.ok(done.err.includes(line), line);
  assert.match(
    (await airlift("devices")).out,
    /^works +registered +asleep +Example +Sensor +1\.0\.0 +127\.0\.0\.1:40000 /m,
  );
  const shown = JSON.parse((await airlift("device-show", "works", "--json")).out);
  assert.deepEqual(
    shown.events.map(({ facts }: { facts: { state: string } }) => facts.state),
    ["queued", "transferring", "downloaded", "applying", "succeeded"],
  );
  assert.match((await airlift("device-show", "works")).out, /^\d\d:\d\d:\d\d +queued: Example Sensor 2\.0\.0$/m);
});

test("a failed update is exit 1 with its reason; --no-apply is done when it waits to be applied", async () => {
  const id = await addedId("2.0.0");
  const failed = await airlift("update", "refuses", "--image", id, "--json");
  assert.deepEqual([failed.code, JSON.parse(failed.out).failure], [1, "integrityFailed"]);
  const held = await airlift("update", "holds", "--image", id, "--no-apply", "--json");
  assert.deepEqual([held.code, JSON.parse(held.out).state], [0, "waitingToApply"]);
});

test("a device that runs the image already is as it should be: exit 0", async () => {
  const skipped = await airlift("update", "current", "--image", await addedId("2.0.0"), "--json");
  assert.deepEqual([skipped.code, JSON.parse(skipped.out).state], [0, "skipped"]);
});

test("an update is shown with why it waits, and told to apply, cancel and retry", async () => {
  const { updates, exchanges } = scratch.stores;
  const id = await addedId("2.0.0");
  const { id: updateId } = await updates.create({ endpoint: "sleeper", imageId: id, by: "auto", apply: true });
  exchanges.queue(updateId, {
    attempt: 1,
    number: 1,
    at: new Date().toISOString(),
    request: "PUT /5/0/0",
    answer: "no answer",
    tookMs: 93_000,
    retransmissionCount: 4,
    transfer: { bytes: 2048, blockCount: 2, rateBps: 22 },
  });
  await updates.transition(updateId, {
    state: "waiting",
    sentence: "waiting: the device does not answer; asking again",
  });
  const shown = await airlift("update-show", updateId);
  assert.equal(shown.code, 0, shown.err);
  assert.match(shown.out, /^why +waiting \d+ s: the device does not answer since \d\d:\d\d UTC; asking again$/m);
  assert.match(shown.out, / 1 +PUT \/5\/0\/0 +no answer +93000 ms +4 +2\.0 KiB in 2 blocks, 22 B\/s$/m);
  const early = await airlift("update-retry", updateId);
  assert.deepEqual([early.code, early.out], [1, ""]);
  await updates.transition(updateId, { state: "failed", failure: "timedOut", sentence: "failed: no progress" });
  const again = await airlift("update-retry", updateId, "--json");
  assert.deepEqual([again.code, JSON.parse(again.out).attempt], [0, 2]);
  for (const command of ["update-apply", "update-cancel"]) assert.equal((await airlift(command, updateId)).code, 0);
});

test("an interrupted command says that the update goes on, which it does", async () => {
  const id = await addedId("2.0.0");
  const waiting = start("update", "stays", "--image", id, "--json");
  await waiting.untilErr(/transferring/);
  waiting.child.kill("SIGINT");
  const { code, out, err } = await waiting.ended;
  assert.equal(code, 1);
  assert.match(err, /the update goes on without this command: airlift device-show stays/);
  assert.equal(JSON.parse(out).state, "transferring");
});

test("a restart of the server does not end the command: it resumes where the feed broke", async () => {
  const waiting = start("update", "survives", "--image", await addedId("2.0.0"), "--json");
  await waiting.untilErr(/transferring/);
  await api.close();
  await waiting.untilErr(/lost the connection/);
  const unfinished = await scratch.stores.updates.unfinished();
  const update = unfinished.map((one) => one.update).find(({ endpoint }) => endpoint === "survives");
  assert.ok(update);
  await scratch.stores.updates.transition(update.id, { sentence: "meanwhile" });
  await startApi(Number(new URL(url).port));
  await scratch.stores.updates.transition(update.id, { state: "succeeded", sentence: "succeeded: 2.0.0 runs" });
  const { code, out, err } = await waiting.ended;
  assert.deepEqual([code, JSON.parse(out).state], [0, "succeeded"]);
  assert.equal(err.match(/transferring: the device pulls/g)?.length, 1);
  assert.match(err, /meanwhile[\s\S]*succeeded/);
});

test("every mistake is one clear line on stderr: 2 for wrong usage, 1 for what the server or the network refuses", async () => {
  const id = await addedId("2.0.0");
  const nobody = createServer().listen(0, "127.0.0.1");
  await once(nobody, "listening");
  const deaf = `http://127.0.0.1:${(nobody.address() as AddressInfo).port}`;
  nobody.close();
  for (const [code, pattern, ...args] of [
    [2, /unknown option '--imgae' \(Did you mean --image\?\)/, "update", "works", "--image", id, "--imgae", id],
    [2, /required option '--image <id>' not specified/, "update", "works"],
    [2, /"" is no name that can be asked for/, "device-show", ""],
    [2, /id: an image's id has 16 hexadecimal digits/, "image", "show", "latest"],
    [2, /argument 'post' is invalid/, "update", "works", "--image", id, "--by", "post"],
    [2, /nowhere\.bin: there is no such file/, "image", "add", "nowhere.bin", ...name("1")],
    [2, /version/, "image", "add", payloadFile, ...name("x".repeat(65))],
    [2, /not a URL/, "devices", "--url", "127.0.0.1:8080"],
    [2, /unknown command 'devcies'/, "devcies"],
    [1, /exists with other bytes.*\(IMAGE_CONFLICT\)/, "image", "add", CLI, ...name("2.0.0")],
    [1, /\(UNKNOWN_DEVICE\)/, "update", "nobody", "--image", id],
    [1, /\(UNKNOWN_IMAGE\)/, "update", "works", "--image", "f".repeat(16)],
    [1, /\(UNKNOWN_DEVICE\)/, "device-show", "nobody"],
    [1, /no answer from http:\/\/127\.0\.0\.1:\d+: connection refused/, "devices", "--url", deaf],
  ] as const) {
    const run = await airlift(...args);
    assert.match(run.err, /^airlift: [^\n]+\n$/, args.join(" "));
    assert.match(run.err, pattern);
    assert.deepEqual([run.code, run.out], [code, ""], args.join(" "));
  }
});

test("of several options that are missing each is named, and help tells of those that every command takes", async () => {
  const { code, err } = await airlift("image", "add", payloadFile);
  assert.equal(code, 2);
  assert.equal(err.match(/^airlift: required option '--(\w+) .+' not specified$/gm)?.length, 3, err);
  assert.match((await airlift("devices", "--help")).out, /--url.*--token.*--json/s);
});

test("device-queue shows the requests that wait, and takes one back", async () => {
  const shown = await airlift("device-queue", "works");
  assert.match(shown.out, /q1 +waiting +readComposite +\/3\/0\/13 \/4\/0\/2 /);
  assert.equal((await airlift("device-queue", "works", "--cancel", "q1")).code, 0);
  assert.equal((await airlift("device-queue", "works", "--json")).out.trim(), "[]");
  assert.match((await airlift("device-show", "works")).out, /asleep since 14:02/);
});
