/** Severity, deferral with its deadline, and Automatic Upgrade at Download, of object 5 versions 1.1 and 1.2. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { FirmwareUpdate } from "./firmware-update.ts";
import type { HandlerOutcome, UpdateInput, UpdateOutput, UpdateSetting } from "./messages.ts";
import { FACTORY, fromStore, type Persisted, toStore } from "./persisted.ts";
import { DEADLINE_CHECK_MS } from "./upgrade.ts";

const T0_S = 1_800_000_000;
const URI = "coap://files.example/fw/1";
const DEFERRED: HandlerOutcome = { ok: false, reason: "deferred" };

let core: FirmwareUpdate;
let log: string[];
let nowMs: number;
/** How far the wall clock was set ahead. */
let setAheadMs: number;
let performs: HandlerOutcome[];
let saved: Persisted;

beforeEach(() => begin(FACTORY));

function begin(persisted: Persisted): void {
  core = new FirmwareUpdate(persisted, { utcMs: () => T0_S * 1000 + nowMs + setAheadMs });
  log = [];
  nowMs = 0;
  setAheadMs = 0;
  performs = [];
  saved = persisted;
}

function feed(input: UpdateInput): void {
  for (const output of core.step(input, nowMs)) perform(output);
}

function perform(output: UpdateOutput): void {
  if (output.kind === "answer") log.push(output.code);
  else if (output.kind === "save") saved = output.persisted;
  else if (output.kind === "changed") log.push(`changed ${output.resources.join()}`);
  else if (output.kind === "call" && output.handler === "performUpgrade") {
    log.push(`performUpgrade ${output.order.by}${output.order.mayDefer ? "" : " at once"} ${output.order.severity}`);
    settle(output.call, performs.shift() ?? { ok: true, value: "pending" });
  } else if (output.kind === "call") settle(output.call, { ok: true });
}

const settle = (call: number, outcome: HandlerOutcome): void => feed({ kind: "handlerSettled", call, outcome });
const set = (setting: UpdateSetting): void => feed({ kind: "writeSetting", exchange: 5, setting });
const execute = (): void => feed({ kind: "executeUpdate", exchange: 3 });
const push = (): void =>
  feed({
    kind: "packageChunk",
    push: 1,
    exchange: 1,
    first: true,
    last: true,
    bytes: Uint8Array.of(1, 2),
    encoding: "opaque",
  });
const wakeAt = (atMs: number): void => {
  nowMs = atMs;
  feed({ kind: "wake" });
};
const pair = (): string => `${core.facts.state} ${core.facts.result}`;
const seen = (): string[] => log.splice(0);

/** An update that the user has put off, with a period of 600 s. */
function deferred(): void {
  set({ maximumDeferPeriodS: 600 });
  push();
  performs = [DEFERRED];
  execute();
  wakeAt(250);
  seen();
}

test("row 41: a Maximum Defer Period below 0 is 4.00, one of 0 and more is kept", () => {
  set({ maximumDeferPeriodS: -1 });
  set({ maximumDeferPeriodS: 0 });
  assert.deepEqual(seen(), ["4.00", "changed 13", "2.04"]);
  assert.equal(core.facts.maximumDeferPeriodS, 0);
});

test("row 32: a deferral leaves the image in Downloaded with Result 11, and the deadline counts from Execute", () => {
  set({ maximumDeferPeriodS: 600 });
  push();
  seen();
  performs = [DEFERRED];
  execute();
  assert.equal(core.facts.updateDeadlineAtS, T0_S + 600);
  wakeAt(250);
  assert.deepEqual(seen(), ["2.04", "changed 6,7,3", "performUpgrade server 1", "changed 5,6,7,3"]);
  assert.equal(pair(), "downloaded deferred");
});

test("resource 13: at the deadline the update begins by itself, and may not be put off again", () => {
  deferred();
  assert.equal(core.wakeAtMs, 600_000);
  wakeAt(599_999);
  assert.deepEqual(seen(), []);
  wakeAt(600_000);
  assert.equal(pair(), "updating initial");
  wakeAt(600_250);
  assert.deepEqual(seen(), ["changed 5,6,7,12,3", "performUpgrade deadline at once 1"]);
});

test("an Execute that is refused does not change who wanted the update", () => {
  deferred();
  wakeAt(600_000);
  execute();
  wakeAt(600_250);
  assert.deepEqual(seen(), ["changed 5,6,7,12,3", "4.05", "performUpgrade deadline at once 1"]);
});

test("a deferral ends by itself also when it was set before any Execute, or its period written after that", () => {
  set({ maximumDeferPeriodS: 600 });
  push();
  feed({ kind: "setResult", result: "deferred" });
  assert.equal(pair(), "downloaded deferred");
  assert.equal(core.wakeAtMs, 600_000);
  begin(FACTORY);
  push();
  execute();
  wakeAt(250);
  set({ maximumDeferPeriodS: 600 });
  feed({ kind: "setResult", result: "deferred" });
  assert.equal(core.facts.updateDeadlineAtS, T0_S + 601);
});

test("a handler that puts off what may not wait has failed", () => {
  deferred();
  performs = [DEFERRED];
  wakeAt(600_000);
  wakeAt(600_250);
  assert.equal(pair(), "downloaded failed");
  assert.equal(core.facts.updateDeadlineAtS, undefined);
  assert.equal(core.wakeAtMs, undefined, "nobody tries for ever");
});

test("a Maximum Defer Period of 0 allows no deferral, by whichever way", () => {
  set({ maximumDeferPeriodS: 0 });
  push();
  assert.throws(() => feed({ kind: "setResult", result: "deferred" }), { code: "RESULT_NOT_SETTABLE" });
  seen();
  performs = [DEFERRED];
  execute();
  wakeAt(250);
  assert.deepEqual(seen().at(2), "performUpgrade server at once 1");
  assert.equal(pair(), "downloaded failed");
});

test("object version 1.0 knows no deferral: the handler is told, and one that defers all the same has failed", () => {
  core = new FirmwareUpdate(FACTORY, { utcMs: () => T0_S * 1000, allowsDeferral: false });
  push();
  performs = [DEFERRED];
  execute();
  wakeAt(250);
  assert.ok(seen().includes("performUpgrade server at once 1"));
  assert.equal(pair(), "downloaded failed");
  assert.throws(() => feed({ kind: "setResult", result: "deferred" }), { code: "RESULT_NOT_SETTABLE" });
});

test("without a Maximum Defer Period a deferral lasts until it is accepted", () => {
  push();
  performs = [DEFERRED];
  execute();
  wakeAt(250);
  assert.equal(pair(), "downloaded deferred");
  assert.equal(core.wakeAtMs, undefined);
  seen();
  feed({ kind: "accept" });
  wakeAt(1_000_000);
  assert.deepEqual(seen(), ["changed 5,6,7,3", "performUpgrade accepted 1"]);
});

test("an accepted update may be put off once more, but not beyond the deadline", () => {
  deferred();
  performs = [DEFERRED];
  wakeAt(100_000);
  feed({ kind: "accept" });
  wakeAt(100_250);
  assert.equal(pair(), "downloaded deferred");
  assert.equal(core.facts.updateDeadlineAtS, T0_S + 600);
  assert.equal(core.wakeAtMs, 600_000);
});

test("only a deferred update can be accepted", () => {
  assert.throws(() => feed({ kind: "accept" }), { code: "RESULT_NOT_SETTABLE" });
  push();
  assert.throws(() => feed({ kind: "accept" }), { code: "RESULT_NOT_SETTABLE" });
});

test("row 35: deferred can be set in Updating, too, and the deadline holds", () => {
  set({ maximumDeferPeriodS: 600 });
  push();
  execute();
  wakeAt(250);
  feed({ kind: "setResult", result: "deferred" });
  assert.equal(pair(), "downloaded deferred");
  assert.equal(core.wakeAtMs, 600_000);
});

test("a user who thinks until after the deadline finds the update begun", () => {
  set({ maximumDeferPeriodS: 600 });
  push();
  execute();
  wakeAt(250);
  nowMs = 700_000;
  feed({ kind: "setResult", result: "deferred" });
  assert.equal(pair(), "updating initial");
  assert.deepEqual(seen().slice(-2), ["changed 5,6,7,12,3", "changed 5,6,7,3"], "told as deferred, then as begun");
});

test("the deadline outlives a restart, and one that passed meanwhile is kept at once", () => {
  deferred();
  const kept = toStore(saved);
  begin(fromStore(kept));
  nowMs = 10_000;
  feed({ kind: "start" });
  assert.equal(pair(), "downloaded deferred");
  assert.equal(core.wakeAtMs, 600_000);
  begin(fromStore(kept));
  nowMs = 900_000;
  feed({ kind: "start" });
  assert.equal(pair(), "updating initial");
});

test("severity and the time of the last change outlive a restart", () => {
  set({ severity: 0 });
  deferred();
  begin(fromStore(toStore(saved)));
  feed({ kind: "start" });
  assert.equal(core.facts.severity, 0);
  assert.equal(core.facts.lastStateChangeAtS, T0_S);
  assert.equal(core.facts.maximumDeferPeriodS, 600);
});

test("a wall clock that is set ahead is noticed within the hour", () => {
  set({ maximumDeferPeriodS: 100 * 3600 });
  push();
  performs = [DEFERRED];
  execute();
  wakeAt(250);
  assert.equal(core.wakeAtMs, 250 + DEADLINE_CHECK_MS);
  setAheadMs = 200 * 3_600_000;
  wakeAt(250 + DEADLINE_CHECK_MS);
  assert.equal(pair(), "updating initial");
});

test("an update that ends takes its deadline along", () => {
  for (const end of ["cancel", "reset"] as const) {
    begin(FACTORY);
    deferred();
    if (end === "cancel") feed({ kind: "executeCancel", exchange: 4 });
    else feed({ kind: "writeUri", exchange: 4, uri: "", supported: true });
    assert.equal(core.facts.updateDeadlineAtS, undefined);
    assert.equal(core.wakeAtMs, undefined);
  }
});

test("Execute begins the period anew", () => {
  deferred();
  nowMs = 300_000;
  performs = [DEFERRED];
  execute();
  wakeAt(300_250);
  assert.equal(core.wakeAtMs, 900_000);
});

test("resource 14: what is downloaded is installed without an Execute, pushed or pulled", () => {
  set({ automaticUpgrade: true });
  push();
  assert.equal(pair(), "updating initial");
  wakeAt(250);
  assert.equal(log.at(-1), "performUpgrade automatic 1");
  begin({ ...FACTORY, automaticUpgrade: true });
  feed({ kind: "writeUri", exchange: 2, uri: URI, supported: true });
  feed({ kind: "pullOrigin", pull: 1, etag: undefined });
  feed({ kind: "pullChunk", pull: 1, offset: 0, bytes: Uint8Array.of(1) });
  feed({ kind: "pullEnded", pull: 1 });
  assert.equal(pair(), "updating initial");
});

test("resource 14: an upgrade that failed is not tried again by itself", () => {
  set({ automaticUpgrade: true });
  performs = [{ ok: false }];
  push();
  wakeAt(250);
  assert.equal(pair(), "downloaded failed");
  begin(fromStore(toStore(saved)));
  feed({ kind: "start" });
  assert.equal(pair(), "downloaded failed");
});

test("resource 14: a power cut between the download and its upgrade is made up for", () => {
  begin(fromStore({ state: "downloaded", result: "initial", notes: { automaticUpgrade: true } }));
  feed({ kind: "start" });
  assert.equal(pair(), "updating initial");
});

test("resource 14: it holds for downloads that end from now on", () => {
  push();
  set({ automaticUpgrade: true });
  assert.equal(pair(), "downloaded initial");
});
