import assert from "node:assert/strict";
import { test } from "node:test";
import { CampaignSpec, type NewCampaign } from "@airlift/protocol/api/campaign";
import { reachable } from "@airlift/protocol/machine/table";
import { CAMPAIGN_STATES, type CampaignCommand, WAVE_STATES } from "@airlift/protocol/update/campaign";
import { FINAL_UPDATE_STATES, UPDATE_STATES } from "@airlift/protocol/update/device-update";
import { type Campaign, countsOf, newCampaign, newRollback } from "./campaign.ts";
import { stepCampaign } from "./campaign-step.ts";
import { CAMPAIGN, FINAL_CAMPAIGN_STATES, WAVE } from "./campaign-table.ts";
import { exampleDevice } from "./device-example.ts";
import { CampaignEngine } from "./engine.ts";
import { MemoryCampaignStore } from "./memory-store.ts";
import { allowance, NEW_PACE, type Pace, ratePerMinute, rebase, spend } from "./pace.ts";
import { CampaignPlanner } from "./plan.ts";
import { type CampaignPolicy, compilePolicy, rollbackSpec } from "./policy.ts";
import { chainFrom, stoneProblems } from "./stepping-stones.ts";
import { newTarget } from "./target.ts";
import { TARGET } from "./target-table.ts";
import { countsSince, failedCount, NO_COUNTS, type Place } from "./wave-counts.ts";
import { dealWaves, orderKey, waveSizes } from "./waves.ts";

const IMAGE = {
  id: "00000000000000aa",
  manufacturer: "Acme",
  model: "pump",
  version: "2.0.0",
  hardware: [],
  sizeBytes: 1000,
};
const NOW = Date.UTC(2026, 0, 1, 12);

const specOf = (more: Partial<NewCampaign> = {}): CampaignSpec =>
  CampaignSpec.parse({ name: "test", image: IMAGE.id, targets: { query: "*" }, ...more });
const policyOf = (more: Partial<NewCampaign> = {}): CampaignPolicy =>
  compilePolicy(
    specOf(more),
    (id) => ({ ...IMAGE, id }),
    () => 0,
  );

const deviceOf = (endpoint: string) => exampleDevice(endpoint, { lastSeenAtMs: NOW });

test("tables: every state is reached, and an end from every state", () => {
  assert.deepEqual([...reachable(CAMPAIGN, "draft")].sort(), [...CAMPAIGN_STATES].sort());
  for (const state of CAMPAIGN_STATES)
    assert.ok(
      [...reachable(CAMPAIGN, state)].some((one) => FINAL_CAMPAIGN_STATES.includes(one)),
      state,
    );
  assert.deepEqual([...reachable(WAVE, "waiting")].sort(), [...WAVE_STATES].sort());
  for (const state of WAVE_STATES) assert.ok(reachable(WAVE, state).has("passed"), state);
  assert.deepEqual([...reachable(TARGET, "queued")].sort(), [...UPDATE_STATES].sort());
  for (const state of UPDATE_STATES)
    assert.ok(
      FINAL_UPDATE_STATES.some((end) => reachable(TARGET, state).has(end)),
      state,
    );
});

test("who created a campaign that needs approval cannot approve it", () => {
  const policy = policyOf({ approval: "required" });
  const tell = (campaign: Campaign, command: CampaignCommand, by: string): Campaign =>
    stepCampaign(campaign, policy, { kind: "command", command, by }, NOW).campaign;
  const submitted = tell(newCampaign({ id: "c", createdBy: "first" }, policy, [5]), "submit", "first");
  assert.equal(submitted.state, "awaitingApproval");
  assert.throws(() => tell(submitted, "start", "first"), { code: "CAMPAIGN_STATE" });
  assert.throws(() => tell(submitted, "approve", "first"), { code: "SAME_PERSON" });
  assert.equal(tell(submitted, "approve", "second").state, "ready");
});

test("two people of one name may approve each other's campaigns, and one who was renamed may not approve their own", () => {
  const policy = policyOf({ approval: "required" });
  const author = { createdBy: "kim", creatorId: "account https://login.example 1" } as const;
  const submit = { kind: "command", command: "submit", by: "kim" } as const;
  const submitted = stepCampaign(newCampaign({ id: "c", ...author }, policy, [5]), policy, submit, NOW).campaign;
  const approve = (by: string, sub: string) => {
    const personId = `account https://login.example ${sub}` as const;
    return stepCampaign(submitted, policy, { kind: "command", command: "approve", by, personId }, NOW).campaign;
  };
  assert.throws(() => approve("kim the second", "1"), { code: "SAME_PERSON" });
  assert.equal(approve("kim", "2").approverId, "account https://login.example 2");
});

test("a downgrade always needs approval", () => {
  assert.equal(policyOf({ downgrade: true }).needsApproval, true);
});

test("a threshold acts in the step of the report that crosses it, not one earlier", () => {
  const criteria: NewCampaign["criteria"] = [
    { outcomes: ["failed"], threshold: { percent: 2.5 }, minimumExecuted: 40, do: "pauseCampaign" },
  ];
  const policy = policyOf({ criteria });
  let campaign = newCampaign({ id: "c", createdBy: "first" }, policy, [100]);
  for (const command of ["submit", "start"] as const)
    campaign = stepCampaign(campaign, policy, { kind: "command", command, by: "first" }, NOW).campaign;
  const end = (failed: boolean): void => {
    const to = { phase: failed ? "failed" : "succeeded", failure: failed ? "updateFailed" : null } as const;
    const move = {
      wave: 0,
      from: { phase: "pending", failure: null } as const,
      to,
      cell: null,
      begunBytes: null,
      deliveredBytes: 0,
    };
    campaign = stepCampaign(campaign, policy, { kind: "moved", moves: [move] }, NOW).campaign;
  };
  for (let i = 0; i < 39; i += 1) end(i === 0);
  assert.equal(campaign.state, "running", "39 of 40 ended");
  end(false);
  assert.equal(campaign.state, "paused", "1 of 40 is 2.5 %");
  assert.match(campaign.sentence, /paused by itself: 1 of 40 .* the limit is 2.5 %/);
  const resumed = stepCampaign(campaign, policy, { kind: "command", command: "resume", by: "first" }, NOW).campaign;
  assert.equal(
    stepCampaign(resumed, policy, { kind: "moved", moves: [] }, NOW).campaign.state,
    "running",
    "what was forgiven is not counted again",
  );
});

test("a wave of which nothing was updated does not let the next one begin by itself", () => {
  const waves: NewCampaign["waves"] = [
    { name: "canaries", devices: { count: 2 }, successPercent: 100 },
    { name: "rest", devices: "remaining" },
  ];
  const policy = policyOf({ waves });
  const pending = { phase: "pending", failure: null } as const;
  const begin = (sizes: number[], steps: readonly Parameters<typeof stepCampaign>[2][]): Campaign =>
    [
      ...(["submit", "start"] as const).map((command) => ({ kind: "command", command, by: "first" }) as const),
      ...steps,
    ].reduce(
      (campaign, input) => stepCampaign(campaign, policy, input, NOW).campaign,
      newCampaign({ id: "c", createdBy: "first" }, policy, sizes),
    );
  const end = (wave: number, phase: "skipped" | "succeeded") =>
    ({
      kind: "moved",
      moves: [{ wave, from: pending, to: { phase, failure: null }, cell: null, begunBytes: null, deliveredBytes: 0 }],
    }) as const;
  const unproved = begin([2, 5], [end(0, "skipped"), end(0, "skipped")]);
  assert.deepEqual([unproved.state, unproved.waves.map(({ state }) => state)], ["paused", ["failed", "waiting"]]);
  assert.match(unproved.sentence, /^wave canaries proved nothing: all 2 of its devices were skipped or cancelled/);
  const resume = { kind: "command", command: "resume", by: "first" } as const;
  assert.equal(
    stepCampaign(unproved, policy, resume, NOW).campaign.waves[1]?.state,
    "running",
    "as the operator wants it",
  );
  assert.equal(begin([2, 5], [end(0, "skipped"), end(0, "succeeded")]).waves[1]?.state, "running", "one is a proof");
  assert.equal(begin([0, 5], []).waves[1]?.state, "running", "a wave without devices was said to be one");
  assert.equal(begin([2, 0], [end(0, "skipped"), end(0, "skipped")]).state, "finished", "nobody waits for it");
});

test("who is tried again after it was forgiven, and fails again, counts", () => {
  const policy = policyOf({ criteria: [{ outcomes: ["failed"], threshold: { count: 2 }, do: "pauseCampaign" }] });
  let campaign = newCampaign({ id: "c", createdBy: "first" }, policy, [10]);
  const tell = (command: CampaignCommand): void => {
    campaign = stepCampaign(campaign, policy, { kind: "command", command, by: "first" }, NOW).campaign;
  };
  const pending = { phase: "pending", failure: null } as const;
  const failed = { phase: "failed", failure: "updateFailed" } as const;
  const move = (from: Place, to: Place): void => {
    const moves = [{ wave: 0, from, to, cell: null, begunBytes: null, deliveredBytes: 0 }];
    campaign = stepCampaign(campaign, policy, { kind: "moved", moves }, NOW).campaign;
  };
  const counted = (): number => {
    const counts = countsSince(countsOf(campaign), campaign.forgiven);
    assert.deepEqual(
      countsSince(campaign.waves[0]?.counts ?? NO_COUNTS, campaign.waves[0]?.forgiven ?? NO_COUNTS),
      counts,
    );
    return failedCount(counts);
  };
  tell("submit");
  tell("start");
  move(pending, failed);
  move(pending, failed);
  assert.equal(campaign.state, "paused");
  tell("resume");
  move(failed, pending);
  move(failed, pending);
  assert.equal(counted(), 0);
  move(pending, failed);
  assert.deepEqual([campaign.state, counted()], ["running", 1]);
  move(pending, failed);
  assert.deepEqual([campaign.state, counted()], ["paused", 2]);
});

test("shares add up to all devices, and the same devices are dealt the same way", () => {
  const { waves } = policyOf({
    waves: [
      { name: "a", devices: { percent: 33.33 } },
      { name: "b", devices: { count: 5 } },
      { name: "c", devices: "remaining" },
    ],
  });
  assert.deepEqual(waveSizes(waves, [0, 0, 0], 100), [33, 5, 62]);
  assert.deepEqual(waveSizes(waves, [0, 0, 0], 3), [1, 2, 0]);
  const devices = Array.from({ length: 1000 }, (_, i) => ({
    endpoint: `d${i}`,
    orderKey: orderKey("seed", `d${i}`),
    wave: undefined,
  }));
  assert.deepEqual(dealWaves(waves, devices), dealWaves(waves, devices));
  assert.deepEqual(dealWaves(waves, devices).sizes, [333, 5, 662]);
});

test("no more than the rate starts in any 60 s, also over a clock that goes back", () => {
  for (const rate of [1, 7, 60, 250, 2000]) {
    const { caps } = policyOf({ caps: { startsPerMinute: rate } });
    const starts: number[] = [];
    let pace: Pace = NEW_PACE;
    for (let ms = 0; ms < 200_000; ms += 100) {
      const now = {
        progress: { activeCount: 0, startedCount: starts.length, succeededCount: 0 },
        utcMs: NOW + (ms > 100_000 ? ms - 7_200_000 : ms),
        sizeBytes: 0,
      };
      pace = rebase(pace, now.utcMs);
      for (let { count } = allowance(caps, pace, now); count > 0; count -= 1) {
        pace = spend(caps, pace, now);
        starts.push(ms);
      }
    }
    starts.forEach((ms, i) => {
      const later = starts[i + rate];
      assert.ok(later === undefined || later - ms >= 60_000, `rate ${rate} at ${ms}`);
    });
    assert.ok(starts.length >= rate * 3, `rate ${rate}: ${starts.length}`);
  }
});

test("bytes per second: an image is paid off before the next is given", () => {
  const { caps } = policyOf({ caps: { bytesPerSecond: 100 } });
  const now = { progress: { activeCount: 0, startedCount: 0, succeededCount: 0 }, utcMs: NOW, sizeBytes: 1000 };
  assert.equal(allowance(caps, NEW_PACE, now).count, 1);
  const pace = spend(caps, NEW_PACE, now);
  assert.deepEqual(allowance(caps, pace, now), { count: 0, atMs: NOW + 10_000, because: "bytes" });
  assert.equal(allowance(caps, pace, { ...now, utcMs: NOW + 10_000 }).count, 1);
});

test("a rate grows by its factor with each so many that succeeded, up to its maximum", () => {
  const rate = policyOf({ caps: { startsPerMinute: { base: 10, factor: 2, max: 50, per: { succeeded: 20 } } } }).caps
    .startRate;
  assert.ok(rate);
  const at = (succeededCount: number): number =>
    ratePerMinute(rate, { activeCount: 0, startedCount: 999, succeededCount });
  assert.deepEqual([0, 19, 20, 40, 60, 1e9].map(at), [10, 10, 20, 40, 50, 50]);
});

test("the shortest chain of stepping stones is taken; stones that lead round in a circle are found", () => {
  const stone = (id: string, version: string, atLeast: string, below: string) => ({
    ...IMAGE,
    id,
    version,
    from: [{ atLeast, below }],
  });
  const last = { ...IMAGE, from: [{ atLeast: "1.8.0" }] };
  const stones = [
    stone("b", "1.4.0", "1.0.0", "1.4.0"),
    stone("c", "1.8.0", "1.4.0", "1.8.0"),
    stone("d", "1.2.0", "1.0.0", "1.2.0"),
  ];
  const route = { stones, image: last, allowsDowngrade: false };
  assert.deepEqual(
    chainFrom("1.0.0", route)?.map(({ version }) => version),
    ["1.4.0", "1.8.0", "2.0.0"],
  );
  assert.equal(chainFrom("0.9.0", route), undefined);
  const circle = [stone("b", "0.2.0", "0.1.0", "0.2.0"), stone("c", "0.1.0", "0.2.0", "0.3.0")];
  assert.match(stoneProblems({ ...route, stones: circle })[0] ?? "", /leads only round/);
});

test("plan: counts, bytes, an end, and who is left out and why", () => {
  const spec = specOf({
    windows: { download: [{ cron: "0 22 * * *", for: "2h" }] },
    caps: { startsPerMinute: 1 },
    criteria: [{ outcomes: ["silent"], threshold: { count: 500 }, do: "abort" }],
  });
  const planner = new CampaignPlanner({ spec, policy: policyOf(spec), offsetAt: () => 0, utcMs: NOW });
  const device = exampleDevice("p", { manufacturer: "Acme", model: "pump", lastSeenAtMs: NOW });
  const history = { failuresInRow: 0, lastFailureAtMs: null, leftVersions: [] };
  for (let i = 0; i < 200; i += 1) planner.add({ device: { ...device, endpoint: `p${i}` }, history });
  planner.add({ device: { ...device, version: "2.0.0" }, history });
  planner.add({ device: { ...device, version: "3.0.0" }, history });
  planner.add({ device: { ...device, model: "valve" }, history });
  planner.add({ device, history: { ...history, leftVersions: ["2.0"] } });
  const plan = planner.finish();
  assert.deepEqual([plan.matchedCount, plan.targetCount, plan.bytes], [204, 200, 200_000]);
  assert.deepEqual(
    plan.exclusions.map(({ reason }) => reason),
    ["alreadyRuns", "downgrade", "otherModel", "loop"],
  );
  // 200 starts, one a minute, two hours a night: the last 80 on the second night, until 23:20, and five minutes.
  assert.equal(plan.expectedEndAt, "2026-01-02T23:25:00.000Z");
  assert.match(plan.warnings.join("\n"), /can never be met/);
  planner.addOutsider({ device: { ...device, version: "2.0.0" }, history });
  planner.addOutsider({ device, history });
  const later = planner.finish();
  assert.deepEqual([later.matchedCount, later.exclusions[0]?.count], [205, 2]);
  assert.ok(later.warnings.includes("1 more device matches by now: only a change of the draft takes it in"));
});

test("a criterion starts the rollback, for exactly those who were updated", async () => {
  const spec = specOf({
    criteria: [{ outcomes: ["fellBack"], threshold: { count: 1 }, do: "startRollback" }],
    rollback: { image: "00000000000000bb" },
  });
  const back = rollbackSpec(spec);
  assert.ok(back);
  const [policy, backPolicy] = [policyOf(spec), policyOf(back)];
  const store = new MemoryCampaignStore();
  const targets = ["a", "b", "c"].map((endpoint, i) => newTarget({ campaignId: "c", endpoint, wave: 0, orderKey: i }));
  store.add(newCampaign({ id: "c", createdBy: "x" }, policy, [3]), policy, targets);
  store.addRollback("c", newRollback({ id: "back", createdBy: "x" }, backPolicy), backPolicy);
  for (const { endpoint } of targets) store.setDevice(deviceOf(endpoint));
  const engine = new CampaignEngine(store, () => 0);
  for (const command of ["submit", "start"] as const) await engine.command("c", { command, by: "x" }, NOW);
  const tell = (endpoint: string, state: "applying" | "succeeded" | "fellBack") =>
    engine.report({ campaignId: "c", endpoint }, { attempt: 1, state, failure: null, sentence: state }, NOW);
  for (const endpoint of ["a", "b", "c"]) await tell(endpoint, "applying");
  await tell("a", "succeeded");
  await tell("b", "fellBack");
  assert.equal(store.campaign("c").state, "aborted");
  assert.equal(store.campaign("back").state, "running");
  assert.deepEqual(
    store.targets("back").map(({ endpoint }) => endpoint),
    ["a"],
  );
  await tell("c", "succeeded");
  assert.deepEqual(
    store.targets("back").map(({ endpoint }) => endpoint),
    ["a", "c"],
    "who finished installing later is rolled back as well",
  );
});

test("a rollback stays due while somebody was updated since it was filled", () => {
  const policy = policyOf();
  const campaign = { ...newCampaign({ id: "c", createdBy: "x" }, policy, [2]), rollback: "due" as const };
  const [wave] = campaign.waves;
  assert.ok(wave);
  const waves = [{ ...wave, counts: { ...wave.counts, succeeded: 2 } }];
  const started = (filledCount: number) =>
    stepCampaign({ ...campaign, state: "aborted", waves }, policy, { kind: "rollbackStarted", filledCount }, NOW)
      .campaign.rollback;
  assert.deepEqual([started(1), started(2)], ["due", "started"]);
});

test("an apply window that closes holds whoever may apply and has not begun to, until the next one", async () => {
  const policy = policyOf({ windows: { apply: [{ cron: "0 12 * * *", for: "1h" }] } });
  const store = new MemoryCampaignStore();
  const targets = ["asleep", "installs"].map((endpoint, i) =>
    newTarget({ campaignId: "c", endpoint, wave: 0, orderKey: i }),
  );
  store.add(newCampaign({ id: "c", createdBy: "x" }, policy, [2]), policy, targets);
  for (const { endpoint } of targets) store.setDevice(deviceOf(endpoint));
  const engine = new CampaignEngine(store, () => 0);
  for (const command of ["submit", "start"] as const) await engine.command("c", { command, by: "x" }, NOW);
  const tell = (endpoint: string, state: "waitingToApply" | "downloaded" | "applying", utcMs: number) =>
    engine.report({ campaignId: "c", endpoint }, { attempt: 1, state, failure: null, sentence: state }, utcMs);
  const ordered = async (utcMs: number) =>
    (await store.takeOrders(utcMs, 10)).map(({ target, order }) => `${target.endpoint} ${order.kind}`);
  for (const { endpoint } of targets) await tell(endpoint, "waitingToApply", NOW);
  assert.deepEqual(await ordered(NOW), ["asleep apply", "installs apply"]);
  await tell("asleep", "downloaded", NOW);
  await tell("installs", "applying", NOW);
  const closesMs = NOW + 3_600_000;
  await engine.sweep(NOW);
  assert.equal(store.campaign("c").wakeAtMs, closesMs);
  await engine.sweep(closesMs - 1);
  assert.deepEqual(await ordered(closesMs - 1), ["asleep apply", "installs apply"]);
  await engine.sweep(closesMs);
  assert.deepEqual(await ordered(closesMs), ["asleep hold", "installs hold"]);
  const sentences = store.targets("c").map(({ sentence }) => sentence);
  assert.deepEqual(sentences, ["waiting: outside its apply window, next 12:00 UTC", "applying"]);
  for (const { endpoint } of targets) await store.orderDone("c", endpoint, { kind: "hold", attempt: 1 });
  await tell("asleep", "waitingToApply", closesMs);
  assert.deepEqual(await ordered(closesMs + 60_000), []);
  await engine.sweep(NOW + 86_400_000);
  assert.deepEqual(await ordered(NOW + 86_400_000), ["asleep apply"]);
});

test("a campaign whose query finds nothing ends as soon as it begins, and says so", async () => {
  const waves = [
    { name: "first", devices: { percent: 10 }, successPercent: 90, soak: "1h" },
    { name: "rest", devices: "remaining" as const },
  ];
  const policy = policyOf({ waves });
  const store = new MemoryCampaignStore();
  store.add(newCampaign({ id: "c", createdBy: "x" }, policy, [0, 0]), policy, []);
  const engine = new CampaignEngine(store, () => 0);
  for (const command of ["submit", "start"] as const) await engine.command("c", { command, by: "x" }, NOW);
  await engine.sweep(NOW);
  const { state, sentence } = store.campaign("c");
  assert.deepEqual([state, sentence], ["finished", "finished: no device matched"]);
});

test("a continuous campaign takes a device in once, when it comes to match", async () => {
  const policy = policyOf({ targets: { query: "model==pump", continuous: true } });
  const store = new MemoryCampaignStore();
  store.add(newCampaign({ id: "c", createdBy: "x" }, policy, [0]), policy, []);
  const engine = new CampaignEngine(store, () => 0);
  for (const command of ["submit", "start"] as const) await engine.command("c", { command, by: "x" }, NOW);
  const device = { ...deviceOf("p"), model: "pump" };
  store.setDevice(device);
  let turnCount = 0;
  store.beforeSave = () => {
    turnCount += 1;
  };
  const others = [
    { ...device, endpoint: "v", model: "valve" },
    { ...device, endpoint: "q" },
    { ...device, endpoint: "new already", version: "2.0.0" },
  ];
  store.setDevice({ ...device, endpoint: "q" });
  await engine.devicesChanged([device, ...others], NOW);
  assert.equal(turnCount, 1, "devices that come together join together");
  await engine.devicesChanged([device, ...others], NOW);
  assert.equal(turnCount, 1, "whoever is in it already costs no turn");
  await engine.sweep(NOW);
  assert.deepEqual(
    (await store.takeOrders(NOW, 10)).map(({ target, order }) => [target.endpoint, order.kind]),
    [
      ["p", "begin"],
      ["q", "begin"],
    ],
  );
  assert.equal(store.campaign("c").state, "running");
});
