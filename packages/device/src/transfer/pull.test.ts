import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { DEFAULT_PULL_POLICY, Pull, type PullInput } from "./pull.ts";
import { type PullFailure, RESULT_OF_FAILURE } from "./pull-failure.ts";

const ETAG = Uint8Array.of(7);
let pull: Pull;
let nowMs: number;

beforeEach(() => {
  nowMs = 0;
  pull = new Pull({ random: () => 1 });
});

function feed(input: PullInput): string {
  return pull
    .step(input, nowMs)
    .map((output) => {
      if (output.kind === "connect") return `connect @${output.offset}${output.etag ? " etag" : ""}`;
      if (output.kind === "pause") return `pause ${output.afterMs}`;
      return output.kind === "giveUp" ? `giveUp ${output.result}` : output.kind;
    })
    .join();
}
const fail = (failure: PullFailure = "connection", retryAfterMs = 0): string =>
  feed({ kind: "failed", failure, retryAfterMs });
const wake = (): string => {
  nowMs = pull.wakeAtMs ?? assert.fail("nothing to wait for");
  return feed({ kind: "wake" });
};
function begin(etag: Uint8Array | undefined = ETAG, storedBytes = 1024): void {
  assert.equal(feed({ kind: "start", offset: 0, etag: undefined }), "connect @0");
  feed({ kind: "answered", etag });
  feed({ kind: "stored", storedBytes });
}

test("a lost link is waited for, and the download goes on where it was", () => {
  begin();
  assert.equal(fail(), "pause 1000");
  assert.equal(wake(), "connect @1024 etag");
  assert.equal(fail(), "pause 2000");
  assert.equal(wake(), "connect @1024 etag");
});

test("each octet stored starts the count anew", () => {
  begin();
  for (let i = 0; i < 10; i += 1) {
    fail();
    wake();
  }
  feed({ kind: "stored", storedBytes: 2048 });
  assert.equal(fail(), "pause 1000");
});

test("row 19: patience ends after the last retry", () => {
  begin();
  for (let i = 0; i < DEFAULT_PULL_POLICY.retryCount; i += 1) {
    assert.match(fail(), /^pause/);
    wake();
  }
  assert.equal(fail(), "giveUp connectionLost");
});

test("rows 12, 13, 20, 21, 22: failures that no retry helps are told at once", () => {
  for (const failure of ["noSuchHost", "notFound", "refused", "outOfMemory", "unsupported", "badUri"] as const) {
    pull = new Pull({ random: () => 1 });
    feed({ kind: "start", offset: 0, etag: undefined });
    assert.equal(fail(failure), `giveUp ${RESULT_OF_FAILURE[failure]}`);
  }
});

test("a name that had an address a moment ago is a link that is down", () => {
  begin();
  assert.equal(fail("noSuchHost"), "pause 1000");
});

test("row 23: an image that changed under a resumed download is begun anew, once", () => {
  begin();
  fail();
  wake();
  assert.equal(fail("changed"), "startOver");
  pull = new Pull({ random: () => 1, restartCount: 1 });
  begin();
  fail();
  wake();
  assert.equal(fail("changed"), "giveUp connectionLost");
});

test("row 23: an image that changes in the middle of a download is a lost connection", () => {
  begin();
  assert.equal(fail("changed"), "giveUp connectionLost");
});

test("without an entity tag nothing is resumed, and it does not begin anew for ever", () => {
  const begun = (restartCount: number): void => {
    pull = new Pull({ random: () => 1, restartCount });
    feed({ kind: "start", offset: 0, etag: undefined });
    feed({ kind: "answered", etag: undefined });
    feed({ kind: "stored", storedBytes: 1024 });
    fail();
  };
  begun(0);
  assert.equal(wake(), "startOver");
  begun(3);
  assert.equal(wake(), "giveUp connectionLost");
});

test("a busy server says when to come back", () => {
  begin();
  assert.equal(fail("busy", 30_000), "pause 30000");
});

test("row 29: a link that is back ends the waiting", () => {
  begin();
  fail();
  assert.equal(feed({ kind: "resume" }), "connect @1024 etag");
  assert.equal(feed({ kind: "resume" }), "");
});

test("R2: a restart goes on from what is stored", () => {
  assert.equal(feed({ kind: "start", offset: 512, etag: ETAG }), "connect @512 etag");
});

test("row 29: suspended, the connection is closed; resumed, it goes on behind what is stored", () => {
  begin();
  assert.equal(feed({ kind: "suspend" }), "disconnect");
  assert.equal(feed({ kind: "suspend" }), "");
  assert.equal(fail(), "", "what the closing brings is no failure");
  assert.equal(pull.wakeAtMs, undefined);
  assert.equal(feed({ kind: "resume" }), "connect @1024 etag");
});

test("row 29: what begins while it is suspended waits", () => {
  pull = new Pull({ random: () => 1, isSuspended: true });
  assert.equal(feed({ kind: "start", offset: 512, etag: ETAG }), "");
  assert.equal(feed({ kind: "resume" }), "connect @512 etag");
});

test("row 29: a pause is not waited for while suspended", () => {
  begin();
  fail();
  assert.equal(feed({ kind: "suspend" }), "disconnect");
  nowMs = 1e9;
  assert.equal(feed({ kind: "wake" }), "");
});

test("resumed while octets are on their way into the store, it connects behind them", () => {
  begin();
  feed({ kind: "storing" });
  feed({ kind: "suspend" });
  assert.equal(feed({ kind: "resume" }), "");
  assert.equal(feed({ kind: "stored", storedBytes: 2048 }), "connect @2048 etag");
});

test("suspended again before they are stored, it does not connect", () => {
  begin();
  feed({ kind: "storing" });
  feed({ kind: "suspend" });
  feed({ kind: "resume" });
  feed({ kind: "suspend" });
  assert.equal(feed({ kind: "stored", storedBytes: 2048 }), "");
});

test("without a tag a suspension begins anew, which is not held against the server", () => {
  pull = new Pull({ random: () => 1, restartCount: 3 });
  begin();
  feed({ kind: "answered", etag: undefined });
  feed({ kind: "suspend" });
  assert.deepEqual(pull.step({ kind: "resume" }, nowMs), [{ kind: "startOver", counts: false }]);
});
