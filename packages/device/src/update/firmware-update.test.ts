import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { RESULT_ON_WIRE, STATE_ON_WIRE } from "@airlift/protocol/update/firmware-update";
import { FirmwareUpdate } from "./firmware-update.ts";
import type { HandlerCall, HandlerOutcome, UpdateInput, UpdateOutput } from "./messages.ts";
import { FACTORY, fromStore, type Persisted, toStore } from "./persisted.ts";

const URI = "coap://files.example/fw/1";
const ETAG = Uint8Array.of(0xe1);
const BYTES = Uint8Array.of(1, 2, 3);

let core: FirmwareUpdate;
let log: string[];
let nowMs: number;
let openCall: number | undefined;
/** Handlers that do not settle by themselves with success. */
let scripted: Partial<Record<HandlerCall["handler"], HandlerOutcome | "never">>;

beforeEach(() => begin(FACTORY));

function begin(persisted: Persisted): void {
  core = new FirmwareUpdate(persisted, { utcMs: () => 1_800_000_000_000 + nowMs });
  log = [];
  nowMs = 0;
  openCall = undefined;
  scripted = {};
}

/** Feeds one input and settles what handlers it calls; logs outputs as short words. */
function feed(input: UpdateInput): void {
  for (const output of core.step(input, nowMs)) perform(output);
}

function perform(output: UpdateOutput): void {
  if (output.kind === "answer") log.push(output.code);
  else if (output.kind === "changed") log.push(`changed ${output.resources.join()}`);
  else if (output.kind === "startPull") log.push(`startPull @${output.offset}${output.etag ? " etag" : ""}`);
  else if (output.kind !== "call") log.push(output.kind);
  else {
    log.push(output.handler);
    const outcome = scripted[output.handler] ?? { ok: true };
    if (outcome === "never") openCall = output.call;
    else feed({ kind: "handlerSettled", call: output.call, outcome });
  }
}

function settle(outcome: HandlerOutcome = { ok: true }): void {
  assert.ok(openCall !== undefined, "a call is open");
  const call = openCall;
  openCall = undefined;
  feed({ kind: "handlerSettled", call, outcome });
}

const push = (bytes: Uint8Array, encoding: "opaque" | "base64" = "opaque"): void =>
  feed({ kind: "packageChunk", push: 1, exchange: 1, first: true, last: true, bytes, encoding });
const piece = (first: boolean, last: boolean, bytes = BYTES): void =>
  feed({ kind: "packageChunk", push: 1, exchange: 1, first, last, bytes, encoding: "opaque" });
const writeUri = (uri = URI, supported = true): void => feed({ kind: "writeUri", exchange: 2, uri, supported });
const update = (): void => feed({ kind: "executeUpdate", exchange: 3 });
const cancel = (): void => feed({ kind: "executeCancel", exchange: 4 });
const origin = (pull = 1): void => feed({ kind: "pullOrigin", pull, etag: ETAG });
const chunk = (offset: number, bytes = BYTES, pull = 1): void => feed({ kind: "pullChunk", pull, offset, bytes });
const wake = (atMs: number): void => {
  nowMs = atMs;
  feed({ kind: "wake" });
};

/** (state, result) on the wire. */
const pair = (): string => `${STATE_ON_WIRE[core.facts.state]},${RESULT_ON_WIRE[core.facts.result]}`;
/** What has been logged since the last look, without saves. */
const seen = (): string[] => log.splice(0).filter((word) => word !== "save");

function downloading(): void {
  writeUri();
  origin();
  chunk(0);
  seen();
}
function downloaded(): void {
  push(BYTES);
  seen();
}
function updating(): void {
  downloaded();
  update();
  seen();
}

test("row 1: a push is opened, written, verified and then answered; State 1 shows meanwhile", () => {
  push(BYTES);
  assert.deepEqual(seen(), ["openStream", "changed 12,3", "write", "finish", "2.04", "changed 6,7,3"]);
  assert.equal(pair(), "2,0");
});

test("row 1: each piece of a push is answered when it is stored", () => {
  scripted = { write: "never" };
  piece(true, false);
  assert.deepEqual(seen(), ["openStream", "changed 12,3", "write"]);
  settle();
  assert.deepEqual(seen(), ["2.31"]);
  piece(false, true);
  assert.deepEqual(seen(), ["write"]);
  settle();
  assert.deepEqual(seen(), ["finish", "2.04", "changed 6,7,3"]);
});

test("row 2: a store that does not open refuses the Write and changes nothing", () => {
  scripted = { openStream: { ok: false, reason: "noMemory" } };
  push(BYTES);
  assert.deepEqual(seen(), ["openStream", "5.00"]);
  assert.equal(pair(), "0,0");
});

test("row 3: a failed write answers 5.00, tells why, and resets", () => {
  for (const [reason, expected] of [
    [undefined, "0,2"],
    ["noMemory", "0,3"],
    ["integrityFailed", "0,5"],
    ["unsupportedPackage", "0,6"],
    ["deferred", "0,11"],
  ] as const) {
    begin(FACTORY);
    scripted = { write: { ok: false, reason } };
    push(BYTES);
    assert.deepEqual(seen(), ["openStream", "changed 12,3", "write", "5.00", "changed 5,3", "reset"]);
    assert.equal(pair(), expected);
  }
});

test("row 4: a push that fails its verification was written all the same: 2.04, no reset", () => {
  scripted = { finish: { ok: false, reason: "integrityFailed" } };
  push(BYTES);
  assert.deepEqual(seen().slice(-3), ["finish", "2.04", "changed 5,3"]);
  assert.equal(pair(), "0,5");
});

test("row 5: a push that breaks off is a lost connection", () => {
  piece(true, false);
  seen();
  feed({ kind: "packageBroken", push: 1 });
  assert.deepEqual(seen(), ["changed 5,3", "reset"]);
  assert.equal(pair(), "0,4");
  piece(false, true);
  assert.deepEqual(seen(), ["4.08"]);
});

test("row 6: one zero octet resets, in Idle too", () => {
  push(Uint8Array.of(0));
  assert.deepEqual(seen(), ["2.04", "reset"]);
  assert.equal(pair(), "0,0");
});

test("row 7: an empty push is no reset: the verification decides", () => {
  scripted = { finish: { ok: false, reason: "unsupportedPackage" } };
  push(new Uint8Array());
  assert.deepEqual(seen(), ["openStream", "changed 12,3", "finish", "2.04", "changed 5,3"]);
  assert.equal(pair(), "0,6");
});

test("row 8: text/plain is base64, or refused without a trace", () => {
  push(encodeUtf8("no base64!"), "base64");
  assert.deepEqual(seen(), ["4.00"]);
  push(encodeUtf8("AQID"), "base64");
  assert.equal(pair(), "2,0");
});

test("row 9: an empty URI resets and clears it, in every state but Updating", () => {
  writeUri("");
  assert.deepEqual(seen(), ["2.04", "reset"]);
  downloading();
  writeUri("");
  assert.deepEqual(seen(), ["2.04", "changed 1,3", "stopPull", "reset"]);
  assert.equal(core.facts.uri, "");
  downloaded();
  writeUri("");
  assert.deepEqual(seen(), ["2.04", "changed 6,7,3", "reset"]);
  assert.equal(pair(), "0,0");
});

test("row 10: a URI is answered first; the store opens with the first block", () => {
  writeUri();
  assert.deepEqual(seen(), ["2.04", "changed 1,12,3", "startPull @0"]);
  assert.equal(pair(), "1,0");
  origin();
  assert.deepEqual(seen(), []);
  chunk(0);
  assert.deepEqual(seen(), ["openStream", "write", "pullNext"]);
});

test("row 11: an unknown scheme is 4.00 with Result 9, and the previous URI is kept", () => {
  downloading();
  cancel();
  writeUri("ftp://x/y", false);
  assert.deepEqual(seen().slice(-2), ["4.00", "changed 5"]);
  assert.equal(pair(), "0,9");
  assert.equal(core.facts.uri, URI);
});

test("rows 14, 15: neither Update nor Cancel in Idle", () => {
  update();
  cancel();
  assert.deepEqual(seen(), ["4.05", "4.05"]);
});

test("row 16: the last block, verified", () => {
  downloading();
  feed({ kind: "pullEnded", pull: 1 });
  assert.deepEqual(seen(), ["finish", "changed 6,7,3"]);
  assert.equal(pair(), "2,0");
});

test("row 17: a pull that fails its verification ends in Idle without a reset", () => {
  downloading();
  scripted = { finish: { ok: false } };
  feed({ kind: "pullEnded", pull: 1 });
  assert.deepEqual(seen(), ["finish", "changed 5,3"]);
  assert.equal(pair(), "0,2");
});

test("row 18: a pull whose store fails is stopped and reset", () => {
  writeUri();
  origin();
  seen();
  scripted = { openStream: { ok: false, reason: "noMemory" } };
  chunk(0);
  assert.deepEqual(seen(), ["openStream", "changed 5,3", "stopPull", "reset"]);
  assert.equal(pair(), "0,3");
});

test("rows 13, 19 … 22: a failed pull tells its result and resets", () => {
  for (const result of ["connectionLost", "invalidUri", "noMemory", "unsupportedProtocol"] as const) {
    begin(FACTORY);
    downloading();
    feed({ kind: "pullFailed", pull: 1, result });
    assert.equal(seen().at(-1), "reset");
    assert.equal(pair(), `0,${RESULT_ON_WIRE[result]}`);
  }
});

test("row 23: an image that changed is fetched anew after the reset, still Downloading", () => {
  downloading();
  feed({ kind: "pullChanged", pull: 1 });
  assert.deepEqual(seen(), ["stopPull", "reset", "startPull @0"]);
  assert.equal(pair(), "1,0");
});

test("rows 24, 31: Cancel", () => {
  downloading();
  cancel();
  assert.deepEqual(seen(), ["2.04", "changed 5,3", "stopPull", "reset"]);
  assert.equal(pair(), "0,10");
  assert.equal(core.facts.uri, URI);
  downloaded();
  cancel();
  assert.deepEqual(seen(), ["2.04", "changed 5,6,7,3", "reset"]);
});

test("rows 25, 26, 27: in Downloading and Downloaded a zero octet resets, all else is 4.00", () => {
  for (const arrive of [downloading, downloaded]) {
    begin(FACTORY);
    arrive();
    push(BYTES);
    push(new Uint8Array());
    piece(true, false);
    writeUri("coap://other.example/2");
    assert.deepEqual(seen(), ["4.00", "4.00", "4.00", "4.00"]);
    push(Uint8Array.of(0));
    assert.equal(seen()[0], "2.04");
    assert.equal(pair(), "0,0");
  }
});

test("row 28: no Update in Downloading", () => {
  downloading();
  update();
  assert.deepEqual(seen(), ["4.05"]);
});

test("row 30: the answer and State 3 leave before the installation begins", () => {
  downloaded();
  update();
  assert.deepEqual(seen(), ["2.04", "changed 6,7,3"]);
  assert.equal(core.wakeAtMs, 250);
  wake(249);
  assert.deepEqual(seen(), []);
  wake(250);
  assert.deepEqual(seen(), ["performUpgrade"]);
  assert.equal(pair(), "3,0");
});

test("row 32: a refused installation returns to Downloaded and may be executed again", () => {
  for (const [reason, expected] of [
    [undefined, "2,8"],
    ["noFlash", "2,2"],
    ["integrityFailed", "2,5"],
    ["deferred", "2,11"],
  ] as const) {
    begin(FACTORY);
    updating();
    scripted = { performUpgrade: { ok: false, reason } };
    wake(1000);
    assert.equal(pair(), expected);
    scripted = { performUpgrade: { ok: true, value: "installed" } };
    update();
    assert.equal(pair(), "3,0");
    wake(2000);
    assert.equal(pair(), "0,1");
  }
});

test("rows 33, 34, 35: results set later", () => {
  for (const [result, expected, resets] of [
    ["success", "0,1", true],
    ["failed", "0,8", true],
    ["noFlash", "0,2", true],
    ["deferred", "2,11", false],
  ] as const) {
    begin(FACTORY);
    updating();
    scripted = { performUpgrade: { ok: true, value: "pending" } };
    wake(1000);
    seen();
    feed({ kind: "setResult", result });
    assert.equal(pair(), expected);
    assert.equal(seen().includes("reset"), resets);
  }
});

test("row 33: a result set inside performUpgrade waits with its reset until the handler is done", () => {
  updating();
  scripted = { performUpgrade: "never" };
  wake(1000);
  feed({ kind: "setResult", result: "success" });
  assert.equal(seen().includes("reset"), false);
  settle({ ok: true, value: "pending" });
  assert.deepEqual(seen(), ["reset"]);
  assert.equal(pair(), "0,1");
});

test("rows 36 … 39: Updating refuses everything", () => {
  updating();
  push(BYTES);
  push(Uint8Array.of(0));
  writeUri("");
  writeUri();
  update();
  cancel();
  assert.deepEqual(seen(), ["4.05", "4.05", "4.05", "4.00", "4.05", "4.05"]);
  assert.equal(pair(), "3,0");
});

test("row 40: an integrator may end a download, but neither succeed nor cancel nor forget it", () => {
  downloading();
  for (const result of ["success", "initial", "cancelled", "deferred"] as const) {
    assert.throws(() => feed({ kind: "setResult", result }), { code: "RESULT_NOT_SETTABLE" });
  }
  feed({ kind: "setResult", result: "noMemory" });
  assert.equal(pair(), "0,3");
  assert.throws(() => feed({ kind: "setResult", result: "failed" }), { code: "RESULT_NOT_SETTABLE" });
});

test("row 41: Severity is 0 … 2 and 1 at first", () => {
  assert.equal(core.facts.severity, 1);
  feed({ kind: "writeSetting", exchange: 5, setting: { severity: 3 } });
  feed({ kind: "writeSetting", exchange: 5, setting: { severity: 0 } });
  assert.deepEqual(seen(), ["4.00", "changed 11", "2.04"]);
});

test("R1: a restart in Idle forgets a result that a server knows, and keeps one that none does", () => {
  for (const [resultTold, expected] of [
    [true, "0,0"],
    [false, "0,8"],
  ] as const) {
    begin({ ...FACTORY, result: "failed", resultTold });
    feed({ kind: "start" });
    assert.equal(pair(), expected);
  }
});

test("R2: a restart in Downloading resumes behind what is stored", () => {
  begin({ ...FACTORY, state: "downloading", pulled: true, uri: URI, etag: ETAG, storedBytes: 3 });
  feed({ kind: "start" });
  assert.deepEqual(seen(), ["startPull @3 etag"]);
  chunk(2, Uint8Array.of(3, 4));
  assert.deepEqual(seen(), ["write", "pullNext"]);
  assert.equal(core.storedBytes, 4);
});

test("R2: without an entity tag, or with nothing stored, the download starts over", () => {
  for (const held of [{ storedBytes: 3 }, { etag: ETAG }]) {
    begin({ ...FACTORY, state: "downloading", pulled: true, uri: URI, ...held });
    feed({ kind: "start" });
    assert.deepEqual(seen(), ["reset", "startPull @0"]);
    assert.equal(pair(), "1,0");
  }
});

test("R2: what a reset was about to remove is not resumed, though the store still has it", () => {
  const notes = { discarding: true };
  begin(fromStore({ state: "downloading", result: "initial", uri: URI, offset: 500, etag: ETAG, notes }));
  feed({ kind: "start" });
  assert.deepEqual(seen(), ["reset", "startPull @0"]);
  origin();
  chunk(0);
  assert.deepEqual(seen(), ["openStream", "write", "pullNext"]);
});

test("R2: a push cannot be resumed", () => {
  begin({ ...FACTORY, state: "downloading", uri: URI });
  feed({ kind: "start" });
  assert.deepEqual(seen(), ["changed 12,3", "reset"]);
  assert.equal(pair(), "0,0");
});

test("R3: a restart in Downloaded", () => {
  begin({ ...FACTORY, state: "downloaded" });
  feed({ kind: "start" });
  assert.equal(pair(), "2,0");
});

test("R4: what the boot loader made of the update is what a restart tells", () => {
  for (const result of ["success", "integrityFailed", "failed"] as const) {
    begin(fromStore({ state: "idle", result }));
    feed({ kind: "start" });
    assert.equal(pair(), `0,${RESULT_ON_WIRE[result]}`);
    assert.deepEqual(seen(), []);
  }
});

test("R5: an image on trial is Updating until its result is set", () => {
  begin(fromStore({ state: "updating", result: "initial" }));
  feed({ kind: "start" });
  assert.equal(pair(), "3,0");
  assert.deepEqual(seen(), []);
  feed({ kind: "setResult", result: "success" });
  assert.equal(pair(), "0,1");
});

test("what is stored comes back", () => {
  for (const state of ["idle", "downloaded", "updating", "downloading"] as const) {
    const facts: Persisted = { ...FACTORY, state, uri: URI, severity: 2, discarding: true, lastStateChangeAtS: 7 };
    const download = state === "downloading" ? { pulled: true, etag: ETAG, storedBytes: 9 } : {};
    assert.deepEqual(fromStore(toStore({ ...facts, ...download })), { ...facts, ...download });
  }
});

test("a reset during a running handler is answered at once, and reset() waits for the handler", () => {
  writeUri();
  origin();
  seen();
  scripted = { write: "never" };
  chunk(0);
  cancel();
  assert.deepEqual(seen(), ["openStream", "write", "2.04", "changed 5,3", "stopPull"]);
  writeUri("coap://files.example/fw/2");
  assert.deepEqual(seen(), ["2.04", "changed 1,5,3"], "the new download waits too");
  scripted = {};
  settle({ ok: false, reason: "noFlash" });
  assert.deepEqual(seen(), ["reset", "startPull @0"]);
  assert.equal(pair(), "1,0", "a stale failure changes nothing");
});

test("a push that somebody else resets is answered: the transfer is gone", () => {
  scripted = { write: "never" };
  piece(true, false);
  feed({ kind: "writeUri", exchange: 9, uri: "", supported: true });
  assert.deepEqual(seen(), ["openStream", "changed 12,3", "write", "2.04", "4.08", "changed 3"]);
});

test("what a stopped pull still brings changes nothing", () => {
  downloading();
  cancel();
  writeUri();
  seen();
  chunk(0, BYTES, 1);
  feed({ kind: "pullFailed", pull: 1, result: "connectionLost" });
  assert.deepEqual(seen(), []);
  assert.equal(pair(), "1,0");
});

test("a reset that the power cut off is done again", () => {
  begin({ ...FACTORY, discarding: true });
  feed({ kind: "start" });
  assert.deepEqual(seen(), ["reset"]);
});

test("everything is saved before it is answered, told, or acted upon", () => {
  writeUri();
  assert.deepEqual(log.splice(0), ["save", "2.04", "changed 1,12,3", "startPull @0"]);
  cancel();
  assert.deepEqual(log.splice(0), ["save", "2.04", "changed 5,3", "stopPull", "reset", "save"]);
});

test("lesson 11: what erases flash begins after the answer", () => {
  downloaded();
  scripted = { reset: "never" };
  push(Uint8Array.of(0));
  const words = seen();
  assert.ok(words.indexOf("2.04") < words.indexOf("reset"));
});
