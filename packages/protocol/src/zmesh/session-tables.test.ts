import assert from "node:assert/strict";
import { test } from "node:test";
import { reachable, type Table, toMermaid } from "../machine/table.ts";
import { RECEIVER, type ReceiverState, STATUS_OF } from "./receiver-table.ts";
import { STATE_OF_DETAIL } from "./status-event.ts";
import { TRANSMITTER } from "./transmitter-table.ts";

/** A line a state: its events and where they lead. */
function gridOf(table: Table<string, string, string>): string[] {
  return Object.entries(table).map(([state, arrows]) => {
    const cells = Object.entries(arrows).map(([event, arrow]) => `${event}→${arrow?.to}`);
    return `${state}: ${cells.sort().join(" ")}`;
  });
}

const failures = ["connectionLost", "integrityFailed", "noFlash", "unsupportedPackage"]
  .map((failure) => `failed.${failure}→idle`)
  .join(" ");

test("receiver: each pair of state and event, as reviewed", () => {
  assert.deepEqual(gridOf(RECEIVER), [
    "idle: schedule→waiting",
    `waiting: begun→receiving cancel→idle ${failures} request→pulling schedule→waiting`,
    `receiving: cancel→idle ended→repairing ${failures} finished→verified request→pulling schedule→waiting silent→suspended`,
    `repairing: cancel→idle ${failures} finished→verified request→pulling schedule→waiting silent→suspended`,
    `pulling: begun→pulling cancel→idle ${failures} finished→verified schedule→waiting`,
    `suspended: cancel→idle ${failures} finished→verified heard→repairing request→pulling schedule→waiting`,
    `verified: apply→applying cancel→idle ${failures} schedule→waiting`,
    "applying: applied→idle rolledBack→idle",
  ]);
});

test("transmitter: each pair of state and event, as reviewed", () => {
  assert.deepEqual(gridOf(TRANSMITTER), [
    "waiting: cancel→cancelled due→streaming",
    "streaming: cancel→cancelled sent→polling",
    "repairing: cancel→cancelled sent→polling",
    "polling: cancel→cancelled exhausted→pulling needsHead→repairing needsParity→repairing needsPull→pulling settled→ending unanswered→polling",
    "pulling: cancel→cancelled quiet→ending unasked→polling",
    "ending: cancel→cancelled sent→finished",
    "finished: ",
    "cancelled: ",
  ]);
});

test("no state is dead: all are reached, and a receiver comes back to idle from each", () => {
  assert.deepEqual([...reachable(RECEIVER, "idle")].sort(), Object.keys(RECEIVER).sort());
  for (const state of Object.keys(RECEIVER) as ReceiverState[])
    assert.ok(reachable(RECEIVER, state).has("idle"), state);
  assert.deepEqual([...reachable(TRANSMITTER, "waiting")].sort(), Object.keys(TRANSMITTER).sort());
});

test("§7: a sender stops at once on a cancel, wherever it is before the end", () => {
  for (const [state, arrows] of Object.entries(TRANSMITTER))
    if (state !== "finished" && state !== "cancelled")
      assert.deepEqual((arrows as { cancel?: { actions: unknown } }).cancel?.actions, ["stop", "tell"], state);
});

test("LwM2M object 5: an installation that has begun cannot be cancelled, and only success and fall-back end it", () => {
  assert.deepEqual(Object.keys(RECEIVER.applying), ["applied", "rolledBack"]);
  assert.equal(RECEIVER.applying.applied?.extra, "success");
  assert.equal(RECEIVER.applying.rolledBack?.extra, "failed");
});

test("§9: each state is told in LwM2M's words, with a detail that fits it", () => {
  for (const { state, detail } of Object.values(STATUS_OF)) assert.equal(STATE_OF_DETAIL[detail], state);
});

test("the diagrams in the documentation can be drawn from the tables", () => {
  assert.match(toMermaid(RECEIVER), /receiving --> suspended: silent/);
  assert.match(toMermaid(TRANSMITTER), /polling --> repairing: needsParity \/ sendParity/);
});
