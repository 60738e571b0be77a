import assert from "node:assert/strict";
import { test } from "node:test";
import { reachable, toMermaid } from "../machine/table.ts";
import { FIRMWARE_UPDATE, RESULT_ON_WIRE, STATE_ON_WIRE } from "./firmware-update.ts";

const states = Object.keys(FIRMWARE_UPDATE) as (keyof typeof FIRMWARE_UPDATE)[];

test("object 5 /3: every state is reachable from idle, and idle from every state", () => {
  assert.deepEqual([...reachable(FIRMWARE_UPDATE, "idle")].sort(), [...states].sort());
  for (const state of states) assert.ok(reachable(FIRMWARE_UPDATE, state).has("idle"), state);
});
test("object 5 /2: Update is executable only when Downloaded", () => {
  assert.deepEqual(
    states.filter((state) => FIRMWARE_UPDATE[state].update),
    ["downloaded"],
  );
});
test("object 5 /10: Cancel is refused once the update has been initiated", () => {
  assert.equal(FIRMWARE_UPDATE.updating.cancel, undefined);
});
test("object 5 /5: starting a download or an update resets the result to initial", () => {
  for (const [state, event] of [
    ["idle", "writeUri"],
    ["idle", "writePackage"],
    ["downloaded", "update"],
  ] as const)
    assert.equal(FIRMWARE_UPDATE[state][event]?.extra, "initial");
});
test("object 5 /3: whatever ends an update leaves Updating", () => {
  for (const arrow of Object.values(FIRMWARE_UPDATE.updating)) assert.notEqual(arrow.to, "updating");
});
test("leaving the image behind always discards it, except after success", () => {
  for (const state of states) {
    if (state === "idle") continue;
    for (const [event, arrow] of Object.entries(FIRMWARE_UPDATE[state]))
      if (arrow.to === "idle" && arrow.extra !== "success")
        assert.ok(arrow.actions.includes("discardImage"), `${state}/${event}`);
  }
});
test("wire values are the registry's", () => {
  assert.deepEqual(Object.values(STATE_ON_WIRE), [0, 1, 2, 3]);
  assert.deepEqual(Object.values(RESULT_ON_WIRE), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});
test("the diagram in the documentation can be drawn from the table", () => {
  assert.match(toMermaid(FIRMWARE_UPDATE), /downloaded --> updating: update \/ install/);
});
