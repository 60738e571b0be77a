/** `airlift campaign`, and what `airlift device-show` says of campaigns, as a process of its own against a real API and store; the devices are played by the test. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { offsetAt } from "@airlift/runtime/zone-offset";
import { createApi } from "@airlift/server/api/create-api";
import { listen } from "@airlift/server/api/listen";
import type { ApiParts } from "@airlift/server/api/routes";
import { CampaignEngine } from "@airlift/server/campaign/engine";
import { exampleRegistration, openScratchStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";

const CLI = fileURLToPath(import.meta.resolve("@airlift/cli/main"));
const REACHABILITY = { awake: "awake", awakeUntil: null, nextExpectedAt: null, reachability: "always on" };
const folder = mkdtempSync(join(tmpdir(), "campaign-"));
let scratch: ScratchStores;
let api: FastifyInstance;
let engine: CampaignEngine;
/** Called when devices were put back for another try. */
let afterRetry = async (): Promise<unknown> => undefined;
let url: string;
let imageId: string;

before(async () => {
  scratch = await openScratchStores();
  const { stores } = scratch;
  engine = new CampaignEngine(stores.campaigns, offsetAt);
  const oneByOne = new CampaignEngine(stores.campaigns, offsetAt, { batchSize: 1 });
  const retry: CampaignEngine["retry"] = async (...which) => {
    const retried = await oneByOne.retry(...which);
    await afterRetry();
    return retried;
  };
  api = await createApi({
    config: { httpHost: "127.0.0.1", publicHost: null, maxImageBytes: 2 ** 20, noAuth: true },
    stores,
    commands: {} as ApiParts["commands"],
    fleet: { reachabilityOf: () => REACHABILITY } as unknown as ApiParts["fleet"],
    campaigns: { command: (...said) => engine.command(...said), retry },
    log: pino({ level: "silent" }),
  });
  url = await listen(api, "127.0.0.1", 0);
  const answer = await fetch(`${url}/api/v1/images?manufacturer=Acme&model=pump&version=2.0.0`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: Buffer.alloc(1000, 7),
  });
  imageId = ((await answer.json()) as { id: string }).id;
  for (const endpoint of ["pump-1", "pump-2"]) {
    stores.devices.queueSave([exampleRegistration(endpoint)]);
    stores.devices.queueReport({ endpoint, manufacturer: "Acme", model: "pump", version: "1.0.0" });
  }
  await stores.devices.flush();
});
after(async () => {
  await api.close();
  await scratch.close();
  rmSync(folder, { recursive: true });
});

function airlift(...words: string[]) {
  const child = spawn(process.execPath, [CLI, ...words], {
    env: { PATH: "/usr/bin:/bin", AIRLIFT_URL: url },
  });
  const texts = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    texts.out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    texts.err += text;
  });
  const ended = once(child, "close").then(([code]) => ({ code: code as number, ...texts }));
  const untilOut = async (pattern: RegExp) => {
    while (!pattern.test(texts.out)) await once(child.stdout, "data");
  };
  return { ended, untilOut };
}
const start = (...args: string[]) => airlift("campaign", ...args);
const campaign = (...args: string[]) => start(...args).ended;

function fileOf(name: string, lines: readonly string[]): string {
  const file = join(folder, name);
  writeFileSync(file, `${lines.join("\n")}\n`);
  return file;
}
const specFile = (name: string, more: readonly string[] = []) =>
  fileOf(name, ["name: spring", `image: ${imageId}`, "targets: { query: model==pump }", ...more]);
const created = async (file: string): Promise<string> => {
  const { code, out, err } = await campaign("create", file, "--json");
  assert.equal(code, 0, err);
  return JSON.parse(out).id;
};

test("mistakes in the file are told by file, line and place, whoever finds them; the exit code is 2", async () => {
  const shape = fileOf("shape.yaml", ["name: x", "image: 12", "caps:", "  inflight: 3", "targets: { query: a==b }"]);
  const wrong = await campaign("create", shape);
  assert.deepEqual([wrong.code, wrong.out], [2, ""]);
  assert.match(wrong.err, /shape\.yaml: line 2: image: /);
  assert.match(wrong.err, /shape\.yaml: line 4: caps\.inflight: there is no such member/);
  const unknown = specFile("unknown.yaml", ["windows:", "  apply:", '    - { cron: "61 * * * *", for: 1h }']);
  for (const word of ["create", "plan"]) {
    const refused = await campaign(word, unknown);
    assert.equal(refused.code, 2, word);
    assert.match(refused.err, /^airlift: .*unknown\.yaml: line 6: windows\.apply\.0\.cron: /);
  }
  const beside = specFile("beside.yaml", [
    "rollback:",
    "  inFlight: none",
    `  image: ${imageId}`,
    "caps: { inFlight: 0 }",
  ]);
  const { err } = await campaign("plan", beside);
  assert.match(err, /beside\.yaml: line 5: rollback\.inFlight: "none" is not a number/);
  assert.match(err, /beside\.yaml: line 6: rollback\.image: the rollback has the campaign's own image/);
  assert.match(err, /beside\.yaml: line 7: caps\.inFlight: 0 has to be at least 1/);
  assert.match((await campaign("create", join(folder, "none.yaml"))).err, /none\.yaml: there is no such file/);
});

test("a plan tells what would happen, from the file and from the campaign, and changes nothing", async () => {
  const file = specFile("plan.yaml", [
    "waves:",
    "  - { name: first, devices: { count: 1 } }",
    "  - { name: rest, devices: remaining }",
  ]);
  const fromFile = await campaign("plan", file);
  assert.equal(fromFile.code, 0, fromFile.err);
  assert.match(fromFile.out, /^to update +2 devices, 2\.0 KiB$/m);
  assert.match(fromFile.out, /^first +1 +1000 B/m);
  const id = await created(file);
  assert.equal(JSON.parse((await campaign("plan", id, "--json")).out).targetCount, 2);
  assert.match((await campaign("show", id)).out, /^state +draft$/m);
  assert.match((await campaign("list", "--state", "draft")).out, new RegExp(`^${id} +spring +draft +2 `, "m"));
  assert.match((await campaign("plan", "nobody")).err, /there is no campaign nobody \(UNKNOWN_CAMPAIGN\)/);
});

const succeeded = { attempt: 1, state: "succeeded", failure: null, sentence: "succeeded: 2.0.0 runs" } as const;

test("watching ends with 0 when it has finished, and tells a line for each change on the way", async () => {
  const id = await created(specFile("goes.yaml"));
  assert.match((await campaign("start", id)).out, /^spring: running \(started by local: 2 devices in 1 wave\)/);
  const watching = start("watch", id, "--json");
  await watching.untilOut(/"active":2/);
  for (const endpoint of ["pump-1", "pump-2"]) await engine.report({ campaignId: id, endpoint }, succeeded, Date.now());
  const { code, out } = await watching.ended;
  const lines = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual([code, lines.at(-1).state, lines.at(-1).counts.succeeded], [0, "finished", 2]);
});

test("a draft that somebody changes after it was looked at is not submitted", async () => {
  const id = await created(specFile("changes.yaml"));
  const [, seen = ""] = /^revision +(\S+)$/m.exec((await campaign("show", id)).out) ?? [];
  const edit = { method: "PATCH", headers: { "content-type": "application/json" }, body: '{"priority":5}' };
  assert.equal((await fetch(`${url}/api/v1/campaigns/${id}`, edit)).status, 200);
  for (const word of ["submit", "start"]) {
    const refused = await campaign(word, id, "--revision", seen);
    assert.deepEqual([refused.code, refused.out], [1, ""]);
    assert.match(refused.err, new RegExp(`is not what was looked at any more.*${word} the revision`));
  }
  assert.match((await campaign("show", id)).out, /^state +draft$/m);
});

test("watching ends with 1 when it was stopped; a draft that needs approval does not start", async () => {
  const id = await created(specFile("needs.yaml", ["approval: required"]));
  const refused = await campaign("start", id);
  assert.equal(refused.code, 1);
  assert.match(
    refused.out,
    /awaitingApproval \(waits for somebody else than local to approve it: its file asks for it\)/,
  );
  const shown = await campaign("approve", id);
  assert.equal(shown.code, 1);
  const [, revision = ""] = /--revision (\S+)/.exec(shown.err) ?? [];
  assert.match(shown.out, new RegExp(`^revision +${revision}$`, "m"));
  const other = await campaign("approve", id, "--revision", "x".repeat(22));
  assert.match(
    other.err,
    new RegExp(`nothing was done: look at it again \\(airlift campaign show ${id}\\).*ETAG_MISMATCH`),
  );
  assert.equal((await campaign("approve", id, "--revision", revision)).code, 0);
  await campaign("start", id);
  const watching = start("watch", id, "--json");
  await watching.untilOut(/"active":2/);
  assert.equal((await campaign("stop", id)).code, 0);
  const { code, err } = await watching.ended;
  assert.equal(code, 1, err);
  assert.match((await campaign("resume", id)).err, /cannot be told to resume \(CAMPAIGN_STATE\)/);
  assert.match((await campaign("retry", id, "pump-1")).err, /\(CAMPAIGN_STATE\)/);
});

test("its devices are listed with why each of them waits, by state and by wave, as many as are wanted", async () => {
  const waves = ["waves:", "  - { name: few, devices: { count: 1 } }", "  - { name: rest, devices: remaining }"];
  const id = await created(specFile("waits.yaml", waves));
  const endpoints = async (...filter: string[]) => {
    const { code, out, err } = await campaign("devices", id, ...filter, "--json");
    assert.equal(code, 0, err);
    return (JSON.parse(out) as { endpoint: string }[]).map(({ endpoint }) => endpoint);
  };
  const drafted = await campaign("devices", id);
  assert.match(drafted.out, /^ENDPOINT +WAVE +STATE +ATTEMPT +UPDATE +WHY\npump-1 /);
  assert.match(drafted.out, /^pump-2 .* queued +0 +- +not started: the campaign is draft$/m);
  await campaign("start", id);
  const [first = ""] = await endpoints("--wave", "few");
  await campaign("pause", id);
  const second = first === "pump-1" ? "pump-2" : "pump-1";
  const begun = await campaign("devices", id, "--state", "waiting", "--wave", "1");
  assert.match(begun.out, new RegExp(`^${first} +few +waiting +\\d `, "m"));
  const rest = await campaign("devices", id, "--wave", "rest");
  assert.match(rest.out, new RegExp(`^${second} +rest .* not started: the campaign is paused \\(paused by local`, "m"));
  assert.deepEqual(await endpoints("--wave", "2"), [second]);
  assert.deepEqual(await endpoints("--state", "failed"), []);
  const cut = await campaign("devices", id, "--limit", "1");
  assert.deepEqual([cut.err, cut.out.split("\n").length], ["there are more: --limit is 1\n", 3]);
  const wrong = await campaign("devices", id, "--wave", "3");
  assert.deepEqual([wrong.code, wrong.err], [2, "airlift: there is no wave 3: the campaign has few, rest\n"]);
  assert.match((await campaign("devices", "nobody")).err, /there is no campaign nobody \(UNKNOWN_CAMPAIGN\)/);
  const shown = async (...more: string[]) => (await airlift("device-show", second, ...more).ended).out;
  assert.match(
    await shown(),
    new RegExp(`^campaign +${id} spring \\(paused\\), wave rest: queued \\(not started: the campaign is paused`, "m"),
  );
  const [waits] = JSON.parse(await shown("--json")).campaigns;
  assert.deepEqual([waits.campaignId, waits.campaignState, waits.waveName], [id, "paused", "rest"]);
  await campaign("stop", id);
  assert.doesNotMatch(await shown(), /^campaign/m);
});

test("trying all devices again ends, each of them tried once, however soon they fail again", async () => {
  const endpoints = Array.from({ length: 12 }, (_, i) => `hopeless-${i}`);
  const { devices, campaigns } = scratch.stores;
  devices.queueSave(endpoints.map((endpoint) => exampleRegistration(endpoint)));
  for (const endpoint of endpoints)
    devices.queueReport({ endpoint, manufacturer: "Acme", model: "pump", version: "1.0.0" });
  await devices.flush();
  const lines = ["name: hopeless", `image: ${imageId}`, 'targets: { query: "endpoint==hopeless-*", continuous: true }'];
  // A continuous campaign goes on when all of its devices have ended.
  const id = await created(fileOf("hopeless.yaml", lines));
  const failBegun = async () => {
    await engine.sweep(Date.now());
    for (const { endpoint, attempt, isUnderWay } of (await campaigns.targets(id, {}, { limit: 100 })).items) {
      const news = { attempt, state: "failed", failure: "integrityFailed", sentence: "broken" } as const;
      if (isUnderWay) await engine.report({ campaignId: id, endpoint }, news, Date.now());
    }
  };
  await campaign("start", id);
  await failBegun();
  afterRetry = failBegun;
  const retried = await campaign("retry", id, "--json");
  assert.deepEqual([retried.code, JSON.parse(retried.out)], [0, { count: 12 }], retried.err);
  assert.match(retried.err, /^10 devices so far$/m);
  const { items } = await campaigns.targets(id, {}, { limit: 100 });
  assert.deepEqual(
    items.map(({ attempt, state }) => `${state} ${attempt}`),
    endpoints.map(() => "failed 2"),
  );
});
