import assert from "node:assert/strict";
import { test } from "node:test";
import { reachable } from "@airlift/protocol/machine/table";
import { FINAL_UPDATE_STATES, UPDATE_STATES } from "@airlift/protocol/update/device-update";
import { DEVICE_UPDATE, type UpdateEvent } from "./device-update.ts";
import { type DeviceReport, interpretReport, type Situation } from "./report.ts";

test("every state is reached from queued, and an end from every state", () => {
  assert.deepEqual([...reachable(DEVICE_UPDATE, "queued")].sort(), [...UPDATE_STATES].sort());
  for (const state of UPDATE_STATES) {
    const ends = [...reachable(DEVICE_UPDATE, state)].filter((one) =>
      FINAL_UPDATE_STATES.some((final) => final === one),
    );
    assert.ok(ends.length > 0, state);
  }
});

test("what has ended does not move again", () => {
  for (const state of FINAL_UPDATE_STATES) assert.deepEqual(DEVICE_UPDATE[state], {});
});

test("only the new version together with Result 1 is success", () => {
  const successes = UPDATE_STATES.flatMap((state) =>
    Object.entries(DEVICE_UPDATE[state])
      .filter(([, arrow]) => arrow.to === "succeeded")
      .map(([event]) => event),
  );
  assert.deepEqual([...new Set(successes)], ["confirmed"]);
});

test("a running installation cannot be cancelled, an operator's cancel ends everything before it", () => {
  const cancellable = UPDATE_STATES.filter((state) => DEVICE_UPDATE[state].cancel);
  assert.deepEqual(cancellable, ["queued", "waiting", "transferring", "downloaded", "waitingToApply"]);
});

test("whatever a device reports in whatever situation, the table has an arrow for it", () => {
  const booleans = [false, true];
  for (const state of UPDATE_STATES)
    for (let bits = 0; bits < 8192; bits += 1)
      for (const deviceState of [0, 1, 2, 3])
        for (let result = 0; result < 13; result += 1) {
          const flag = (bit: number): boolean => booleans[(bits >> bit) & 1] ?? false;
          const situation: Situation = {
            state,
            isTargetVersion: flag(0),
            isVersionBefore: flag(1) && !flag(0),
            canDeliver: flag(2),
            transferStarted: flag(3),
            pulling: flag(4),
            isDelta: flag(12),
            pushRunning: flag(5),
            transfersLeft: flag(6),
            installsLeft: flag(6),
            requestsLeft: flag(6),
            wasAsked: flag(11),
            applyWanted: flag(7),
            mayResume: flag(8),
            staleResult: flag(9) ? result : 0,
          };
          const report = reportOf(deviceState, result);
          const software = { needsActivation: flag(10), mustPrepare: flag(10), mayBeInstalling: flag(11) };
          const firmware = report.firmware && { ...report.firmware, ...software };
          const event = interpretReport({ ...report, firmware }, situation);
          const arrows: Partial<Record<UpdateEvent, unknown>> = DEVICE_UPDATE[state];
          assert.ok(event === undefined || arrows[event], `${state} has no arrow for ${event}`);
        }
});

function reportOf(state: number, result: number): DeviceReport {
  return {
    firmware: {
      state,
      result,
      packageUri: null,
      packageName: null,
      packageVersion: null,
      protocols: null,
      deliveryMethod: 2,
    },
    version: "1.0.0",
    manufacturer: null,
    model: null,
    hardware: null,
  };
}
