import assert from "node:assert/strict";
import { test } from "node:test";
import { CampaignSpec, type NewCampaign } from "@airlift/protocol/api/campaign";
import { type Admission, admit, admitApply } from "./admission.ts";
import { newCampaign } from "./campaign.ts";
import { stepCampaign } from "./campaign-step.ts";
import { type Candidate, NO_HISTORY } from "./device.ts";
import { exampleDevice } from "./device-example.ts";
import { backoffMs, followUpdate } from "./follow-update.ts";
import { OpeningHours } from "./opening-hours.ts";
import { compilePolicy } from "./policy.ts";
import { waitingSentence } from "./sentences.ts";
import { moveTarget, newTarget, type Target } from "./target.ts";

const NOW = Date.UTC(2026, 0, 1, 12);
const DAY_MS = 86_400_000;
const IMAGE = { manufacturer: "Acme", model: "pump", version: "2.0.0", hardware: ["A"], sizeBytes: 1000 };
const offsetAt = (): number => 60;

const policyOf = (more: Partial<NewCampaign>) =>
  compilePolicy(
    CampaignSpec.parse({ name: "test", image: "00000000000000aa", targets: { query: "*" }, ...more }),
    (id) => ({ ...IMAGE, id, version: id.endsWith("aa") ? "2.0.0" : "1.5.0" }),
    offsetAt,
  );

const TARGET: Target = newTarget({ campaignId: "c", endpoint: "p", wave: 0, orderKey: 1 });
const HOLDING: Target = {
  ...TARGET,
  state: "waitingToApply",
  isUnderWay: true,
  attempt: 1,
  imageId: "00000000000000aa",
};

function candidate(device: Partial<Candidate["device"]> = {}, more: Partial<Candidate> = {}): Candidate {
  return {
    target: TARGET,
    device: exampleDevice("p", {
      manufacturer: "Acme",
      model: "pump",
      hardware: "A",
      lastSeenAtMs: NOW,
      timeZone: "Europe/Oslo",
      ...device,
    }),
    history: NO_HISTORY,
    rival: null,
    ...more,
  };
}

function decide(one: Candidate, spec: Partial<NewCampaign> = {}, by = admit): Admission {
  const policy = policyOf(spec);
  const campaign = { ...newCampaign({ id: "c", createdBy: "x" }, policy, [1]), cells: { full: 3 } };
  return by(one, { campaign, policy, hours: new OpeningHours(policy, offsetAt, NOW), utcMs: NOW });
}

test("a device that nothing stands against is begun", () => {
  assert.equal(decide(candidate()).kind, "begin");
});

test("who is left out is told why", () => {
  const reason = (one: Candidate, spec?: Partial<NewCampaign>): string | undefined => {
    const decision = decide(one, spec);
    return decision.kind === "exclude" ? decision.reason : decision.kind;
  };
  assert.equal(reason(candidate({ version: "v2.0" })), "alreadyRuns");
  assert.equal(reason(candidate({ model: "valve" })), "otherModel");
  assert.equal(reason(candidate({ hardware: "B" })), "otherHardware");
  assert.equal(reason(candidate({ version: "3.0.0" })), "downgrade");
  assert.equal(reason(candidate({ version: "3.0.0" }), { downgrade: true }), "begin");
  assert.equal(reason(candidate({}, { history: { ...NO_HISTORY, leftVersions: ["2.0.0"] } })), "loop");
  assert.equal(reason(candidate(), { from: [{ atLeast: "1.5" }] }), "noSteppingStone");
  assert.equal(
    reason(candidate(), { windows: { download: [{ cron: "0 0 31 feb *", for: "1h" }] } }),
    "windowNeverOpens",
  );
});

test("lesson 12: what a device left behind, or failed to install, is not offered to it again without an operator", () => {
  const policy = policyOf({});
  const left = candidate({}, { history: { ...NO_HISTORY, leftVersions: ["2.0"] } });
  const decision = decide(left);
  assert.deepEqual([decision.kind, decision.kind === "exclude" && decision.reason], ["exclude", "loop"]);
  assert.equal(decide(left, { downgrade: true }).kind, "begin", "an operator may say so");
  assert.equal(decide(candidate({ version: "v2.0.0" })).kind, "exclude", "the same version in other letters");
  for (const [state, failure] of [
    ["failed", "updateFailed"],
    ["fellBack", null],
  ] as const) {
    const after = followUpdate(
      { ...HOLDING, state: "applying" },
      { attempt: 1, state, failure, sentence: "-" },
      { policy, utcMs: NOW },
    );
    assert.equal(after?.state, state);
    assert.equal(after?.isUnderWay, false);
  }
});

test("a stepping stone is begun first, and its success leads on to the campaign's image", () => {
  const spec = { from: [{ atLeast: "1.5" }], steppingStones: [{ image: "00000000000000bb" }] };
  const decision = decide(candidate(), spec);
  assert.ok(decision.kind === "begin");
  assert.equal(decision.image.id, "00000000000000bb");
  const begun = moveTarget(TARGET, "begin", { imageId: decision.image.id });
  const news = { attempt: 1, failure: null, sentence: "done" };
  const applying = followUpdate(begun, { ...news, state: "applying" }, { policy: policyOf(spec), utcMs: NOW });
  assert.ok(applying);
  const after = followUpdate(applying, { ...news, state: "succeeded" }, { policy: policyOf(spec), utcMs: NOW });
  assert.deepEqual([after?.state, after?.isUnderWay, after?.notBeforeMs], ["waiting", false, NOW]);
});

test("a stepping stone below the device's version is a downgrade as well", () => {
  const spec = { from: [{ below: "1.7" }], steppingStones: [{ image: "00000000000000bb" }] };
  const newer = candidate({ version: "1.9.0" });
  const decision = decide(newer, spec);
  assert.deepEqual([decision.kind, decision.kind === "exclude" && decision.reason], ["exclude", "noSteppingStone"]);
  assert.equal(decide(newer, { ...spec, downgrade: true }).kind, "begin");
});

test("who waits is told for what and until when", () => {
  const sentence = (one: Candidate, spec?: Partial<NewCampaign>, by = admit): string => {
    const decision = decide(one, spec, by);
    assert.equal(decision.kind, "wait");
    return decision.sentence;
  };
  const apply: Partial<NewCampaign> = { windows: { apply: [{ cron: "0 2 * * *", for: "1h" }] } };
  assert.equal(
    sentence(candidate({}, { target: HOLDING }), apply, admitApply),
    "waiting: outside its apply window, next 02:00 Europe/Oslo",
  );
  assert.match(sentence(candidate({ presence: "expired" })), /not registered/);
  assert.match(sentence(candidate({ cell: "full" }), { caps: { inFlightPerCell: 3 } }), /3 devices of radio cell full/);
  const rival = { campaignId: "d", name: "urgent", priority: 5, isUnderWay: false };
  assert.match(sentence(candidate({}, { rival })), /campaign urgent has a higher priority/);
  assert.match(
    sentence(candidate({}, { rival: { ...rival, priority: -5, isUnderWay: true } })),
    /campaign urgent is updating the device/,
  );
  assert.equal(decide(candidate({}, { rival: { ...rival, priority: -5 } })).kind, "begin");
  const history = { ...NO_HISTORY, failuresInRow: 3, lastFailureAtMs: NOW - DAY_MS };
  assert.match(sentence(candidate({}, { history })), /failed 3 times in a row; left alone until 2026-01-07 12:00 UTC/);
  assert.equal(decide(candidate({}, { history: { ...history, lastFailureAtMs: NOW - 8 * DAY_MS } })).kind, "begin");
});

test("a device that does not come within the limit is silent", () => {
  const gone = candidate({ presence: "expired", lastSeenAtMs: NOW - 8 * DAY_MS });
  const policy = policyOf({});
  let campaign = newCampaign({ id: "c", createdBy: "x" }, policy, [1]);
  for (const command of ["submit", "start"] as const)
    campaign = stepCampaign(campaign, policy, { kind: "command", command, by: "x" }, NOW - 8 * DAY_MS).campaign;
  assert.equal(
    admit(gone, { campaign, policy, hours: new OpeningHours(policy, offsetAt, NOW), utcMs: NOW }).kind,
    "giveUp",
  );
});

test("a device of a later wave says which wave it waits for, and until when", () => {
  const policy = policyOf({
    waves: [
      { name: "1", devices: { count: 1 }, soak: "2h" },
      { name: "2", devices: "remaining" },
    ],
  });
  let campaign = newCampaign({ id: "c", createdBy: "x" }, policy, [1, 1]);
  for (const command of ["submit", "start"] as const)
    campaign = stepCampaign(campaign, policy, { kind: "command", command, by: "x" }, NOW).campaign;
  const late = { ...TARGET, wave: 1 };
  assert.equal(waitingSentence(late, { campaign, policy }, NOW), "not started: wave 2 waits for wave 1 to pass");
  const move = {
    wave: 0,
    from: { phase: "pending", failure: null },
    to: { phase: "succeeded", failure: null },
    cell: null,
    begunBytes: null,
    deliveredBytes: 0,
  } as const;
  campaign = stepCampaign(campaign, policy, { kind: "moved", moves: [move] }, NOW).campaign;
  assert.equal(
    waitingSentence(late, { campaign, policy }, NOW),
    "not started: wave 2 waits for wave 1 to soak until 2026-01-01 14:00 UTC",
  );
});

test("a kind of failure is tried again as often as it may, with pauses that double; the others are final", () => {
  const policy = policyOf({ retry: { connectionLost: { attempts: 3, backoff: "10m", longest: "15m" } } });
  const fail = (failures: Target["failures"], failure: "connectionLost" | "updateFailed"): Target | undefined =>
    followUpdate(
      { ...HOLDING, failures },
      { attempt: 1, state: "failed", failure, sentence: "failed: lost" },
      { policy, utcMs: NOW },
    );
  assert.deepEqual(
    [fail({}, "connectionLost")?.state, fail({}, "connectionLost")?.notBeforeMs],
    ["waiting", NOW + 600_000],
  );
  assert.equal(fail({ connectionLost: 1 }, "connectionLost")?.notBeforeMs, NOW + 900_000);
  assert.equal(fail({ connectionLost: 2 }, "connectionLost")?.state, "failed");
  assert.equal(fail({}, "updateFailed")?.state, "failed");
  assert.equal(backoffMs({ attemptCount: 99, backoffMs: 1000, longestMs: DAY_MS }, 99), DAY_MS);
});

test("news of an attempt that is over, or told before, change nothing", () => {
  const tell = (attempt: number, state: "succeeded" | "waitingToApply") =>
    followUpdate(
      { ...HOLDING, attempt: 2, sentence: "x" },
      { attempt, state, failure: null, sentence: "x" },
      { policy: policyOf({}), utcMs: NOW },
    );
  assert.equal(tell(1, "succeeded"), undefined);
  assert.equal(tell(2, "waitingToApply"), undefined);
  assert.equal(tell(2, "succeeded")?.state, "succeeded");
});
