/** What an integrator without a store may begin with. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RESULT_ON_WIRE, STATE_ON_WIRE } from "@airlift/protocol/update/firmware-update";
import { fromInitialState, type InitialState } from "./initial-state.ts";
import { FirmwareUpdate } from "./update/firmware-update.ts";

const ETAG = Uint8Array.of(7);
const uri = "coap://files.example/fw/1";

/** State and Update Result on the wire, and what follows from the start. */
function begin(initial: InitialState): string {
  const core = new FirmwareUpdate(fromInitialState(initial), { utcMs: () => 1_800_000_000_000 });
  const words = core.step({ kind: "start" }, 0).flatMap((output) => {
    if (output.kind === "call") return [output.handler];
    return output.kind === "startPull" ? [`pull @${output.offset}`] : [];
  });
  const { state, result } = core.facts;
  return [`${STATE_ON_WIRE[state]},${RESULT_ON_WIRE[result]}`, ...words].join(" ");
}

test("R1, R3, R4, R5: each initial state is what the server reads", () => {
  assert.equal(begin({ kind: "neutral" }), "0,0");
  assert.equal(begin({ kind: "success" }), "0,1");
  assert.equal(begin({ kind: "integrityFailed" }), "0,5");
  assert.equal(begin({ kind: "failed" }), "0,8");
  assert.equal(begin({ kind: "downloaded", uri }), "2,0");
  assert.equal(begin({ kind: "updating" }), "3,0");
});

test("R2: a download is resumed where it was, with its tag", () => {
  assert.equal(begin({ kind: "downloading", uri, offset: 4096, etag: ETAG }), "1,0 pull @4096");
});

test("R2: without a tag it begins anew after a reset, without a URI it is over", () => {
  assert.equal(begin({ kind: "downloading", uri, offset: 4096 }), "1,0 reset");
  assert.equal(begin({ kind: "downloading", offset: 4096, etag: ETAG }), "0,0 reset");
});

test("severity, the last change and the deadline come back", () => {
  const facts = fromInitialState({
    kind: "downloaded",
    severity: 2,
    lastStateChangeAtS: 1_700_000_000,
    updateDeadlineAtS: 1_900_000_000,
  });
  assert.equal(facts.severity, 2);
  assert.equal(facts.lastStateChangeAtS, 1_700_000_000);
  assert.deepEqual([facts.result, facts.updateDeadlineAtS], ["deferred", 1_900_000_000]);
});

test("a deadline that has passed is kept at once", () => {
  assert.equal(begin({ kind: "downloaded", updateDeadlineAtS: 1_700_000_000 }), "3,0");
});
