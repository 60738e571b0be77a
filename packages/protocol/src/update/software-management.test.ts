import assert from "node:assert/strict";
import { test } from "node:test";
import { reachable, toMermaid } from "../machine/table.ts";
import {
  isActive,
  restarted,
  SOFTWARE_MANAGEMENT,
  SOFTWARE_RESULT_ON_WIRE,
  SOFTWARE_STATE_ON_WIRE,
  type SoftwareEvent,
  type SoftwareState,
} from "./software-management.ts";

const states = Object.keys(SOFTWARE_MANAGEMENT) as SoftwareState[];

/** State on the wire and its name, result, what the owner does. */
function row(state: SoftwareState, event: SoftwareEvent): string {
  const arrow = SOFTWARE_MANAGEMENT[state][event];
  if (!arrow) return "none";
  return [`${SOFTWARE_STATE_ON_WIRE[arrow.to]} ${arrow.to}`, arrow.extra, ...arrow.actions].join(" ");
}

test("object 9 /7: every state is reachable from INITIAL, and INITIAL from every state", () => {
  assert.deepEqual([...reachable(SOFTWARE_MANAGEMENT, "initial")].sort(), [...states].sort());
  for (const state of states) assert.ok(reachable(SOFTWARE_MANAGEMENT, state).has("initial"), state);
});

test("object 9 /7 and /9: download, verification, installation", () => {
  assert.equal(row("initial", "writePackage"), "1 downloadStarted downloading");
  assert.equal(row("downloadStarted", "received"), "2 downloaded downloading");
  assert.equal(row("downloaded", "verified"), "3 delivered verified");
  assert.equal(row("delivered", "install"), "3 installing unchanged install");
  assert.equal(row("installing", "installDone"), "4 installed installed");
});

test("object 9 /7: an installation that fails stays DELIVERED, with 58", () => {
  assert.equal(row("installing", "installFailed"), "3 delivered installFailed");
  assert.equal(SOFTWARE_RESULT_ON_WIRE.installFailed, 58);
});

test("object 9 /9: a download that fails is INITIAL with its reason, before and after it is complete", () => {
  for (const state of ["downloadStarted", "downloaded"] as const) {
    assert.equal(row(state, "noStorage"), "0 initial noStorage");
    assert.equal(row(state, "integrityFailed"), "0 initial integrityFailed");
    assert.equal(row(state, "deviceError"), "0 initial deviceError");
  }
});

test("object 9 /4, /10, /11: only what is delivered is installed, only what is installed is activated", () => {
  const takes = (event: SoftwareEvent): string[] => states.filter((state) => row(state, event) !== "none");
  assert.deepEqual(takes("install"), ["delivered"]);
  assert.deepEqual(takes("activate"), ["installed", "active"]);
  assert.deepEqual(takes("deactivate"), ["installed", "active"]);
  assert.deepEqual(takes("writePackage"), ["initial"]);
});

test("object 9 /6: without an argument the package is removed, for an upgrade it waits for the next one", () => {
  assert.equal(row("active", "uninstall"), "4 uninstalling unchanged uninstall");
  assert.equal(row("uninstalling", "uninstallDone"), "0 initial initial");
  assert.equal(row("uninstalling", "uninstallFailed"), "4 installed uninstallFailed");
  assert.equal(row("active", "prepare"), "0 initial initial prepare");
  assert.equal(row("delivered", "uninstall"), "0 initial initial forget");
});

test("object 9 /12: enabled is what is active", () => {
  assert.deepEqual(states.filter(isActive), ["active", "deactivating"]);
});

test("wire values are the registry's", () => {
  assert.deepEqual([...new Set(Object.values(SOFTWARE_STATE_ON_WIRE))], [0, 1, 2, 3, 4]);
  assert.deepEqual(Object.values(SOFTWARE_RESULT_ON_WIRE), [0, 1, 2, 3, 50, 51, 52, 53, 54, 56, 57, 58, 59]);
});

test("a restart leaves nothing half done", () => {
  const busy = ["activating", "deactivating", "uninstalling", "downloaded"] as const;
  assert.deepEqual(
    busy.map((state) => restarted(state, "installed").state),
    ["installed", "active", "installed", "downloadStarted"],
  );
  assert.equal(restarted("uninstalling", "installed").result, "uninstallFailed");
  assert.deepEqual(restarted("active", "installed"), { state: "active", result: "installed" });
});

test("the diagram in the documentation can be drawn from the table", () => {
  assert.match(toMermaid(SOFTWARE_MANAGEMENT), /delivered --> installing: install \/ install/);
});
