/** A device for each way in which devices in the field bend the rules, driven in virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeviceFaults } from "@airlift/sim/misbehaving-device";
import fc from "fast-check";
import { UpdateWorld } from "./update-world.ts";

const HOUR_MS = 3_600_000;

interface Lesson {
  readonly lesson: string;
  readonly faults: DeviceFaults;
  readonly by?: "push" | "pull";
  /** The end, and why when it failed. */
  readonly ends: string;
  readonly said?: RegExp;
  /** What was asked, without the looks. */
  readonly asked?: readonly string[];
}

const LESSONS: readonly Lesson[] = [
  {
    lesson: "lesson 1: observations are best effort; what is read decides when every notification is lost",
    faults: { losesNotifications: true },
    ends: "succeeded",
  },
  {
    lesson: "lesson 1: fast transitions are skipped; the whole installation may be over at the next look",
    faults: { losesNotifications: true, hidesDownloading: true, staysRegistered: true },
    ends: "succeeded",
  },
  {
    lesson: "lesson 1: a device that registers again without de-registering is read anew",
    faults: { losesNotifications: true },
    ends: "succeeded",
    asked: ["fetch", "execute"],
  },
  {
    lesson: "lesson 3: during a push a device may answer everything else 5.03 and never show State 1",
    faults: { hidesDownloading: true, busyWhilePushed: true },
    by: "push",
    ends: "succeeded",
    asked: ["push 0", "execute"],
  },
  {
    lesson: "lesson 5: an Execute that is answered 5.03 is asked again",
    faults: { busyExecuteCount: 4 },
    ends: "succeeded",
    asked: ["fetch", ...Array.from({ length: 5 }, () => "execute")],
  },
  {
    lesson: "lesson 5: a device that is busy for ever is given up with a reason",
    faults: { busyExecuteCount: 1_000 },
    ends: "failed updateFailed",
  },
  {
    lesson: "lesson 13: a device that fell back after success is no success",
    faults: { fallsBack: true },
    ends: "fellBack",
    said: /^fell back: the device runs its old version 1\.0\.0 again/,
  },
  {
    lesson: "a result that lies: success with a version that nobody sent",
    faults: { saysVersion: "9.9.9" },
    ends: "failed wrongVersion",
  },
  {
    lesson: "a result that lies: failure, whatever version it names",
    faults: { saysResult: 8 },
    ends: "failed updateFailed",
  },
  {
    lesson: "a result that lies: the new version without any result is waited for, then given up",
    faults: { saysResult: 0 },
    ends: "failed timedOut",
  },
  {
    lesson: "a result that lies: the failure of an older update, never cleared, does not end the new one",
    faults: { staleResult: 5 },
    ends: "succeeded",
  },
  {
    lesson: "a version that lies: the same version, written differently, is the same version (lesson 12)",
    faults: { saysVersion: "v1.1" },
    ends: "succeeded",
  },
  {
    lesson: "a package refused as octets (4.15) is pushed as base64 text",
    faults: { wantsText: true },
    by: "push",
    ends: "succeeded",
    asked: ["push 0", "push 0 as text", "execute"],
  },
  {
    lesson: "a push that breaks off goes on where it broke, as long as the device remembers its blocks",
    faults: { breaksAt: [32_768, 65_536] },
    by: "push",
    ends: "succeeded",
    asked: ["push 0", "push 32768", "push 65536", "execute"],
  },
  {
    lesson: "a push that breaks off for ever is resumed and restarted, but not without end",
    faults: { breaksAt: Array.from({ length: 100 }, () => 1_024), forgetsBlocks: true },
    by: "push",
    ends: "failed connectionLost",
  },
  {
    lesson: "a connection that the device loses twice is tried three times",
    faults: { failsDownload: [4, 4] },
    ends: "succeeded",
    asked: ["fetch", "fetch", "fetch", "execute"],
  },
  {
    lesson: "an image that the device refuses is not sent again",
    faults: { failsDownload: [5] },
    ends: "failed integrityFailed",
    asked: ["fetch"],
  },
  {
    lesson: "an installation that a power cut undid is asked for again, and not for ever",
    faults: { losesInstallCount: 1 },
    ends: "succeeded",
    asked: ["fetch", "execute", "execute"],
  },
  {
    lesson: "an installation that is lost each time fails",
    faults: { losesInstallCount: 99 },
    ends: "failed updateFailed",
  },
  {
    lesson: "resource 13: who may defer for a day is waited for that long",
    faults: { defersMs: 20 * HOUR_MS, maximumDeferPeriodS: 86_400 },
    ends: "succeeded",
  },
  {
    lesson: "resource 13: who defers for longer than it may has failed, and is told so",
    faults: { defersMs: 400 * HOUR_MS, maximumDeferPeriodS: 3_600 },
    ends: "failed deferredTooLong",
    said: /deferred the installation for longer than it may/,
  },
  { lesson: "a device that dies in mid-download is silent, not failed", faults: { diesAtMs: 5_000 }, ends: "silent" },
  {
    lesson: "a device that notifies whenever it is read is not read without end",
    faults: { notifiesEveryRead: true, defersMs: 5 * 60_000 },
    ends: "succeeded",
  },
];

for (const { lesson, faults, by = "pull", ends, said, asked } of LESSONS)
  test(lesson, () => {
    const world = new UpdateWorld(faults, { by }).run();
    const { state, failure } = world.snapshot;
    assert.equal(failure === null ? state : `${state} ${failure}`, ends, world.sentences.join("\n"));
    if (said) assert.match(world.sentence, said);
    if (asked)
      assert.deepEqual(
        world.asked.filter((one) => !["look", "observe", "endObservation"].includes(one)),
        asked,
      );
  });

for (const form of ["emptyUri", "zeroPackage"] as const)
  test(`lesson 10: a device that holds another's image and knows ${form} alone is reset by it, then updated`, () => {
    const world = new UpdateWorld({ holdsImage: true, knowsReset: form }, { by: "pull" }).run();
    assert.equal(world.snapshot.state, "succeeded", world.sentences.join("\n"));
    assert.ok(world.countOf(`reset ${form}`) >= 1 && world.countOf("reset") <= 2);
  });

test("lesson 10: a device that takes resets and does not reset is given up after both forms", () => {
  const world = new UpdateWorld({ holdsImage: true, ignoresResets: true }, { by: "pull" }).run();
  assert.equal(world.snapshot.failure, "rejected");
  assert.deepEqual([world.countOf("reset emptyUri"), world.countOf("reset zeroPackage")], [2, 2]);
});

test("lesson 14: a device that installs something else for ever is waited for, with the reason", () => {
  const world = new UpdateWorld({ stuckInState: 3 }).run(48 * HOUR_MS);
  assert.equal(world.sentence, "waiting: the device is installing another image (State 3)");
});

test("a sleeper is not asked while it sleeps, nothing runs out meanwhile, and it is asked when it wakes", () => {
  const world = new UpdateWorld({}, { by: "pull" }).run(6_000);
  world.feed({ kind: "asleep" });
  assert.equal(world.sentence, "waiting: the device sleeps; going on when it is awake");
  const before = world.asked.length;
  world.run(20 * HOUR_MS);
  assert.equal(world.asked.length, before);
  assert.equal(world.snapshot.state, "transferring");
  world.nowMs = 20 * HOUR_MS;
  world.feed({ kind: "awake" });
  world.run();
  assert.equal(world.snapshot.state, "succeeded", world.sentences.join("\n"));
});

test("a sleeper of a week is not silent; one that does not wake up when it should have is, a day later", () => {
  const world = new UpdateWorld({}, { by: "pull" }).run(6_000);
  world.feed({ kind: "asleep" });
  world.run(7 * 24 * HOUR_MS);
  assert.equal(world.snapshot.state, "transferring");
  const overdue = new UpdateWorld({ diesAtMs: 5_000 }, { by: "pull" }).run(6_000);
  overdue.feed({ kind: "asleep" });
  overdue.run(7 * 24 * HOUR_MS);
  overdue.nowMs = 7 * 24 * HOUR_MS;
  overdue.feed({ kind: "awake" });
  overdue.run(9 * 24 * HOUR_MS);
  assert.equal(overdue.snapshot.state, "silent", overdue.sentences.join("\n"));
});

/** Seldom, so that a device has few faults at once and most updates come far. */
const seldom = <Value>(value: fc.Arbitrary<Value>) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });

const anyFaults = fc.record({
  hidesDownloading: fc.boolean(),
  busyWhilePushed: fc.boolean(),
  losesNotifications: fc.boolean(),
  staysRegistered: fc.boolean(),
  knowsReset: seldom(fc.constantFrom("emptyUri" as const, "zeroPackage" as const)),
  ignoresResets: seldom(fc.constant(true)),
  holdsImage: seldom(fc.constant(true)),
  wantsText: seldom(fc.constant(true)),
  breaksAt: fc.array(
    fc.integer({ min: 0, max: 6_000 }).map((blocks) => blocks * 16),
    { maxLength: 8 },
  ),
  forgetsBlocks: fc.boolean(),
  staleResult: seldom(fc.integer({ min: 0, max: 12 })),
  saysVersion: seldom(fc.constantFrom("1.0.0", "1.1.0", "v1.1", "2.0.0", "", "?")),
  saysResult: fc.constantFrom(undefined, undefined, 0, 0, 4, 8, 11, 20),
  fallsBack: seldom(fc.constant(true)),
  losesInstallCount: fc.integer({ min: 0, max: 5 }),
  busyExecuteCount: fc.constantFrom(0, 0, 1, 5, 100),
  defersMs: seldom(fc.integer({ min: 0, max: 30 * 24 * HOUR_MS })),
  maximumDeferPeriodS: seldom(fc.integer({ min: 0, max: 86_400 })),
  failsDownload: seldom(fc.array(fc.integer({ min: 2, max: 12 }), { maxLength: 4 })),
  diesAtMs: seldom(fc.integer({ min: 0, max: 200_000 })),
  notifiesEveryRead: fc.boolean(),
  stuckInState: seldom(fc.integer({ min: 0, max: 3 })),
});

test("whatever a device does: success only with the new version and Result 1; an end or a reason; a bounded number of requests", () => {
  fc.assert(
    fc.property(anyFaults, fc.constantFrom("push" as const, "pull" as const), fc.boolean(), (faults, by, apply) => {
      const limitMs = 6 * HOUR_MS;
      const world = new UpdateWorld(faults as DeviceFaults, { by }, { apply }).run(limitMs);
      const { state, failure } = world.snapshot;
      if (state === "succeeded") {
        const { saysVersion = faults.fallsBack ? "1.0.0" : "1.1.0", saysResult = 1 } = faults;
        assert.ok(["1.1.0", "v1.1"].includes(saysVersion) && saysResult === 1);
      }
      assert.equal(state === "failed", failure !== null);
      assert.ok(world.sentence.length > 0);
      // A look in each poll interval and some more for news, whatever the device does.
      const days = Math.max(1, world.nowMs / (24 * HOUR_MS));
      assert.ok(world.countOf("look") <= days * 24 * 60 * 4 * 21, `${world.countOf("look")} looks`);
      for (const [what, most] of [
        ["fetch", 20],
        ["push", 40],
        ["execute", 45],
        ["reset", 20],
      ] as const)
        assert.ok(world.countOf(what) <= most, `${world.countOf(what)} × ${what}`);
    }),
    { numRuns: 60 },
  );
});
