import assert from "node:assert/strict";
import { test } from "node:test";
import {
  FIRMWARE_UPDATE,
  type FirmwareState,
  RESULT_ON_WIRE,
  type UpdateResult,
} from "@airlift/protocol/update/firmware-update";
import { eventForCompanion, eventToReach } from "./component-moves.ts";

const states = Object.keys(FIRMWARE_UPDATE) as FirmwareState[];
const results = Object.keys(RESULT_ON_WIRE) as UpdateResult[];

test("a state and result that can be set is where its event leads, and Downloading never is one", () => {
  for (const from of states) {
    for (const state of states) {
      for (const result of results) {
        try {
          const arrow = FIRMWARE_UPDATE[from][eventToReach(from, { state, result })];
          assert.deepEqual([arrow?.to, arrow?.extra], [state, result]);
          assert.notEqual(state, "downloading");
        } catch (error) {
          assert.equal((error as { code?: string }).code, "RESULT_NOT_SETTABLE");
        }
      }
    }
  }
});

test("what may be set, by state", () => {
  const settable = (from: FirmwareState): string[] =>
    states.flatMap((state) =>
      results.flatMap((result) => {
        try {
          return [`${state} ${result}: ${eventToReach(from, { state, result })}`];
        } catch {
          return [];
        }
      }),
    );
  assert.deepEqual(settable("idle"), ["idle initial: reset", "downloaded initial: sharedPackage"]);
  assert.ok(settable("downloaded").includes("updating initial: updatedAlong"));
  assert.ok(!settable("downloading").some((move) => move.startsWith("downloaded")), "only what was verified");
  assert.ok(settable("updating").includes("downloaded dependencyError: refused.dependencyError"));
});

test("every end of an update means something for those that were updated along", () => {
  for (const arrow of Object.values(FIRMWARE_UPDATE.updating)) {
    const event = eventForCompanion({ state: arrow.to, result: arrow.extra });
    assert.equal(FIRMWARE_UPDATE.updating[event]?.extra, arrow.extra);
  }
});
