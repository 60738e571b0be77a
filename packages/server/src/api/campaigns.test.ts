import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { NewCampaign } from "@airlift/protocol/api/campaign";
import type { Mistake } from "@airlift/protocol/api/mistakes";
import { offsetAt } from "@airlift/runtime/zone-offset";
import type { FastifyInstance, InjectOptions } from "fastify";
import { pino } from "pino";
import { CampaignEngine } from "../campaign/engine.ts";
import { exampleRegistration, openScratchStores, type ScratchStores } from "../store/scratch-stores.ts";
import { createApi } from "./create-api.ts";
import type { ApiParts } from "./routes.ts";

let scratch: ScratchStores;
let open: FastifyInstance;
let guarded: FastifyInstance;
let engine: CampaignEngine;
/** Ids by version: 2.0.0 is the newest, 1.5.0 on the way, 1.0.0 what runs; "other" is for another model. */
const images: Record<string, string> = {};
const tokens: Record<string, string> = {};

before(async () => {
  scratch = await openScratchStores();
  const { stores } = scratch;
  engine = new CampaignEngine(stores.campaigns, offsetAt);
  const create = (noAuth: boolean) =>
    createApi({
      config: { httpHost: "127.0.0.1", publicHost: null, maxImageBytes: 2 ** 20, noAuth },
      stores,
      commands: {} as ApiParts["commands"],
      fleet: { reachabilityOf: () => REACHABILITY } as unknown as ApiParts["fleet"],
      campaigns: engine,
      log: pino({ level: "silent" }),
    });
  open = await create(true);
  guarded = await create(false);
  for (const [name, role] of PEOPLE) tokens[name] = (await stores.tokens.create({ name, role })).token;
  for (const version of ["1.0.0", "1.5.0", "2.0.0"]) images[version] = await addImage("Pump", version);
  images["other"] = await addImage("Valve", "1.0.0");
  const endpoints = Array.from({ length: 20 }, (_, i) => `pump-${`${i}`.padStart(2, "0")}`);
  stores.devices.queueSave(endpoints.map((endpoint) => exampleRegistration(endpoint)));
  for (const [i, endpoint] of endpoints.entries())
    stores.devices.queueReport({ endpoint, manufacturer: "Acme", model: "Pump", version: i === 0 ? "2.0.0" : "1.0.0" });
  await stores.devices.flush();
});
after(async () => {
  await open.close();
  await guarded.close();
  await scratch.close();
});

const placesOf = ({
  body,
}: {
  readonly body: { readonly facts: { readonly problems: readonly Mistake[] } };
}): string[] => body.facts.problems.map(({ path }) => path).toSorted();

const REACHABILITY = { awake: "awake", awakeUntil: null, nextExpectedAt: null, reachability: "always on" };
const PEOPLE = [
  ["vera", "viewer"],
  ["otto", "operator"],
  ["anna", "approver"],
  ["ben", "approver"],
] as const;

const ask = async (options: InjectOptions, by?: (typeof PEOPLE)[number][0]) => {
  const api = by === undefined ? open : guarded;
  const headers = { host: "127.0.0.1", ...(by && { authorization: `Bearer ${tokens[by]}` }), ...options.headers };
  const answer = await api.inject({ ...options, headers });
  const isJson = `${answer.headers["content-type"]}`.includes("json");
  return { status: answer.statusCode, headers: answer.headers, body: isJson ? answer.json() : answer.body };
};

async function addImage(model: string, version: string): Promise<string> {
  const answer = await ask({
    method: "POST",
    url: `/api/v1/images?manufacturer=Acme&model=${model}&version=${version}`,
    headers: { "content-type": "application/octet-stream" },
    payload: Buffer.from(`${model} ${version}`.repeat(100)),
  });
  return answer.body.id;
}

const specOf = (changes: Partial<NewCampaign> = {}): NewCampaign => ({
  name: "spring",
  image: images["2.0.0"] ?? "",
  targets: { query: "model==Pump" },
  ...changes,
});
const post = (path: string, payload?: object, by?: (typeof PEOPLE)[number][0], headers = {}) =>
  ask({ method: "POST", url: `/api/v1/campaigns${path}`, headers, ...(payload && { payload }) }, by);
const create = async (changes: Partial<NewCampaign> = {}, by?: (typeof PEOPLE)[number][0]) => {
  const answer = await post("", specOf(changes), by);
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body as { id: string; rollbackId: string | null; state: string; createdBy: string };
};
const get = (path: string, by?: (typeof PEOPLE)[number][0]) => ask({ url: `/api/v1/campaigns${path}` }, by);
/** Stops a campaign, and its devices tell that they have. */
async function stop(id: string) {
  const answer = await post(`/${id}/stop`);
  const { items } = await scratch.stores.campaigns.targets(id, {}, { limit: 1000 });
  for (const { endpoint, attempt, isUnderWay } of items)
    if (isUnderWay)
      await engine.report(
        { campaignId: id, endpoint },
        { attempt, state: "cancelled", failure: null, sentence: "cancelled by the operator" },
        Date.now(),
      );
  return answer;
}
const codeOf = ({ status, body }: { status: number; body: { code?: string } }) => `${status} ${body.code}`;

describe("a campaign's life", () => {
  test("it is created as a draft with its defaults and its devices in waves, and listed newest first", async () => {
    const waves = [
      { name: "canary", devices: { count: 5 }, successPercent: 90, soak: "1h" },
      { name: "rest", devices: "remaining" as const },
    ];
    const criteria = [{ outcomes: ["failed" as const], threshold: { percent: 2.5 }, do: "abort" as const }];
    const answer = await post("", specOf({ waves, criteria }));
    assert.equal(answer.status, 201);
    const { body } = answer;
    assert.equal(answer.headers["location"], `/api/v1/campaigns/${body.id}`);
    assert.deepEqual(
      [body.state, body.counts.total, body.createdBy, body.needsApproval],
      ["draft", 19, "local", false],
    );
    assert.deepEqual(
      body.waves.map(({ name, counts }: { name: string; counts: { total: number } }) => [name, counts.total]),
      [
        ["canary", 5],
        ["rest", 14],
      ],
    );
    assert.deepEqual(body.criteria[0].criterion.threshold, { percent: 2.5 });
    assert.equal(body.criteria[0].sentence, "0 of 0 devices that ended failed; the limit is 2.5 %");
    assert.equal(body.spec.silentAfter, "7d");
    const one = await get(`/${body.id}`);
    assert.deepEqual([one.body, one.headers["etag"]], [body, answer.headers["etag"]]);
    const list = await get("?state=draft&limit=1");
    assert.equal(list.body.items[0].id, body.id);
  });

  test("its broadcasts are told with it, in whatever state it is", async () => {
    const { id } = await create();
    assert.equal((await get(`/${id}`)).body.broadcast, undefined);
    const { stores } = scratch;
    await stores.mesh.gateways.add({ id: "north-1", cells: ["north"] });
    const session = { id: "00000000000000b1", campaignId: id, imageId: images["2.0.0"] ?? "", groupId: "pumps" };
    const plan = { cells: ["north"], deviceCount: 3, updateAtMs: 0, windows: [], plannedAirtimeMs: 5000 };
    await stores.mesh.sessions.record({ sessions: [{ ...session, gatewayId: "north-1", ...plan }] });
    await post(`/${id}/submit`);
    const { broadcast } = (await get(`/${id}`)).body;
    assert.deepEqual([broadcast.runningCount, broadcast.airtimePlannedMs], [1, 5000]);
  });

  test("it runs, pauses, goes on and stops; what a state does not allow is 409 and says why", async () => {
    const { id } = await create();
    assert.equal(codeOf(await post(`/${id}/start`)), "409 CAMPAIGN_STATE");
    for (const [command, state] of [
      ["submit", "ready"],
      ["start", "running"],
      ["pause", "paused"],
      ["resume", "running"],
      ["stop", "stopped"],
    ]) {
      const answer = command === "stop" ? await stop(id) : await post(`/${id}/${command}`);
      assert.deepEqual([answer.status, answer.body.state], [200, state], command);
    }
    assert.equal(codeOf(await post(`/${id}/resume`)), "409 CAMPAIGN_STATE");
    assert.equal(codeOf(await post(`/${id}/retry`)), "409 CAMPAIGN_STATE");
    const { body } = await get(`/${id}/events`);
    assert.match(body.items[0].sentence, /stopped by local|cancelled/);
    assert.ok(
      body.items.some(
        ({ sentence }: { sentence: string }) =>
          sentence === "paused by local: nothing new starts, and no device is told to apply",
      ),
    );
  });

  test("it is shown with its broadcast, as soon as there is one", async () => {
    const { id } = await create();
    assert.equal((await get(`/${id}`)).body.broadcast, undefined);
    const session = {
      id: "0011223344556677",
      campaignId: id,
      imageId: images["2.0.0"] ?? "",
      groupId: "g",
      gatewayId: "gw",
      cells: ["hall"],
      deviceCount: 3,
      windows: [],
      plannedAirtimeMs: 4000,
      updateAtMs: Date.UTC(2026, 5, 1),
    };
    await scratch.stores.mesh.sessions.record({ sessions: [session] });
    const { sessionCount, airtimePlannedMs } = (await get(`/${id}`)).body.broadcast;
    assert.deepEqual([sessionCount, airtimePlannedMs], [1, 4000]);
    assert.equal((await ask({ method: "DELETE", url: `/api/v1/campaigns/${id}` })).status, 204);
  });

  test("every device tells why it waits: not submitted, paused, full", async () => {
    const { id } = await create({ caps: { inFlight: 3 } });
    const sentences = async () => {
      const { body } = await get(`/${id}/targets?limit=1000`);
      assert.equal(body.items.length, 19);
      return new Map<string, string>(
        body.items.map((one: { endpoint: string; sentence: string }) => [one.endpoint, one.sentence]),
      );
    };
    assert.equal((await sentences()).get("pump-07"), "not started: the campaign is draft");
    await post(`/${id}/submit`);
    await post(`/${id}/start`);
    const running = [...(await sentences()).values()];
    assert.equal(
      running.filter((one) => one.startsWith("not started: 3 devices are being updated")).length >= 16,
      true,
    );
    await post(`/${id}/pause`);
    assert.ok(
      [...(await sentences()).values()].some((one) =>
        one.startsWith("not started: the campaign is paused (paused by local"),
      ),
    );
    assert.equal((await get(`/${id}/targets?wave=1`)).body.items.length, 0);
    await stop(id);
  });

  test("devices that were cancelled are tried again one by one, and one that is not there is 404", async () => {
    const { id } = await create({ caps: { inFlight: 2 } });
    await post(`/${id}/submit`);
    await post(`/${id}/start`);
    const [target] = (await scratch.stores.campaigns.targets(id, { state: "waiting" }, { limit: 100 })).items.filter(
      ({ isUnderWay }) => isUnderWay,
    );
    assert.ok(target, "a device is under way");
    await engine.report(
      { campaignId: id, endpoint: target.endpoint },
      {
        attempt: target.attempt,
        state: "failed",
        failure: "integrityFailed",
        sentence: "broken",
      },
      Date.now(),
    );
    assert.deepEqual((await post(`/${id}/retry`, { endpoint: target.endpoint })).body, { count: 1 });
    assert.equal(codeOf(await post(`/${id}/retry`, { endpoint: target.endpoint })), "409 TARGET_STATE");
    assert.equal(codeOf(await post(`/${id}/retry`, { endpoint: "nobody" })), "404 UNKNOWN_TARGET");
    assert.deepEqual((await post(`/${id}/retry`)).body, { count: 0 });
    await stop(id);
  });
});

describe("drafts", () => {
  test("members replace members, null takes one away, and the devices are dealt out anew", async () => {
    const { id } = await create({ windows: { download: [{ cron: "0 2 * * *", for: "3h" }] } });
    const seen = await get(`/${id}`);
    const edit = (payload: object, etag?: string) =>
      ask({
        method: "PATCH",
        url: `/api/v1/campaigns/${id}`,
        payload,
        headers: etag === undefined ? {} : { "if-match": etag },
      });
    const waves = [
      { name: "few", devices: { count: 2 } },
      { name: "rest", devices: "remaining" },
    ];
    const edited = await edit(
      { targets: { query: "endpoint==pump-1*" }, waves, windows: null },
      `${seen.headers["etag"]}`,
    );
    assert.equal(edited.status, 200, JSON.stringify(edited.body));
    assert.deepEqual([edited.body.counts.total, edited.body.waves[0].counts.total], [10, 2]);
    assert.deepEqual(edited.body.spec.windows.download, []);
    assert.equal((await get(`/${id}/targets`)).body.items.length, 10);
    assert.equal(codeOf(await edit({ name: "late" }, `${seen.headers["etag"]}`)), "412 ETAG_MISMATCH");
    assert.equal(codeOf(await edit({ name: "late" }, "W/x")), "412 ETAG_MISMATCH");
    const wrong = await edit({ waves: [{ name: "a", devices: { percent: 50 } }], colour: "red" });
    assert.equal(codeOf(wrong), "422 CAMPAIGN_SPEC");
    assert.deepEqual(placesOf(wrong), ["colour", "waves"]);
    await post(`/${id}/submit`);
    assert.equal(codeOf(await edit({ name: "late" })), "409 CAMPAIGN_STATE");
  });

  test("a draft is deleted with its devices and its rollback, anything else is not", async () => {
    const { id, rollbackId } = await create({ rollback: { image: images["1.0.0"] ?? "" } });
    const remove = () => ask({ method: "DELETE", url: `/api/v1/campaigns/${id}` });
    assert.equal((await remove()).status, 204);
    assert.equal(codeOf(await remove()), "404 UNKNOWN_CAMPAIGN");
    assert.equal(codeOf(await get(`/${rollbackId}`)), "404 UNKNOWN_CAMPAIGN");
    assert.equal((await scratch.stores.campaigns.targets(id, {}, { limit: 10 })).items.length, 0);
    const ready = await create();
    await post(`/${ready.id}/submit`);
    assert.equal(codeOf(await ask({ method: "DELETE", url: `/api/v1/campaigns/${ready.id}` })), "409 CAMPAIGN_STATE");
  });
});

describe("approval", () => {
  test("somebody else than who created or last changed it must approve, and only an approver", async () => {
    const { id } = await create({ approval: "required" }, "anna");
    const submitted = await post(`/${id}/submit`, undefined, "otto");
    assert.equal(submitted.body.state, "awaitingApproval");
    const sentence = "waits for somebody else than anna to approve it: its file asks for it";
    assert.equal(submitted.body.sentence, sentence);
    assert.equal(codeOf(await post(`/${id}/start`, undefined, "otto")), "409 CAMPAIGN_STATE");
    assert.equal(codeOf(await post(`/${id}/approve`, undefined, "otto")), "403 ROLE_REFUSED");
    assert.equal(codeOf(await post(`/${id}/approve`, undefined, "anna")), "403 SAME_PERSON");
    // Who edits it stands for it: an approver cannot slip something in and approve it.
    await post(`/${id}/reject`, undefined, "otto");
    const edit = { method: "PATCH", url: `/api/v1/campaigns/${id}`, payload: { priority: 7 } } as const;
    assert.equal((await ask(edit, "ben")).body.createdBy, "ben");
    await post(`/${id}/submit`, undefined, "otto");
    assert.equal(codeOf(await post(`/${id}/approve`, undefined, "ben")), "403 SAME_PERSON");
    const approved = await post(`/${id}/approve`, undefined, "anna");
    assert.deepEqual([approved.body.state, approved.body.approvedBy], ["ready", "anna"]);
  });

  test("what was looked at is what is approved: If-Match refuses a campaign that was changed in between", async () => {
    const { id } = await create({ approval: "required" }, "otto");
    await post(`/${id}/submit`, undefined, "otto");
    const { headers } = await get(`/${id}`, "anna");
    await post(`/${id}/reject`, undefined, "otto");
    await ask({ method: "PATCH", url: `/api/v1/campaigns/${id}`, payload: { priority: 9 } }, "otto");
    await post(`/${id}/submit`, undefined, "otto");
    const late = await post(`/${id}/approve`, undefined, "anna", { "if-match": headers["etag"] });
    assert.equal(codeOf(late), "412 ETAG_MISMATCH");
  });

  test("a downgrade waits for approval without being asked to", async () => {
    const { id } = await create({ downgrade: true }, "otto");
    assert.equal((await post(`/${id}/submit`, undefined, "otto")).body.state, "awaitingApproval");
  });

  test("where nobody signs in there is nobody else, and the approval says so", async () => {
    const { id } = await create({ approval: "required" });
    await post(`/${id}/submit`);
    assert.equal((await post(`/${id}/approve`)).body.approvedBy, "local (without sign-in)");
  });

  test("viewers read and plan, and change nothing", async () => {
    const { id } = await create({}, "otto");
    for (const path of ["", `/${id}`, `/${id}/plan`, `/${id}/targets`, `/${id}/events`])
      assert.equal((await get(path, "vera")).status, 200, path);
    assert.equal((await post("/plan", specOf(), "vera")).status, 200);
    assert.equal((await post("/preview", { query: "model==Pump" }, "vera")).body.count, 20);
    for (const path of ["", `/${id}/submit`, `/${id}/stop`, `/${id}/retry`])
      assert.equal(codeOf(await post(path, specOf(), "vera")), "403 ROLE_REFUSED", path);
  });
});

describe("rollback", () => {
  test("it is prepared with the campaign, started through it, and takes no word of its own before that", async () => {
    const { id, rollbackId } = await create({ rollback: { image: images["1.0.0"] ?? "" } });
    const prepared = await get(`/${rollbackId}`);
    assert.deepEqual([prepared.body.state, prepared.body.rollbackOf], ["ready", id]);
    for (const command of ["start", "reject", "stop", "approve"])
      assert.equal(codeOf(await post(`/${rollbackId}/${command}`)), "409 ROLLBACK_PREPARED", command);
    const submitted = await post(`/${id}/submit`);
    assert.deepEqual(
      [submitted.body.state, submitted.body.needsApproval, submitted.body.approvalReason],
      ["awaitingApproval", true, "prepares a rollback to 1.0.0, a downgrade"],
    );
    assert.equal(codeOf(await post(`/${id}/start`)), "409 CAMPAIGN_STATE");
    assert.equal((await post(`/${id}/approve`, undefined, "anna")).body.state, "ready");
    await post(`/${id}/start`);
    assert.equal((await post(`/${id}/rollback`)).body.state, "aborted");
    const { body } = await get(`/${rollbackId}`);
    assert.deepEqual([body.state, body.sentence], ["finished", "finished: no device matched"]);
  });

  test("without one there is none, and one that cannot undo is refused where it is written", async () => {
    const { id } = await create();
    await post(`/${id}/submit`);
    await post(`/${id}/start`);
    assert.equal(codeOf(await post(`/${id}/rollback`)), "409 NO_ROLLBACK");
    for (const image of [images["2.0.0"], images["other"]]) {
      const answer = await post("", specOf({ rollback: { image: image ?? "" } }));
      assert.deepEqual([answer.status, placesOf(answer)], [422, ["rollback.image"]]);
    }
    await stop(id);
  });
});

describe("plans", () => {
  const plan = async (changes: Partial<NewCampaign>) => {
    const answer = await post("/plan", specOf(changes));
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body;
  };

  test("waves, bytes, an end, and who is left out and why; the campaign's own plan has the same counts", async () => {
    const waves = [
      { name: "canary", devices: { count: 4 } },
      { name: "rest", devices: "remaining" as const },
    ];
    const body = await plan({ waves });
    assert.deepEqual([body.matchedCount, body.targetCount], [20, 19]);
    const prepared = await plan({ waves, rollback: { image: images["1.0.0"] ?? "" } });
    assert.ok(prepared.warnings.includes("needs approval: prepares a rollback to 1.0.0, a downgrade"));
    assert.deepEqual(
      body.waves.map(({ count }: { count: number }) => count),
      [4, 15],
    );
    assert.equal(body.bytes, 19 * 1000);
    assert.deepEqual(body.exclusions, [
      { reason: "alreadyRuns", count: 1, sentence: "skipped: the device already runs 2.0.0", endpoints: ["pump-00"] },
    ]);
    assert.ok(Date.parse(body.expectedEndAt) > Date.now());
    const { id } = await create({ waves });
    const own = (await get(`/${id}/plan`)).body;
    assert.deepEqual({ ...own, waves: [], expectedEndAt: "" }, { ...body, waves: [], expectedEndAt: "" });
    const planned = own.waves.map(({ count }: { count: number }) => count);
    assert.deepEqual(planned, [4, 15]);
    await post(`/${id}/submit`);
    const { body: running } = await post(`/${id}/start`);
    assert.deepEqual(
      [...running.waves.map(({ counts }: { counts: { total: number } }) => counts.total), running.counts.skipped],
      [4, 15, 0],
    );
    assert.match((await get(`/${id}/events`)).body.items.at(-1).sentence, /for 19 devices; 1 that matches is left out/);
    await stop(id);
  });

  test("a query that finds nothing, and one that finds everything, is said out loud", async () => {
    assert.deepEqual((await plan({ targets: { query: "model==Nothing" } })).warnings, ["the query matches no device"]);
    const all = "the query matches every device that there is, all 20 of them";
    for (const query of ["endpoint==*", "model=in=(Pump,Valve)", "hardware!=Z"])
      assert.ok((await plan({ targets: { query } })).warnings.includes(all), query);
    const some = await plan({ targets: { query: "endpoint!=pump-03" } });
    assert.ok(!some.warnings.some((one: string) => one.includes("every device")));
    assert.equal((await post("/preview", { query: "endpoint==pump-*" })).body.isWholeFleet, true);
    assert.equal((await post("/preview", { query: "endpoint!=pump-03" })).body.isWholeFleet, false);
    const { id } = await create({ targets: { query: "endpoint==*" } });
    assert.ok((await get(`/${id}/plan`)).body.warnings.includes(all));
    assert.equal((await post("/preview", { query: "model==Nothing" })).body.count, 0);
    assert.equal((await post("/preview", { query: "endpoint==*" })).body.count, 20);
  });

  test("stepping stones that lead round in a circle, criteria that can never be met, windows that never open", async () => {
    const stone = images["1.5.0"] ?? "";
    const circle = await plan({
      from: [{ atLeast: "1.9.0" }],
      steppingStones: [{ image: stone, from: [{ atLeast: "1.0.0", below: "1.9.0" }] }],
    });
    assert.equal(circle.exclusions.find(({ reason }: { reason: string }) => reason === "noSteppingStone").count, 19);
    assert.ok(
      circle.warnings.some((one: string) => one.startsWith("stepping stone 1.5.0 leads")),
      circle.warnings,
    );
    const criteria = [{ outcomes: ["failed" as const], threshold: { count: 50 }, do: "abort" as const }];
    const never = await plan({ criteria, targets: { query: "model==Pump;endpoint!=pump-00" } });
    assert.deepEqual(never.warnings, [
      "a criterion of the campaign needs 50 devices that ended, and there are 19: it can never be met",
    ]);
    const shut = await plan({ windows: { download: [{ cron: "0 0 30 2 *", for: "1h" }] } });
    assert.equal(shut.exclusions.find(({ reason }: { reason: string }) => reason === "windowNeverOpens").count, 19);
    assert.ok(shut.warnings.includes("every device that matches is left out"));
  });

  test("a downgrade leaves out who runs more, until it is allowed", async () => {
    const image = images["1.0.0"] ?? "";
    const refused = await plan({ image });
    assert.deepEqual(refused.exclusions.map(({ reason }: { reason: string }) => reason).toSorted(), [
      "alreadyRuns",
      "downgrade",
    ]);
    assert.equal((await plan({ image, downgrade: true })).targetCount, 1);
  });
});

describe("what is refused", () => {
  test("an image that is not there, a query, a zone, a schedule that cannot be read: each with its place", async () => {
    const cases: [object, string][] = [
      [{ image: "0000000000000000" }, "image"],
      [{ steppingStones: [{ image: "0000000000000000" }] }, "steppingStones.0.image"],
      [{ targets: { query: "model=" } }, "targets.query"],
      [
        {
          waves: [
            { name: "a", devices: { query: "(" } },
            { name: "b", devices: "remaining" },
          ],
        },
        "waves.0.devices.query",
      ],
      [{ timeZone: "Mars/Olympus" }, "timeZone"],
      [{ windows: { apply: [{ cron: "61 * * * *", for: "1h" }] } }, "windows.apply.0.cron"],
      [{ criteria: [{ outcomes: ["failed"], threshold: { count: 1 }, do: "startRollback" }] }, "criteria.0.do"],
      [{ criteria: [{ outcomes: ["failed"], threshold: { percent: 0 }, do: "abort" }] }, "criteria.0.threshold"],
    ];
    for (const [changes, path] of cases)
      for (const at of ["", "/plan"]) {
        const answer = await post(at, { ...specOf(), ...changes });
        assert.deepEqual(
          [codeOf(answer), placesOf(answer)],
          ["422 CAMPAIGN_SPEC", [path]],
          JSON.stringify(answer.body),
        );
      }
  });

  test("whatever is wrong, in shape or in meaning, is told at once with its place", async () => {
    const wrong = {
      ...specOf(),
      colour: "red",
      image: "0000000000000000",
      targets: { query: "flavour==sweet" },
      timeZone: "Mars/Olympus",
      waves: [
        { name: "a", devices: { query: "(" } },
        { name: "b", devices: { query: "flavour==sour" }, soak: "soon" },
        {
          name: "a",
          devices: "remaining",
          criteria: [{ outcomes: ["failed"], threshold: { percent: 0 }, do: "abort" }],
        },
      ],
      criteria: [{ outcomes: ["failed"], threshold: { count: 1 }, do: "startRollback" }],
      windows: { download: [{ cron: "61 * * * *", for: "0h" }] },
    };
    const { id } = await create();
    for (const answer of [
      await post("", wrong),
      await post("/plan", wrong),
      await ask({ method: "PATCH", url: `/api/v1/campaigns/${id}`, payload: wrong }),
    ]) {
      assert.equal(codeOf(answer), "422 CAMPAIGN_SPEC");
      assert.deepEqual(
        answer.body.facts.problems.map(({ path, code }: Mistake) => `${path} ${code}`).toSorted(),
        [
          "colour UNKNOWN_MEMBER",
          "criteria.0.do NO_ROLLBACK",
          "image UNKNOWN_IMAGE",
          "targets.query QUERY_FIELD",
          "timeZone UNKNOWN_ZONE",
          "waves.0.devices.query QUERY_SYNTAX",
          "waves.1.devices.query QUERY_FIELD",
          "waves.1.soak MEMBER",
          "waves.2.criteria.0.threshold THRESHOLD",
          "waves.2.name WAVE_NAME",
          "windows.download.0.cron CRON_SYNTAX",
          "windows.download.0.for WINDOW",
        ],
        JSON.stringify(answer.body),
      );
    }
    assert.equal(codeOf(await post("", [])), "422 CAMPAIGN_SPEC");
  });

  test("an unknown campaign is 404 everywhere", async () => {
    for (const path of ["/nobody", "/nobody/plan", "/nobody/targets", "/nobody/events"])
      assert.equal(codeOf(await get(path)), "404 UNKNOWN_CAMPAIGN", path);
    for (const path of ["/nobody/start", "/nobody/retry"])
      assert.equal(codeOf(await post(path)), "404 UNKNOWN_CAMPAIGN", path);
    assert.equal(codeOf(await post("/preview", { query: "(((" })), "400 QUERY_SYNTAX");
    assert.equal(codeOf(await get("?cursor=!")), "400 CURSOR");
  });
});
