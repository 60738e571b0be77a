import assert from "node:assert/strict";
import { test } from "node:test";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { DeviceCommand } from "./command.ts";
import { type SealingChannel, sealCommand, sealStatus } from "./command-channel.ts";
import { NO_FSEQ, nextFseq, openFreshCommand, openFreshStatus } from "./command-gate.ts";
import type { Frame } from "./frame.ts";
import { AT_ONCE, NEVER } from "./instant.ts";
import { Refusals } from "./refusals.ts";
import type { Schedule } from "./schedule.ts";
import { Attempts, assertSchedule, clockGuardMs, type DeviceClock } from "./schedule-rules.ts";
import type { StatusEvent } from "./status-event.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const utcMs = 1767225600000;
const clock: DeviceClock = { utcMs, syncedAtMs: utcMs - HOUR_MS, driftPpm: 20 };
const schedule: Schedule = {
  updateAtMs: utcMs + HOUR_MS,
  name: Uint8Array.of(0xfe, 1, 2, 3, 4, 5),
  mtuBytes: 48,
  encType: 1,
  iv: new Uint8Array(9),
  key: new Uint8Array(16).fill(9),
};
const rules = (other: Partial<DeviceClock> = {}) => ({
  clock: { ...clock, ...other },
  attempts: new Attempts(zmeshCrypto),
  isPlainAllowed: false,
});
const at = (updateAtMs: number) => ({ ...schedule, updateAtMs });
const refusal = (code: string) => ({ name: "PeerError", code });

test("profile 4: the clock guard is twice what the crystal may have drifted: 144 ms after an hour, 3.5 s after a day", () => {
  assert.equal(clockGuardMs(clock), 144);
  assert.equal(clockGuardMs({ ...clock, syncedAtMs: utcMs - DAY_MS }), 3456);
  assert.equal(clockGuardMs({ ...clock, syncedAtMs: undefined }), Number.POSITIVE_INFINITY);
});

test("profile 4: Update Time lies from now − guard to now + 90 days", () => {
  for (const updateAtMs of [utcMs - 144, utcMs, utcMs + 90 * DAY_MS]) assertSchedule(at(updateAtMs), rules());
  assert.throws(() => assertSchedule(at(utcMs - 145), rules()), refusal("SCHEDULE_PAST"));
  assert.throws(() => assertSchedule(at(utcMs + 90 * DAY_MS + 1), rules()), refusal("SCHEDULE_FAR"));
});

test("profile 4: a clock that was not set for 24 hours, never, or in its own future, is not trusted", () => {
  assertSchedule(schedule, rules({ syncedAtMs: utcMs - DAY_MS }));
  for (const syncedAtMs of [utcMs - DAY_MS - 1, undefined, utcMs + 1])
    assert.throws(() => assertSchedule(schedule, rules({ syncedAtMs })), refusal("CLOCK_NOT_SYNCED"));
});

test("profile 1: on request and not scheduled need no clock", () => {
  for (const updateAtMs of [AT_ONCE, NEVER]) assertSchedule(at(updateAtMs), rules({ syncedAtMs: undefined }));
});

test("profile 3: Enc. Type 0 is refused unless the operator allows it", () => {
  const plain = { ...schedule, encType: 0 as const };
  assert.throws(() => assertSchedule(plain, rules()), refusal("ENC_TYPE_REFUSED"));
  assertSchedule(plain, { ...rules(), isPlainAllowed: true });
});

test("profile 4: the same name, key and IV is taken once, unless that attempt failed; also after a restart", () => {
  const held = rules();
  held.attempts.begin(schedule);
  const restarted = { ...held, attempts: new Attempts(zmeshCrypto, held.attempts.entries) };
  for (const one of [held, restarted])
    assert.throws(() => assertSchedule(at(utcMs + 1), one), refusal("SCHEDULE_REPEATED"));
  assertSchedule({ ...schedule, key: new Uint8Array(16) }, held);
  assertSchedule({ ...schedule, iv: new Uint8Array(9).fill(1) }, held);
  assertSchedule({ ...schedule, name: Uint8Array.of(0xfe, 5, 4, 3, 2, 1) }, held);
  held.attempts.fail(schedule);
  assertSchedule(schedule, held);
});

test("attempts are bounded, and the oldest goes first", () => {
  const attempts = new Attempts(zmeshCrypto, [], 2);
  const contents = [1, 2, 3].map((octet) => ({ ...schedule, iv: new Uint8Array(9).fill(octet) }));
  for (const one of contents) attempts.begin(one);
  assert.deepEqual(
    contents.map((one) => attempts.has(one)),
    [false, true, true],
  );
});

const channel: SealingChannel = {
  name: Uint8Array.of(1, 2, 3, 4, 5, 6),
  key: new Uint8Array(16),
  iv: new Uint8Array(9),
  crypto: zmeshCrypto,
};
const apply: DeviceCommand = { kind: "apply", apply: { name: schedule.name } };
const frameOf = (fseq: number, other: Partial<Frame> = {}): Frame => ({
  kind: "command",
  ttl: 0,
  isProxied: false,
  name: channel.name,
  fseq,
  payload: sealCommand(channel, fseq, apply),
  ...other,
});

test("profile 4: FSEQ rises strictly; what was refused does not use it up", () => {
  assert.deepEqual(openFreshCommand(channel, NO_FSEQ, frameOf(0)), apply);
  assert.deepEqual(openFreshCommand(channel, 6, frameOf(7)), apply);
  assert.deepEqual(openFreshCommand(channel, 6, frameOf(900)), apply);
  for (const fseq of [0, 6, 7])
    assert.throws(() => openFreshCommand(channel, 7, frameOf(fseq)), refusal("FSEQ_REPLAYED"));
});

test("profile 4: a recorded command under a higher FSEQ does not open", () => {
  assert.throws(() => openFreshCommand(channel, 7, { ...frameOf(7), fseq: 8 }), refusal("COMMAND_TAG"));
});

test("a command of another channel, and another kind of frame, are none of ours", () => {
  assert.throws(() => openFreshCommand(channel, 0, frameOf(1, { name: schedule.name })), refusal("COMMAND_CHANNEL"));
  assert.throws(() => openFreshCommand(channel, 0, frameOf(1, { kind: "event" })), refusal("COMMAND_CHANNEL"));
});

test("profile 9: no status is taken twice, and none from another device", () => {
  const status: StatusEvent = {
    name: schedule.name,
    state: "downloaded",
    detail: "verified",
    result: "initial",
    version: [1, 0, 0],
    receivedCount: 3,
    deficit: 0,
    flags: 0,
    batteryPercent: 50,
  };
  const event = frameOf(5, { kind: "event", payload: sealStatus(channel, 5, status) });
  assert.deepEqual(openFreshStatus(channel, 4, event), status);
  assert.throws(() => openFreshStatus(channel, 5, event), refusal("FSEQ_REPLAYED"));
  assert.throws(() => openFreshStatus(channel, 5, { ...event, fseq: 6 }), refusal("COMMAND_TAG"));
  assert.throws(() => openFreshStatus(channel, 4, { ...event, name: schedule.name }), refusal("COMMAND_CHANNEL"));
  assert.throws(() => openFreshStatus({ ...channel, key: schedule.key }, 4, event), refusal("COMMAND_TAG"));
  assert.throws(() => openFreshStatus(channel, 4, frameOf(5)), refusal("COMMAND_CHANNEL"));
});

test("a sender's FSEQ never comes round again", () => {
  assert.equal(nextFseq(NO_FSEQ), 0);
  assert.equal(nextFseq(2 ** 24 - 2), 2 ** 24 - 1);
  assert.throws(() => nextFseq(2 ** 24 - 1), { name: "EnvironmentError", code: "FSEQ_EXHAUSTED" });
});

test("what is refused is counted by its code, what is our own mistake is not swallowed", () => {
  const refusals = new Refusals(2);
  const replay = () => openFreshCommand(channel, 9, frameOf(1));
  for (let i = 0; i < 3; i += 1) assert.equal(refusals.guard(replay), undefined);
  assert.deepEqual(
    refusals.guard(() => openFreshCommand(channel, 0, frameOf(1))),
    apply,
  );
  for (const code of ["B", "C", "D"]) refusals.count(code);
  assert.deepEqual(
    [...refusals.counts],
    [
      ["FSEQ_REPLAYED", 3],
      ["B", 1],
      ["OTHER", 2],
    ],
  );
  assert.equal(refusals.total, 6);
  assert.throws(() => refusals.guard(() => nextFseq(2 ** 24)), { code: "FSEQ_EXHAUSTED" });
});
