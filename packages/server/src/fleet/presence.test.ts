import assert from "node:assert/strict";
import { test } from "node:test";
import { reachable } from "@airlift/protocol/machine/table";
import fc from "fast-check";
import { PRESENCE_TABLE, Presence, type PresenceInput, type PresenceState } from "./presence.ts";

const sleeper = (endpoint = "a", lifetimeS = 3600): PresenceInput => ({
  kind: "registered",
  endpoint,
  queueMode: true,
  lifetimeS,
});
const listener: PresenceInput = { kind: "registered", endpoint: "a", queueMode: false, lifetimeS: 3600 };
const heard: PresenceInput = { kind: "heard", endpoint: "a" };
const unanswered: PresenceInput = { kind: "unanswered", endpoint: "a" };

test("every state can be reached, and absence from each", () => {
  const states = Object.keys(PRESENCE_TABLE) as PresenceState[];
  for (const state of states) assert.deepEqual([...reachable(PRESENCE_TABLE, state)].sort(), [...states].sort());
});

test("a device in queue mode is awake for MAX_TRANSMIT_WAIT after it was last heard (RFC 7252 §4.8.2)", () => {
  const presence = new Presence();
  assert.deepEqual(presence.step(sleeper(), 0), [{ endpoint: "a", state: "awake" }]);
  assert.deepEqual(presence.step(heard, 50_000), []);
  assert.equal(presence.of("a").awakeUntilMs, 143_000);
  assert.deepEqual(presence.step({ kind: "wake" }, 142_999), []);
  assert.deepEqual(presence.step({ kind: "wake" }, 143_000), [{ endpoint: "a", state: "asleep" }]);
  assert.equal(presence.of("a").nextExpectedAtMs, 50_000 + 3_600_000);
  assert.deepEqual(presence.step(sleeper(), 3_000_000), [{ endpoint: "a", state: "awake" }]);
});

test("a sleeper that does not come back in its lifetime becomes unknown", () => {
  const presence = new Presence();
  presence.step(sleeper(), 0);
  presence.step({ kind: "wake" }, 93_000);
  assert.deepEqual(presence.step({ kind: "wake" }, 3_692_999), []);
  assert.deepEqual(presence.step({ kind: "wake" }, 3_693_000), [{ endpoint: "a", state: "unknown" }]);
  assert.equal(presence.wakeAtMs, undefined);
  assert.deepEqual(presence.step(heard, 4_000_000), [{ endpoint: "a", state: "awake" }]);
});

test("a sleeper that does not answer sleeps already", () => {
  const presence = new Presence();
  presence.step(sleeper(), 0);
  assert.deepEqual(presence.step(unanswered, 20_000), [{ endpoint: "a", state: "asleep" }]);
  assert.equal(presence.isReachable("a"), false);
  assert.deepEqual(presence.step({ kind: "wake" }, 93_000), []);
});

test("a device without queue mode always listens, until it leaves two requests in a row unanswered", () => {
  const presence = new Presence();
  presence.step(listener, 0);
  assert.equal(presence.wakeAtMs, undefined);
  assert.equal(presence.of("a").awakeUntilMs, undefined);
  presence.step(unanswered, 1000);
  presence.step(heard, 2000);
  assert.deepEqual(presence.step(unanswered, 3000), []);
  assert.deepEqual(presence.step(unanswered, 4000), [{ endpoint: "a", state: "unknown" }]);
  assert.equal(presence.isReachable("a"), true);
});

test("the timers of the device's power saving mode come before the configured ones", () => {
  const presence = new Presence();
  presence.step(sleeper("a", 86_400), 0);
  presence.step({ kind: "timers", endpoint: "a", timers: { awakeMs: 10_000, periodMs: 7_200_000 } }, 1000);
  assert.deepEqual(presence.step({ kind: "wake" }, 10_000), [{ endpoint: "a", state: "asleep" }]);
  assert.equal(presence.of("a").nextExpectedAtMs, 7_200_000);
});

test("a device whose session or connection is gone is away until it is heard, a sleeper sleeps already", () => {
  const disconnected: PresenceInput = { kind: "disconnected", endpoint: "a" };
  const presence = new Presence();
  assert.deepEqual(presence.step(disconnected, 0), []);
  presence.step(listener, 0);
  assert.deepEqual(presence.step(disconnected, 1000), [{ endpoint: "a", state: "away" }]);
  assert.deepEqual([presence.of("a").sinceMs, presence.isReachable("a")], [1000, false]);
  assert.deepEqual([presence.step(disconnected, 2000), presence.step(unanswered, 2000)], [[], []]);
  assert.deepEqual(presence.step(heard, 3000), [{ endpoint: "a", state: "awake" }]);
  presence.step(sleeper(), 4000);
  assert.deepEqual(presence.step(disconnected, 5000), [{ endpoint: "a", state: "asleep" }]);
  assert.deepEqual(presence.step({ kind: "wake" }, 3_697_000), [{ endpoint: "a", state: "unknown" }]);
});

test("of an earlier run, or another server, comes the registration and not the connection", () => {
  const presence = new Presence();
  const kept = { heardAgoMs: 10_000, isConnected: false };
  assert.deepEqual(presence.step({ ...listener, ...kept } as PresenceInput, 30_000), [
    { endpoint: "a", state: "away" },
  ]);
  assert.deepEqual([presence.of("a").sinceMs, presence.of("a").heardAtMs], [20_000, 20_000]);
  assert.deepEqual(presence.step({ ...sleeper("b"), ...kept } as PresenceInput, 30_000), [
    { endpoint: "b", state: "asleep" },
  ]);
  assert.equal(presence.wakeAtMs, 20_000 + 3_600_000 + 93_000);
});

test("a registration of an earlier run is as old as it was", () => {
  const presence = new Presence();
  presence.step({ ...sleeper(), heardAgoMs: 600_000 } as PresenceInput, 1_000_000);
  presence.step({ kind: "wake" }, 1_000_000);
  assert.equal(presence.of("a").state, "asleep");
  assert.equal(presence.of("a").sinceMs, 493_000);
});

test("whatever happens, a sleeper is awake exactly within its window, and a change is told once", () => {
  const inputs = fc.array(
    fc.tuple(
      fc.constantFrom<PresenceInput>(sleeper(), heard, unanswered, { kind: "left", endpoint: "a" }, { kind: "wake" }),
      fc.integer({ min: 0, max: 60_000 }),
    ),
  );
  fc.assert(
    fc.property(inputs, (steps) => {
      const presence = new Presence();
      let nowMs = 0;
      let told: PresenceState = "absent";
      let expected: { heardAtMs: number; missed: boolean } | undefined;
      for (const [input, afterMs] of steps) {
        nowMs += afterMs;
        const changes = [...presence.step({ kind: "wake" }, nowMs), ...presence.step(input, nowMs)];
        for (const { state } of changes) {
          assert.notEqual(state, told);
          told = state;
        }
        if (input.kind === "registered") expected = { heardAtMs: nowMs, missed: false };
        else if (input.kind === "heard" && expected) expected = { heardAtMs: nowMs, missed: false };
        else if (input.kind === "unanswered" && expected) expected = { ...expected, missed: true };
        else if (input.kind === "left") expected = undefined;
        const { state } = presence.of("a");
        assert.equal(state, told);
        assert.equal(state === "absent", expected === undefined);
        if (expected) assert.equal(state === "awake", !expected.missed && nowMs < expected.heardAtMs + 93_000);
      }
    }),
  );
});
