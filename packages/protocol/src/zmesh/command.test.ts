import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromHex, toHex } from "../lib/bytes.ts";
import { COMMAND_BYTES, type DeviceCommand, decodeCommand, encodeCommand } from "./command.ts";
import { NEVER } from "./instant.ts";
import { decodeSchedule, encodeSchedule, type Schedule } from "./schedule.ts";

const counting = (from: number, count: number) => Uint8Array.from({ length: count }, (_, i) => from + i);
const name = fromHex("fefa89093e11") ?? assert.fail();
const schedule: Schedule = {
  updateAtMs: 1767225600000,
  name,
  mtuBytes: 48,
  encType: 1,
  iv: counting(0, 9),
  key: counting(16, 16),
};
const WIRE = "019b76daa800fefa89093e11003001000102030405060708101112131415161718191a1b1c1d1e1f";

const octets = (count: number) => fc.uint8Array({ minLength: count, maxLength: count });
const u = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });
const schedules = fc.record({
  updateAtMs: fc.oneof(fc.constantFrom(0, NEVER), fc.integer({ min: 0, max: NEVER })),
  name: octets(6),
  mtuBytes: fc.integer({ min: 48, max: 1024 }),
  encType: fc.constantFrom(0 as const, 1 as const, 2 as const),
  iv: octets(9),
  key: octets(16),
});
const commands: fc.Arbitrary<DeviceCommand> = fc.oneof(
  schedules.map((one) => ({ kind: "schedule" as const, schedule: { ...one } })),
  fc
    .record({ updateAtMs: u(48), name: octets(6) })
    .map((cancel) => ({ kind: "cancel" as const, cancel: { ...cancel } })),
  octets(6).map((one) => ({ kind: "apply" as const, apply: { name: one } })),
  fc
    .record({
      name: octets(6),
      lastRepair: u(24),
      slotCount: fc.integer({ min: 1, max: 65535 }),
      slotMs: u(16),
      leastDeficit: u(16),
    })
    .map((poll) => ({ kind: "poll" as const, poll: { ...poll } })),
);

test("FOTA Scheduling message format: the published vector, both ways", () => {
  assert.equal(toHex(encodeSchedule(schedule)), WIRE);
  assert.deepEqual(decodeSchedule(fromHex(WIRE) ?? assert.fail()), schedule);
});

test("profile 4: commands are their id and their fields", () => {
  assert.equal(toHex(encodeCommand({ kind: "schedule", schedule })), `31${WIRE}`);
  assert.equal(toHex(encodeCommand({ kind: "cancel", cancel: schedule })), "32019b76daa800fefa89093e11");
  assert.equal(toHex(encodeCommand({ kind: "apply", apply: { name } })), "33fefa89093e11");
  const poll = { name, lastRepair: 120, slotCount: 500, slotMs: 20, leastDeficit: 3 };
  assert.equal(toHex(encodeCommand({ kind: "poll", poll })), "34fefa89093e1100007801f400140003");
  fc.assert(fc.property(commands, (command) => assert.deepEqual(decodeCommand(encodeCommand(command)), command)));
});

test("profile 1, 3: other lengths, encryptions and MTUs are refused with a code", () => {
  const changed = (at: number, ...bytes: number[]) => {
    const wire = encodeSchedule(schedule);
    wire.set(bytes, at);
    return wire;
  };
  for (const sizeBytes of [0, 39, 41, 47])
    assert.throws(() => decodeSchedule(new Uint8Array(sizeBytes)), { name: "PeerError", code: "SCHEDULE_LENGTH" });
  for (const encType of [3, 7, 255]) assert.throws(() => decodeSchedule(changed(14, encType)), { code: "ENC_TYPE" });
  assert.throws(() => decodeSchedule(changed(12, 0, 39)), { code: "MTU_RANGE" });
  assert.throws(() => decodeSchedule(changed(12, 0, 47, 2)), { code: "MTU_RANGE" });
  assert.throws(() => decodeSchedule(changed(12, 4, 1)), { code: "MTU_RANGE" });
  assert.throws(() => encodeSchedule({ ...schedule, mtuBytes: 39 }), { name: "UsageError", code: "MTU_RANGE" });
});

test("profile 4: unknown commands and wrong lengths are refused with a code", () => {
  for (const id of [0x00, 0x30, 0x36, 0xff])
    assert.throws(() => decodeCommand(Uint8Array.of(id, 1, 2)), { name: "PeerError", code: "COMMAND_ID" });
  assert.throws(() => decodeCommand(new Uint8Array(0)), { code: "COMMAND_ID" });
  fc.assert(
    fc.property(commands, fc.integer({ min: 1, max: 60 }), (command, sizeBytes) => {
      fc.pre(sizeBytes !== COMMAND_BYTES[command.kind]);
      const bytes = new Uint8Array(sizeBytes);
      bytes.set(encodeCommand(command).subarray(0, sizeBytes));
      assert.throws(() => decodeCommand(bytes), { code: "COMMAND_LENGTH" });
    }),
  );
  const slotless = encodeCommand({
    kind: "poll",
    poll: { name, lastRepair: 0, slotCount: 0, slotMs: 1, leastDeficit: 1 },
  });
  assert.throws(() => decodeCommand(slotless), { code: "COMMAND_FIELD" });
});
