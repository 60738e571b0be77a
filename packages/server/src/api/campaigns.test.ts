import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CampaignStage, codeOf, placesOf } from "./campaign-stage.ts";

let stage: CampaignStage;
before(async () => {
  stage = await CampaignStage.open();
});
after(() => stage.close());

describe("a campaign's life", () => {
  test("it is created as a draft with its defaults and its devices in waves, and listed newest first", async () => {
    const waves = [
      { name: "canary", devices: { count: 5 }, successPercent: 90, soak: "1h" },
      { name: "rest", devices: "remaining" as const },
    ];
    const criteria = [{ outcomes: ["failed" as const], threshold: { percent: 2.5 }, do: "abort" as const }];
    const answer = await stage.post("", stage.specOf({ waves, criteria }));
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
    const one = await stage.get(`/${body.id}`);
    assert.deepEqual([one.body, one.headers["etag"]], [body, answer.headers["etag"]]);
    const list = await stage.get("?state=draft&limit=1");
    assert.equal(list.body.items[0].id, body.id);
  });

  test("its broadcasts are told with it, in whatever state it is", async () => {
    const { id } = await stage.create();
    assert.equal((await stage.get(`/${id}`)).body.broadcast, undefined);
    const { stores } = stage.scratch;
    await stores.mesh.gateways.add({ id: "north-1", cells: ["north"] });
    const session = { id: "00000000000000b1", campaignId: id, imageId: stage.images["2.0.0"] ?? "", groupId: "pumps" };
    const plan = { cells: ["north"], deviceCount: 3, updateAtMs: 0, windows: [], plannedAirtimeMs: 5000 };
    await stores.mesh.sessions.record({ sessions: [{ ...session, gatewayId: "north-1", ...plan }] });
    await stage.post(`/${id}/submit`);
    const { broadcast } = (await stage.get(`/${id}`)).body;
    assert.deepEqual([broadcast.runningCount, broadcast.airtimePlannedMs], [1, 5000]);
  });

  test("it runs, pauses, goes on and stops; what a state does not allow is 409 and says why", async () => {
    const { id } = await stage.create();
    assert.equal(codeOf(await stage.post(`/${id}/start`)), "409 CAMPAIGN_STATE");
    for (const [command, state] of [
      ["submit", "ready"],
      ["start", "running"],
      ["pause", "paused"],
      ["resume", "running"],
      ["stop", "stopped"],
    ]) {
      const answer = command === "stop" ? await stage.stop(id) : await stage.post(`/${id}/${command}`);
      assert.deepEqual([answer.status, answer.body.state], [200, state], command);
    }
    assert.equal(codeOf(await stage.post(`/${id}/resume`)), "409 CAMPAIGN_STATE");
    assert.equal(codeOf(await stage.post(`/${id}/retry`)), "409 CAMPAIGN_STATE");
    const { body } = await stage.get(`/${id}/events`);
    assert.match(body.items[0].sentence, /stopped by local|cancelled/);
    assert.ok(
      body.items.some(
        ({ sentence }: { sentence: string }) =>
          sentence === "paused by local: nothing new starts, and no device is told to apply",
      ),
    );
  });

  test("it is shown with its broadcast, as soon as there is one", async () => {
    const { id } = await stage.create();
    assert.equal((await stage.get(`/${id}`)).body.broadcast, undefined);
    const session = {
      id: "0011223344556677",
      campaignId: id,
      imageId: stage.images["2.0.0"] ?? "",
      groupId: "g",
      gatewayId: "gw",
      cells: ["hall"],
      deviceCount: 3,
      windows: [],
      plannedAirtimeMs: 4000,
      updateAtMs: Date.UTC(2026, 5, 1),
    };
    await stage.scratch.stores.mesh.sessions.record({ sessions: [session] });
    const { sessionCount, airtimePlannedMs } = (await stage.get(`/${id}`)).body.broadcast;
    assert.deepEqual([sessionCount, airtimePlannedMs], [1, 4000]);
    assert.equal((await stage.ask({ method: "DELETE", url: `/api/v1/campaigns/${id}` })).status, 204);
  });

  test("every device tells why it waits: not submitted, paused, full", async () => {
    const { id } = await stage.create({ caps: { inFlight: 3 } });
    const sentences = async () => {
      const { body } = await stage.get(`/${id}/targets?limit=1000`);
      assert.equal(body.items.length, 19);
      return new Map<string, string>(
        body.items.map((one: { endpoint: string; sentence: string }) => [one.endpoint, one.sentence]),
      );
    };
    assert.equal((await sentences()).get("pump-07"), "not started: the campaign is draft");
    await stage.post(`/${id}/submit`);
    await stage.post(`/${id}/start`);
    const running = [...(await sentences()).values()];
    assert.equal(
      running.filter((one) => one.startsWith("not started: 3 devices are being updated")).length >= 16,
      true,
    );
    await stage.post(`/${id}/pause`);
    assert.ok(
      [...(await sentences()).values()].some((one) =>
        one.startsWith("not started: the campaign is paused (paused by local"),
      ),
    );
    assert.equal((await stage.get(`/${id}/targets?wave=1`)).body.items.length, 0);
    await stage.stop(id);
  });

  test("a device tells of the running and paused campaigns that have it, newest first, and why it waits in each", async () => {
    const waves = [
      { name: "few", devices: { query: "endpoint==pump-01" } },
      { name: "rest", devices: "remaining" as const },
    ];
    const of = async (endpoint: string, more = "") =>
      (await stage.ask({ url: `/api/v1/devices/${endpoint}/campaigns${more}` })).body;
    const older = await stage.create({ waves });
    assert.deepEqual(await of("pump-09"), { items: [], next: null });
    for (const word of ["submit", "start", "pause"]) await stage.post(`/${older.id}/${word}`);
    const [target] = (await stage.get(`/${older.id}/targets?wave=1`)).body.items;
    const { items } = await of(target.endpoint);
    assert.deepEqual(items, [{ ...target, campaignName: "spring", campaignState: "paused", waveName: "rest" }]);
    assert.match(items[0].sentence, /^not started: the campaign is paused \(paused by local/);
    const newer = await stage.create();
    for (const word of ["submit", "start"]) await stage.post(`/${newer.id}/${word}`);
    const first = await of("pump-09", "?limit=1");
    assert.deepEqual([first.items[0].campaignId, first.items.length], [newer.id, 1]);
    const second = await of("pump-09", `?limit=1&cursor=${first.next}`);
    assert.deepEqual([second.items[0].campaignId, second.next], [older.id, null]);
    for (const { id } of [older, newer]) await stage.stop(id);
    assert.deepEqual(await of("pump-09"), { items: [], next: null });
    assert.deepEqual((await of("nobody")).code, "UNKNOWN_DEVICE");
  });

  test("devices that were cancelled are tried again one by one, and one that is not there is 404", async () => {
    const { id } = await stage.create({ caps: { inFlight: 2 } });
    await stage.post(`/${id}/submit`);
    await stage.post(`/${id}/start`);
    const [target] = (
      await stage.scratch.stores.campaigns.targets(id, { state: "waiting" }, { limit: 100 })
    ).items.filter(({ isUnderWay }) => isUnderWay);
    assert.ok(target, "a device is under way");
    await stage.engine.report(
      { campaignId: id, endpoint: target.endpoint },
      {
        attempt: target.attempt,
        state: "failed",
        failure: "integrityFailed",
        sentence: "broken",
      },
      Date.now(),
    );
    assert.deepEqual((await stage.post(`/${id}/retry`, { endpoint: target.endpoint })).body, { count: 1, next: null });
    assert.equal(codeOf(await stage.post(`/${id}/retry`, { endpoint: target.endpoint })), "409 TARGET_STATE");
    assert.equal(codeOf(await stage.post(`/${id}/retry`, { endpoint: "nobody" })), "404 UNKNOWN_TARGET");
    assert.deepEqual((await stage.post(`/${id}/retry`)).body, { count: 0, next: null });
    assert.equal(codeOf(await stage.post(`/${id}/retry`, { cursor: "!" })), "400 CURSOR");
    await stage.stop(id);
  });
});

describe("drafts", () => {
  test("members replace members, null takes one away, and the devices are dealt out anew", async () => {
    const { id } = await stage.create({ windows: { download: [{ cron: "0 2 * * *", for: "3h" }] } });
    const seen = await stage.get(`/${id}`);
    const edit = (payload: object, etag?: string) =>
      stage.ask({
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
    assert.equal((await stage.get(`/${id}/targets`)).body.items.length, 10);
    assert.equal(codeOf(await edit({ name: "late" }, `${seen.headers["etag"]}`)), "412 ETAG_MISMATCH");
    assert.equal(codeOf(await edit({ name: "late" }, "W/x")), "412 ETAG_MISMATCH");
    const wrong = await edit({ waves: [{ name: "a", devices: { percent: 50 } }], colour: "red" });
    assert.equal(codeOf(wrong), "422 CAMPAIGN_SPEC");
    assert.deepEqual(placesOf(wrong), ["colour", "waves"]);
    await stage.post(`/${id}/submit`);
    assert.equal(codeOf(await edit({ name: "late" })), "409 CAMPAIGN_STATE");
  });

  test("a draft is deleted with its devices and its rollback, anything else is not", async () => {
    const { id, rollbackId } = await stage.create({ rollback: { image: stage.images["1.0.0"] ?? "" } });
    const remove = () => stage.ask({ method: "DELETE", url: `/api/v1/campaigns/${id}` });
    assert.equal((await remove()).status, 204);
    assert.equal(codeOf(await remove()), "404 UNKNOWN_CAMPAIGN");
    assert.equal(codeOf(await stage.get(`/${rollbackId}`)), "404 UNKNOWN_CAMPAIGN");
    assert.equal((await stage.scratch.stores.campaigns.targets(id, {}, { limit: 10 })).items.length, 0);
    const ready = await stage.create();
    await stage.post(`/${ready.id}/submit`);
    assert.equal(
      codeOf(await stage.ask({ method: "DELETE", url: `/api/v1/campaigns/${ready.id}` })),
      "409 CAMPAIGN_STATE",
    );
  });
});
