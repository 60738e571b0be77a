import assert from "node:assert/strict";
import { test } from "node:test";
import {
  FIRMWARE_UPDATE,
  type FirmwareState,
  RESULT_ON_WIRE,
  type UpdateResult,
} from "@airlift/protocol/update/firmware-update";
import { SOFTWARE_MANAGEMENT, type SoftwareState } from "@airlift/protocol/update/software-management";
import { eventsOf } from "./software-news.ts";

const states = Object.keys(SOFTWARE_MANAGEMENT) as SoftwareState[];
const downloads = Object.keys(FIRMWARE_UPDATE) as FirmwareState[];
const results = Object.keys(RESULT_ON_WIRE) as UpdateResult[];

/** Where the events lead; fails where the table has no arrow for one of them. */
function follow(state: SoftwareState, download: FirmwareState, result: UpdateResult): SoftwareState {
  let at = state;
  for (const event of eventsOf(state, { state: download, result })) {
    const arrow = SOFTWARE_MANAGEMENT[at][event];
    assert.ok(arrow, `${state}, download ${download} ${result}: no ${event} in ${at}`);
    at = arrow.to;
  }
  return at;
}

test("whatever a package and its download stand at, the table has the arrows, and once is enough", () => {
  for (const state of states) {
    for (const download of downloads) {
      for (const result of results) {
        const at = follow(state, download, result);
        const isRefusal = result === "unsupportedProtocol" && download === "idle";
        if (!isRefusal) assert.equal(follow(at, download, result), at, `${state}, download ${download} ${result}`);
      }
    }
  }
});

test("a download that is complete is delivered, wherever the package stood before", () => {
  for (const state of ["initial", "downloadStarted", "downloaded"] as const) {
    assert.equal(follow(state, "downloaded", "initial"), "delivered");
  }
});

test("what is installed does not mind a download that is over", () => {
  for (const state of ["installed", "active", "activating", "deactivating", "uninstalling"] as const) {
    for (const result of results) assert.equal(follow(state, "idle", result), state);
  }
});
