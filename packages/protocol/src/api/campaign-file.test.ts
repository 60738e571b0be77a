import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readCampaign } from "./campaign-file.ts";
import { mistakeText } from "./mistakes.ts";

const LEAST = { name: "a", image: "0123456789abcdef", targets: { query: "model==Pump" } };
const told = (value: unknown): string[] => readCampaign(value).mistakes.map(mistakeText);

test("what was expected is told in plain words, all of it at once", () => {
  const value = {
    image: 12,
    targets: { query: 7 },
    caps: { inFlight: 3_000_000 },
    priority: "high",
    by: "post",
    colour: 1,
  };
  assert.deepEqual(told(value), [
    "name: is missing: a text is expected",
    "image: 12 is not a text",
    "targets.query: 7 is not a text",
    "caps.inFlight: 3000000 has to be at most 100000",
    'by: "post" is none of auto, push, pull',
    'priority: "high" is not a number',
    "colour: there is no such member",
  ]);
});

test("shares that leave devices out are refused", () => {
  assert.deepEqual(told({ ...LEAST, waves: [{ name: "a", devices: { percent: 20 } }] }), [
    "waves: some devices are in no wave: let the last one have the remaining devices",
  ]);
});

test("what can be read is read, and what cannot is named", () => {
  const waves = [
    { name: "a", devices: { query: "tags==a" } },
    {
      name: "b",
      devices: { count: 3 },
      soak: "soon",
      criteria: [{ outcomes: ["failed"], threshold: { count: 2 }, do: "run" }],
    },
    { name: "c", devices: "remaining" },
  ];
  const { spec, unread } = readCampaign({ ...LEAST, timeZone: "Mars/Olympus", waves, windows: [] });
  assert.deepEqual(unread, ["waves.1.soak", "waves.1.criteria.0.do", "windows"]);
  assert.deepEqual([spec.waves[1]?.name, spec.waves[1]?.criteria[0]?.threshold], ["b", { count: 2 }]);
  assert.deepEqual([spec.waves[0]?.devices, spec.waves[2]?.name], [{ query: "tags==a" }, "c"]);
  assert.deepEqual([spec.timeZone, spec.windows.download], ["Mars/Olympus", []]);
});

test("a member that there is not hides none of its neighbours", () => {
  const targets = { query: "model=Pump", contiuous: true };
  const windows = { aply: [], apply: [{ cron: "0 26 * * *", for: "2h" }] };
  const { spec, mistakes, unread } = readCampaign({ ...LEAST, targets, windows });
  assert.deepEqual(
    mistakes.map(({ path }) => path),
    ["targets.contiuous", "windows.aply"],
  );
  assert.deepEqual(unread, []);
  assert.deepEqual([spec.targets.query, spec.windows.apply[0]?.cron], ["model=Pump", "0 26 * * *"]);
});

test("a wrong member of a group or of an entry in a list is the only one that is not read", () => {
  const { spec, unread } = readCampaign({
    ...LEAST,
    rollback: { image: "fedcba9876543210", inFlight: -1 },
    caps: { inFlight: "all", startsPerMinute: 5 },
    penaltyBox: { failures: 0, for: "2d" },
    retry: { connectionLost: { attempts: 0, backoff: "2h" }, timedOut: { attempts: 2 }, colour: {} },
    windows: {
      apply: [{ cron: "61 * * * *", for: "soon" }],
      blackout: [{ from: [], to: "2026-01-02" }, { from: "2026-02-31" }],
    },
    from: [{ atLeast: 1, below: "2.0.0" }],
    steppingStones: [{ image: 7, from: [{ below: "1.0.0" }, { below: 3 }] }],
  });
  assert.deepEqual(unread, [
    "caps.inFlight",
    "windows.apply.0.for",
    "windows.blackout.0.from",
    "windows.blackout.1.to",
    "retry.connectionLost.attempts",
    "penaltyBox.failures",
    "from.0.atLeast",
    "steppingStones.0.image",
    "steppingStones.0.from.1.below",
    "rollback.inFlight",
  ]);
  assert.deepEqual(
    [spec.rollback?.image, spec.caps.startsPerMinute, spec.penaltyBox.for, spec.retry.connectionLost?.backoff],
    ["fedcba9876543210", 5, "2d", "2h"],
  );
  assert.deepEqual(
    [spec.windows.apply[0]?.cron, spec.from[0]?.below, spec.steppingStones[0]?.from[0]?.below],
    ["61 * * * *", "2.0.0", "1.0.0"],
  );
});

test("the shares of the waves are looked at also when a wave has a member of the wrong type", () => {
  const waves = [{ name: "a", devices: { percent: 20 }, soak: 3 }];
  assert.deepEqual(told({ ...LEAST, waves }), [
    "waves.0.soak: 3 is not a text",
    "waves: some devices are in no wave: let the last one have the remaining devices",
  ]);
  assert.deepEqual(told({ ...LEAST, waves: [{ name: "a", devices: { percent: "20" }, soak: 3 }] }).length, 2);
});

test("whatever was written, there is a spec or a mistake", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.anything(), fc.record({ waves: fc.anything(), criteria: fc.array(fc.anything()) })),
      (value) => {
        const { spec, mistakes } = readCampaign(value);
        assert.ok(mistakes.length > 0 && spec.waves.length >= 0);
      },
    ),
  );
});
