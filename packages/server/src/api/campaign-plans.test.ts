import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { NewCampaign } from "@airlift/protocol/api/campaign";
import type { Mistake } from "@airlift/protocol/api/mistakes";
import { CampaignStage, codeOf, placesOf } from "./campaign-stage.ts";

let stage: CampaignStage;
before(async () => {
  stage = await CampaignStage.open();
});
after(() => stage.close());

describe("plans", () => {
  const plan = async (changes: Partial<NewCampaign>) => {
    const answer = await stage.post("/plan", stage.specOf(changes));
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
    const prepared = await plan({ waves, rollback: { image: stage.images["1.0.0"] ?? "" } });
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
    const { id } = await stage.create({ waves });
    const own = (await stage.get(`/${id}/plan`)).body;
    assert.deepEqual({ ...own, waves: [], expectedEndAt: "" }, { ...body, waves: [], expectedEndAt: "" });
    const planned = own.waves.map(({ count }: { count: number }) => count);
    assert.deepEqual(planned, [4, 15]);
    await stage.post(`/${id}/submit`);
    const { body: running } = await stage.post(`/${id}/start`);
    assert.deepEqual(
      [...running.waves.map(({ counts }: { counts: { total: number } }) => counts.total), running.counts.skipped],
      [4, 15, 0],
    );
    assert.match(
      (await stage.get(`/${id}/events`)).body.items.at(-1).sentence,
      /for 19 devices; 1 that matches is left out/,
    );
    await stage.stop(id);
  });

  test("what somebody else has approved needs no approval any more, also when it is about to start", async () => {
    const { id } = await stage.create({ rollback: { image: stage.images["1.0.0"] ?? "" } });
    const isWarned = async () => {
      const { warnings } = (await stage.get(`/${id}/plan`)).body as { warnings: readonly string[] };
      return warnings.some((warning) => warning.startsWith("needs approval"));
    };
    await stage.post(`/${id}/submit`);
    assert.equal(await isWarned(), true);
    await stage.post(`/${id}/approve`);
    assert.equal(await isWarned(), false);
    await stage.stop(id);
  });

  test("a query that finds nothing, and one that finds everything, is said out loud", async () => {
    assert.deepEqual((await plan({ targets: { query: "model==Nothing" } })).warnings, ["the query matches no device"]);
    const all = "the query matches every device that there is, all 20 of them";
    for (const query of ["endpoint==*", "model=in=(Pump,Valve)", "hardware!=Z"])
      assert.ok((await plan({ targets: { query } })).warnings.includes(all), query);
    const some = await plan({ targets: { query: "endpoint!=pump-03" } });
    assert.ok(!some.warnings.some((one: string) => one.includes("every device")));
    assert.equal((await stage.post("/preview", { query: "endpoint==pump-*" })).body.isWholeFleet, true);
    assert.equal((await stage.post("/preview", { query: "endpoint!=pump-03" })).body.isWholeFleet, false);
    const { id } = await stage.create({ targets: { query: "endpoint==*" } });
    assert.ok((await stage.get(`/${id}/plan`)).body.warnings.includes(all));
    assert.equal((await stage.post("/preview", { query: "model==Nothing" })).body.count, 0);
    assert.equal((await stage.post("/preview", { query: "endpoint==*" })).body.count, 20);
  });

  test("stepping stones that lead round in a circle, criteria that can never be met, windows that never open", async () => {
    const stone = stage.images["1.5.0"] ?? "";
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
    const image = stage.images["1.0.0"] ?? "";
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
        const answer = await stage.post(at, { ...stage.specOf(), ...changes });
        assert.deepEqual(
          [codeOf(answer), placesOf(answer)],
          ["422 CAMPAIGN_SPEC", [path]],
          JSON.stringify(answer.body),
        );
      }
  });

  test("whatever is wrong, in shape or in meaning, is told at once with its place", async () => {
    const wrong = {
      ...stage.specOf(),
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
    const { id } = await stage.create();
    for (const answer of [
      await stage.post("", wrong),
      await stage.post("/plan", wrong),
      await stage.ask({ method: "PATCH", url: `/api/v1/campaigns/${id}`, payload: wrong }),
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
    assert.equal(codeOf(await stage.post("", [])), "422 CAMPAIGN_SPEC");
  });

  test("a wrong member hides no mistake of meaning beside it", async () => {
    const wrong = {
      ...stage.specOf(),
      rollback: {
        image: stage.images["2.0.0"],
        inFlight: -1,
        startsPerMinute: { base: 9, factor: 2, max: 5, per: { started: 5 } },
      },
      caps: { inFlight: 0, startsPerMinute: { base: 9, factor: 2, max: 5, per: { started: 5 } } },
      retry: {
        connectionLost: { attempts: 0, backoff: "2h", longest: "1h" },
        noMemory: { attempts: 2, backoff: "soon", longest: "1s" },
      },
      penaltyBox: { failures: 0, for: "7d" },
      windows: {
        apply: [{ cron: "61 * * * *", for: "soon" }],
        blackout: [
          { from: "2026-02-31", to: "2026-03-05" },
          { from: "2026-02-01", to: "soon" },
        ],
      },
      from: [{ atLeast: "1.10.0", below: "1.9.0" }, { atLeast: 2 }],
      criteria: [{ outcomes: ["failed"], threshold: { percent: 0 }, do: "startRollback", minimumExecuted: -1 }],
      waves: [{ name: "a", devices: { percent: 50 }, soak: 3 }],
    };
    const answer = await stage.post("", wrong);
    assert.deepEqual(
      answer.body.facts.problems.map(({ path, code }: Mistake) => `${path} ${code}`).toSorted(),
      [
        "caps.inFlight MEMBER",
        "caps.startsPerMinute START_RATE",
        "criteria.0.minimumExecuted MEMBER",
        "criteria.0.threshold THRESHOLD",
        "from.0 VERSION_RANGE",
        "from.1.atLeast MEMBER",
        "penaltyBox.failures MEMBER",
        "retry.connectionLost.attempts MEMBER",
        "retry.connectionLost.backoff RETRY_PAUSE",
        "retry.noMemory.backoff MEMBER",
        "rollback.image ROLLBACK_IMAGE",
        "rollback.inFlight MEMBER",
        "rollback.startsPerMinute START_RATE",
        "waves MEMBER",
        "waves.0.soak MEMBER",
        "windows.apply.0.cron CRON_SYNTAX",
        "windows.apply.0.for MEMBER",
        "windows.blackout.0 BLACKOUT",
        "windows.blackout.1.to MEMBER",
      ],
      JSON.stringify(answer.body),
    );
  });

  test("an unknown campaign is 404 everywhere", async () => {
    for (const path of ["/nobody", "/nobody/plan", "/nobody/targets", "/nobody/events"])
      assert.equal(codeOf(await stage.get(path)), "404 UNKNOWN_CAMPAIGN", path);
    for (const path of ["/nobody/start", "/nobody/retry"])
      assert.equal(codeOf(await stage.post(path)), "404 UNKNOWN_CAMPAIGN", path);
    assert.equal(codeOf(await stage.post("/preview", { query: "(((" })), "400 QUERY_SYNTAX");
    assert.equal(codeOf(await stage.get("?cursor=!")), "400 CURSOR");
  });
});
