import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { toHex } from "../lib/bytes.ts";
import { FIRMWARE_RESULT_ON_WIRE, STATE_ON_WIRE } from "../update/firmware-update.ts";
import {
  DETAIL_ON_WIRE,
  decodeStatus,
  encodeStatus,
  STATE_OF_DETAIL,
  type StatusDetail,
  type StatusEvent,
} from "./status-event.ts";

const keys = <Key extends string>(of: Readonly<Record<Key, number>>) => Object.keys(of) as Key[];
const status: StatusEvent = {
  name: Uint8Array.of(0xfe, 1, 2, 3, 4, 5),
  state: "downloading",
  detail: "repairing",
  result: "initial",
  version: [1, 2, 3],
  receivedCount: 1990,
  deficit: 10,
  flags: 0,
  batteryPercent: 87,
};

test("profile 9: the 18 octets", () => {
  assert.equal(toHex(encodeStatus(status)), "fe0102030405" + "14" + "00" + "010203" + "0007c6" + "000a" + "00" + "57");
});

test("profile 9: every phase with every result survives", () => {
  for (const state of keys(STATE_ON_WIRE))
    for (const detail of keys(DETAIL_ON_WIRE))
      for (const result of keys(FIRMWARE_RESULT_ON_WIRE)) {
        const one = { ...status, state, detail, result };
        assert.deepEqual(decodeStatus(encodeStatus(one)), one);
      }
  const u = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });
  const numbers = fc.record({
    version: fc.tuple(u(8), u(8), u(8)),
    receivedCount: u(24),
    deficit: u(16),
    flags: u(8),
    batteryPercent: u(8),
  });
  fc.assert(
    fc.property(numbers, (one) =>
      assert.deepEqual(decodeStatus(encodeStatus({ ...status, ...one })), { ...status, ...one }),
    ),
  );
});

test("profile 9: the state that a detail goes with", () => {
  const phases = keys(DETAIL_ON_WIRE).map(
    (detail: StatusDetail) => encodeStatus({ ...status, state: STATE_OF_DETAIL[detail], detail })[6],
  );
  assert.deepEqual(phases, [0x00, 0x01, 0x02, 0x13, 0x14, 0x25, 0x36, 0x07, 0x08, 0x19]);
});

test("profile 9: wrong lengths, phases and results are refused with a code", () => {
  for (const sizeBytes of [0, 17, 19, 24])
    assert.throws(() => decodeStatus(new Uint8Array(sizeBytes)), { name: "PeerError", code: "STATUS_LENGTH" });
  for (let value = 0; value < 256; value += 1) {
    const bytes = encodeStatus(status);
    bytes[6] = value;
    if (value >> 4 > 3 || (value & 15) > 9) assert.throws(() => decodeStatus(bytes), { code: "STATUS_PHASE" });
    else assert.equal(STATE_ON_WIRE[decodeStatus(bytes).state], value >> 4);
    bytes[6] = 0;
    bytes[7] = value;
    if (value > 11) assert.throws(() => decodeStatus(bytes), { code: "STATUS_RESULT" });
    else assert.equal(FIRMWARE_RESULT_ON_WIRE[decodeStatus(bytes).result], value);
  }
});
