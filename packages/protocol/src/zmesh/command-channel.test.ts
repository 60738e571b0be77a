import assert from "node:assert/strict";
import { test } from "node:test";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { DeviceCommand } from "./command.ts";
import { openCommand, openStatus, type SealingChannel, sealCommand, sealStatus } from "./command-channel.ts";
import type { StatusEvent } from "./status-event.ts";

const counting = (from: number, count: number) => Uint8Array.from({ length: count }, (_, i) => from + i);
const device: SealingChannel = {
  name: counting(0x41, 6),
  key: counting(32, 16),
  iv: counting(64, 9),
  crypto: zmeshCrypto,
};
const name = Uint8Array.of(0xfe, 1, 2, 3, 4, 5);
const schedule: DeviceCommand = {
  kind: "schedule",
  schedule: { updateAtMs: 1767225600000, name, mtuBytes: 48, encType: 1, iv: counting(0, 9), key: counting(16, 16) },
};
const commands: DeviceCommand[] = [
  schedule,
  { kind: "cancel", cancel: { updateAtMs: 1, name } },
  { kind: "apply", apply: { name } },
  { kind: "poll", poll: { name, lastRepair: 1, slotCount: 2, slotMs: 3, leastDeficit: 4 } },
];
const status: StatusEvent = {
  name,
  state: "downloaded",
  detail: "verified",
  result: "initial",
  version: [1, 2, 3],
  receivedCount: 2000,
  deficit: 0,
  flags: 0,
  batteryPercent: 255,
};

test("profile 4: a schedule to one device has 47 octets, and every command opens with its own FSEQ", () => {
  assert.equal(sealCommand(device, 7, schedule).length, 47);
  for (const command of commands) assert.deepEqual(openCommand(device, 7, sealCommand(device, 7, command)), command);
});

test("profile 4: the key in a schedule cannot be read from the air", () => {
  const sealed = Buffer.from(sealCommand(device, 7, schedule));
  assert.equal(sealed.includes(Buffer.from(counting(16, 4))), false);
});

test("profile 4, 9: another FSEQ, name, key, IV or direction, or a flipped bit, is refused", () => {
  const refused = { name: "PeerError", code: "COMMAND_TAG" };
  const sealed = sealCommand(device, 7, schedule);
  assert.throws(() => openCommand(device, 8, sealed), refused);
  for (const other of [{ name }, { key: counting(1, 16) }, { iv: counting(1, 9) }])
    assert.throws(() => openCommand({ ...device, ...other }, 7, sealed), refused);
  for (let at = 0; at < sealed.length; at += 1) {
    const flipped = sealed.slice();
    flipped[at] = (flipped[at] ?? 0) ^ 0x80;
    assert.throws(() => openCommand(device, 7, flipped), refused);
  }
  const reflected = sealStatus(device, 7, status);
  assert.throws(() => openStatus({ ...device, key: counting(1, 16) }, 7, reflected), refused);
  assert.throws(() => openStatus(device, 8, reflected), refused);
});

test("profile 9: a status event has 24 octets and is no command", () => {
  const sealed = sealStatus(device, 7, status);
  assert.equal(sealed.length, 24);
  assert.deepEqual(openStatus(device, 7, sealed), status);
  assert.throws(() => openCommand(device, 7, sealed), { code: "COMMAND_LENGTH" });
  for (const sizeBytes of [0, 18, 23, 25])
    assert.throws(() => openStatus(device, 7, new Uint8Array(sizeBytes)), { code: "STATUS_LENGTH" });
  for (const sizeBytes of [0, 6, 12, 46, 48])
    assert.throws(() => openCommand(device, 7, new Uint8Array(sizeBytes)), { code: "COMMAND_LENGTH" });
});
