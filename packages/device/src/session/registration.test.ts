import assert from "node:assert/strict";
import { test } from "node:test";
import { reachable } from "@airlift/protocol/machine/table";
import { drain } from "@airlift/sim/world";
import {
  REGISTRATION,
  type RegistrationOutput,
  RegistrationSession,
  type RegistrationState,
  refreshAfterMs,
} from "./registration.ts";

const states = Object.keys(REGISTRATION) as RegistrationState[];
const LOCATION = ["rd", "7"];

function attemptOf(outputs: readonly RegistrationOutput[]): number {
  for (const output of outputs) if ("attempt" in output) return output.attempt;
  return assert.fail("no request went out");
}

function registered(lifetimeS = 300): RegistrationSession {
  const session = new RegistrationSession({ lifetimeS, random: () => 0.5 });
  const attempt = attemptOf(session.step({ kind: "open" }, 0));
  session.step({ kind: "accepted", attempt, location: LOCATION }, 0);
  assert.equal(session.state, "registered");
  return session;
}

test("every state is reached, and every state can be closed", () => {
  assert.deepEqual([...reachable(REGISTRATION, "closed")].sort(), [...states].sort());
  for (const state of states) assert.ok(reachable(REGISTRATION, state).has("closed"), state);
});

test("§6.2.2: the refresh comes well before the lifetime ends", () => {
  assert.equal(refreshAfterMs(86_400), 77_760_000);
  assert.equal(refreshAfterMs(300), 180_000);
  assert.equal(refreshAfterMs(60), 30_000);
  assert.equal(refreshAfterMs(1), 500);
});

test("§6.2.2: a refresh leaves out what the server knows, and names a lifetime that changed", () => {
  const session = registered();
  assert.deepEqual(session.step({ kind: "wake" }, 179_999), []);
  const refresh = session.step({ kind: "wake" }, 180_000);
  assert.deepEqual(refresh, [{ kind: "refresh", attempt: 3, location: LOCATION, lifetimeS: undefined }]);
  session.step({ kind: "accepted", attempt: 3 }, 180_000);
  const [changed] = session.step({ kind: "changed", lifetimeS: 60 }, 200_000);
  assert.ok(changed?.kind === "refresh" && changed.lifetimeS === 60);
  session.step({ kind: "accepted", attempt: attemptOf([changed]) }, 200_000);
  assert.equal(session.wakeAtMs, 230_000);
});

test("a change while a request is out follows it", () => {
  const session = registered();
  const refresh = attemptOf(session.step({ kind: "wake" }, 180_000));
  assert.deepEqual(session.step({ kind: "changed", lifetimeS: 60 }, 180_001), []);
  const [next] = session.step({ kind: "accepted", attempt: refresh }, 180_002);
  assert.ok(next?.kind === "refresh" && next.lifetimeS === 60);
});

test("§6.2.2: a server that does not know the registration any more is registered with anew", () => {
  const session = registered();
  const attempt = attemptOf(session.step({ kind: "wake" }, 180_000));
  const outputs = session.step({ kind: "failed", attempt, isUnknown: true }, 180_001);
  assert.deepEqual(
    outputs.map((output) => output.kind),
    ["register"],
  );
});

test("failures are followed by growing pauses up to the longest", () => {
  const session = new RegistrationSession({ lifetimeS: 300, random: () => 1 });
  let attempt = attemptOf(session.step({ kind: "open" }, 0));
  const pauses: number[] = [];
  for (let i = 0; i < 10; i += 1) {
    const [retry] = session.step({ kind: "failed", attempt, isUnknown: false }, 0);
    assert.ok(retry?.kind === "retry");
    pauses.push(retry.afterMs / 1000);
    attempt = attemptOf(session.step({ kind: "wake" }, retry.afterMs));
  }
  assert.deepEqual(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
});

test("a server that says when to come back is obeyed", () => {
  const session = new RegistrationSession({ lifetimeS: 300, random: () => 0 });
  const attempt = attemptOf(session.step({ kind: "open" }, 0));
  session.step({ kind: "failed", attempt, isUnknown: false, retryAfterMs: 60_000 }, 0);
  assert.equal(session.wakeAtMs, 60_000);
});

test("an answer that comes too late changes nothing", () => {
  const session = registered();
  const attempt = attemptOf(session.step({ kind: "wake" }, 180_000));
  session.step({ kind: "failed", attempt, isUnknown: true }, 180_001);
  assert.deepEqual(session.step({ kind: "accepted", attempt }, 180_002), []);
  assert.equal(session.state, "registering");
});

test("§6.2.3: a close says goodbye, whatever the answer", () => {
  const session = registered();
  const [goodbye] = session.step({ kind: "close" }, 1_000);
  assert.ok(goodbye?.kind === "deregister");
  assert.deepEqual(session.step({ kind: "failed", attempt: goodbye.attempt, isUnknown: false }, 2_000), [
    { kind: "closed" },
  ]);
  assert.equal(session.wakeAtMs, undefined);
});

test("nobody to say goodbye to: closed at once", () => {
  const session = new RegistrationSession({ lifetimeS: 300, random: () => 0 });
  session.step({ kind: "open" }, 0);
  assert.deepEqual(session.step({ kind: "close" }, 1), [{ kind: "closed" }]);
  assert.deepEqual(drain(session, { kind: "wake" }), []);
});
