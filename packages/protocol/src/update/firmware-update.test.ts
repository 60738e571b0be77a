import assert from "node:assert/strict";
import { test } from "node:test";
import { reachable, toMermaid } from "../machine/table.ts";
import {
  FIRMWARE_UPDATE,
  type FirmwareEvent,
  type FirmwareState,
  RESULT_ON_WIRE,
  refusalOf,
  STATE_ON_WIRE,
  type UpdateResult,
} from "./firmware-update.ts";

const states = Object.keys(FIRMWARE_UPDATE) as FirmwareState[];
const FAILURES = Object.keys(RESULT_ON_WIRE).filter((result) => {
  const value = RESULT_ON_WIRE[result as UpdateResult];
  return (value >= 2 && value <= 9) || value > 11;
}) as UpdateResult[];

/** An arrow as the specification's rows write it: state on the wire, result on the wire, what the owner does. */
function row(state: FirmwareState, event: FirmwareEvent): string {
  const arrow = FIRMWARE_UPDATE[state][event];
  if (!arrow) return "none";
  const target = `(${STATE_ON_WIRE[arrow.to]},${RESULT_ON_WIRE[arrow.extra]})`;
  return [target, ...arrow.actions].join(" ");
}

test("object 5 /3: every state is reachable from idle, and idle from every state", () => {
  assert.deepEqual([...reachable(FIRMWARE_UPDATE, "idle")].sort(), [...states].sort());
  for (const state of states) assert.ok(reachable(FIRMWARE_UPDATE, state).has("idle"), state);
});

test("rows 1, 6, 9, 10, 11: what Idle accepts", () => {
  assert.equal(row("idle", "writePackage"), "(1,0)");
  assert.equal(row("idle", "reset"), "(0,0) discardImage");
  assert.equal(row("idle", "clearUri"), "(0,0) discardImage forgetUri");
  assert.equal(row("idle", "writeUri"), "(1,0) startPull");
  assert.equal(row("idle", "unsupportedUri"), "(0,9)");
});

test("rows 3, 5, 13, 18 … 22: a transfer that fails ends in Idle with its result and discards the image", () => {
  for (const result of FAILURES) {
    assert.equal(row("downloading", result as FirmwareEvent), `(0,${RESULT_ON_WIRE[result]}) discardImage`);
  }
});

test("rows 4, 17: a verification that fails ends in Idle with its result and discards nothing", () => {
  assert.equal(row("downloading", "verify.noFlash"), "(0,2)");
  assert.equal(row("downloading", "verify.noMemory"), "(0,3)");
  assert.equal(row("downloading", "verify.integrityFailed"), "(0,5)");
  assert.equal(row("downloading", "verify.unsupportedPackage"), "(0,6)");
  assert.equal(row("downloading", "verify.deferred"), "(0,11)");
});

test("rows 14, 15, 28, 39: an Execute out of its state is refused with 4.05", () => {
  const refused = states.filter((state) => row(state, "update") === "none");
  assert.deepEqual(refused, ["idle", "downloading", "updating"]);
  for (const state of refused) assert.equal(refusalOf(state, "update"), "4.05");
  for (const state of ["idle", "updating"] as const) {
    assert.equal(row(state, "cancel"), "none");
    assert.equal(refusalOf(state, "cancel"), "4.05");
  }
});

test("rows 16, 30: download, verification, update", () => {
  assert.equal(row("downloading", "received"), "(2,0)");
  assert.equal(row("downloaded", "update"), "(3,0) install");
});

test("row 23: an image that changed under a resumed download is fetched anew, still Downloading", () => {
  assert.equal(row("downloading", "startOver"), "(1,0) discardImage startPull");
});

test("rows 9, 24, 25, 31: reset, empty URI and Cancel leave Downloading and Downloaded", () => {
  for (const state of ["downloading", "downloaded"] as const) {
    assert.equal(row(state, "reset"), "(0,0) discardImage");
    assert.equal(row(state, "clearUri"), "(0,0) discardImage forgetUri");
    assert.equal(row(state, "cancel"), "(0,10) discardImage");
  }
});

test("rows 26, 27: no second package and no other URI once a download has begun: 4.00", () => {
  for (const state of ["downloading", "downloaded"] as const) {
    for (const event of ["writePackage", "writeUri"] as const) {
      assert.equal(row(state, event), "none");
      assert.equal(refusalOf(state, event), "4.00");
    }
  }
});

test("row 32: a refused installation keeps the image, and may be executed again", () => {
  assert.equal(row("updating", "refused.noFlash"), "(2,2)");
  assert.equal(row("updating", "refused.noMemory"), "(2,3)");
  assert.equal(row("updating", "refused.integrityFailed"), "(2,5)");
  assert.equal(row("updating", "refused.unsupportedPackage"), "(2,6)");
  assert.equal(row("updating", "refused.failed"), "(2,8)");
  assert.equal(row("updating", "deferred"), "(2,11)");
});

test("rows 33, 34, 35, 40: a result that is set later", () => {
  assert.equal(row("updating", "installed"), "(0,1) discardImage");
  assert.equal(row("updating", "deferred"), "(2,11)");
  for (const state of ["downloading", "downloaded", "updating"] as const) {
    for (const result of FAILURES) {
      assert.equal(row(state, result as FirmwareEvent), `(0,${RESULT_ON_WIRE[result]}) discardImage`);
    }
  }
  for (const result of FAILURES) assert.equal(row("idle", result as FirmwareEvent), "none");
});

test("rows 36, 37, 38: Updating accepts no Write", () => {
  for (const event of ["writePackage", "reset", "clearUri", "writeUri", "unsupportedUri"] as const) {
    assert.equal(row("updating", event), "none");
  }
  assert.equal(refusalOf("updating", "writePackage"), "4.05");
  assert.equal(refusalOf("updating", "reset"), "4.05");
  assert.equal(refusalOf("updating", "clearUri"), "4.05");
  assert.equal(refusalOf("updating", "writeUri"), "4.00");
});

test("object 5 /5: initial is set whenever a download or an update begins", () => {
  for (const state of states) {
    for (const arrow of Object.values(FIRMWARE_UPDATE[state])) {
      const begins = arrow.actions.includes("startPull") || arrow.actions.includes("install");
      if (begins) assert.equal(arrow.extra, "initial");
    }
  }
});

test("the diagram: Idle has any result, Downloading and Updating have the initial one", () => {
  for (const state of states) {
    for (const [event, arrow] of Object.entries(FIRMWARE_UPDATE[state])) {
      if (arrow.to === "downloading" || arrow.to === "updating") assert.equal(arrow.extra, "initial", event);
    }
  }
});

test("33629 /3: a package for several components brings each of them to Downloaded, an update of several to Updating", () => {
  assert.equal(row("idle", "sharedPackage"), "(2,0)");
  assert.equal(row("downloaded", "updatedAlong"), "(3,0)");
  for (const state of states) {
    if (state !== "idle") assert.equal(row(state, "sharedPackage"), "none");
    if (state !== "downloaded") assert.equal(row(state, "updatedAlong"), "none");
  }
});

test("33629 /5: a conflict ends the download with 12, a missing component the update with 13", () => {
  assert.equal(row("downloading", "verify.conflictingState"), "(0,12)");
  assert.equal(row("downloading", "conflictingState"), "(0,12) discardImage");
  assert.equal(row("updating", "refused.dependencyError"), "(2,13)");
  assert.equal(row("updating", "dependencyError"), "(0,13) discardImage");
});

test("the whole grid, as reviewed", () => {
  const events = new Set(states.flatMap((state) => Object.keys(FIRMWARE_UPDATE[state]) as FirmwareEvent[]));
  const grid = [...events].sort().map((event) => `${event}: ${states.map((state) => row(state, event)).join(" | ")}`);
  assert.deepEqual(grid, [
    "accepted: none | none | (3,0) install | none",
    "cancel: none | (0,10) discardImage | (0,10) discardImage | none",
    "clearUri: (0,0) discardImage forgetUri | (0,0) discardImage forgetUri | (0,0) discardImage forgetUri | none",
    "conflictingState: none | (0,12) discardImage | (0,12) discardImage | (0,12) discardImage",
    "connectionLost: none | (0,4) discardImage | (0,4) discardImage | (0,4) discardImage",
    "deferred: none | (0,11) discardImage | (2,11) | (2,11)",
    "dependencyError: none | (0,13) discardImage | (0,13) discardImage | (0,13) discardImage",
    "failed: none | (0,8) discardImage | (0,8) discardImage | (0,8) discardImage",
    "garbled: none | (0,0) discardImage | none | none",
    "installed: none | none | none | (0,1) discardImage",
    "integrityFailed: none | (0,5) discardImage | (0,5) discardImage | (0,5) discardImage",
    "invalidUri: none | (0,7) discardImage | (0,7) discardImage | (0,7) discardImage",
    "noFlash: none | (0,2) discardImage | (0,2) discardImage | (0,2) discardImage",
    "noMemory: none | (0,3) discardImage | (0,3) discardImage | (0,3) discardImage",
    "received: none | (2,0) | none | none",
    "refused.dependencyError: none | none | none | (2,13)",
    "refused.failed: none | none | none | (2,8)",
    "refused.integrityFailed: none | none | none | (2,5)",
    "refused.noFlash: none | none | none | (2,2)",
    "refused.noMemory: none | none | none | (2,3)",
    "refused.unsupportedPackage: none | none | none | (2,6)",
    "reset: (0,0) discardImage | (0,0) discardImage | (0,0) discardImage | none",
    "sharedPackage: (2,0) | none | none | none",
    "startOver: none | (1,0) discardImage startPull | none | none",
    "unsupportedPackage: none | (0,6) discardImage | (0,6) discardImage | (0,6) discardImage",
    "unsupportedProtocol: none | (0,9) discardImage | (0,9) discardImage | (0,9) discardImage",
    "unsupportedUri: (0,9) | none | none | none",
    "update: none | none | (3,0) install | none",
    "updatedAlong: none | none | (3,0) | none",
    "verify.conflictingState: none | (0,12) | none | none",
    "verify.deferred: none | (0,11) | none | none",
    "verify.dependencyError: none | (0,13) | none | none",
    "verify.integrityFailed: none | (0,5) | none | none",
    "verify.noFlash: none | (0,2) | none | none",
    "verify.noMemory: none | (0,3) | none | none",
    "verify.unsupportedPackage: none | (0,6) | none | none",
    "writePackage: (1,0) | none | none | none",
    "writeUri: (1,0) startPull | none | none | none",
  ]);
});

test("wire values are the registry's", () => {
  assert.deepEqual(Object.values(STATE_ON_WIRE), [0, 1, 2, 3]);
  assert.deepEqual(Object.values(RESULT_ON_WIRE), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
});

test("the diagram in the documentation can be drawn from the table", () => {
  assert.match(toMermaid(FIRMWARE_UPDATE), /downloaded --> updating: update \/ install/);
});
