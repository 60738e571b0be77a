import assert from "node:assert/strict";
import { test } from "node:test";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { rememberKeystreams } from "@airlift/sim/mesh/keystream-cache";
import { SimWordFlash } from "@airlift/sim/word-flash";
import { seeded } from "@airlift/sim/world";
import { type EncType, seqOfRepair } from "./chunking.ts";
import { expectedContentOf } from "./content-proof.ts";
import { AT_ONCE, NEVER } from "./instant.ts";
import { decodeInterest } from "./interest.ts";
import { type ContentOptions, PackedContent } from "./packed-content.ts";
import { Receiver } from "./receiver.ts";
import type { ReceiverInput, ReceiverOptions, ReceiverOutput, ReceiverRecord } from "./receiver-types.ts";
import { blockDigestsOf } from "./release.ts";

const UTC_MS = 1_800_000_000_000;
const SEED = 11;
const random = seeded(SEED);
const crypto = rememberKeystreams(zmeshCrypto);
const image = Uint8Array.from({ length: 9_600 - 7 }, () => random() * 256);

function pack(options: ContentOptions = {}, bytes = image): PackedContent {
  const input = { uri: "zdm/sw/ACME-TH%2D100-1.2.3", bytes, key: new Uint8Array(16).fill(5), iv: new Uint8Array(9) };
  return new PackedContent(input, { isPlainAllowed: true, ...options }, crypto);
}

const content = pack();
const K = content.dataCount;
const expected = expectedContentOf({
  manufacturer: "ACME",
  model: "TH-100",
  version: "1.2.3",
  hardwareRevisions: [],
  securityCounter: 1,
  imageDigest: content.digest,
  lengthBytes: image.length,
  chunkBytes: content.chunkBytes,
  dataCount: content.dataCount,
  blockDigests: blockDigestsOf(content, crypto),
  gapMs: 100,
});

/** A receiver with its flashes, its log, and a clock. */
class Device {
  readonly slot = new SimWordFlash({ sizeBytes: 10 * 2048, pageBytes: 2048 });
  readonly scratch = new SimWordFlash({ sizeBytes: 40 * 2048, pageBytes: 2048 });
  readonly log: ReceiverOutput[] = [];
  nowMs = 0;
  record: ReceiverRecord | undefined;
  core: Receiver;
  readonly #options: Partial<ReceiverOptions>;

  constructor(options: Partial<ReceiverOptions> = {}) {
    this.#options = options;
    this.core = this.#create();
  }

  restart(): void {
    this.core = this.#create();
    this.feed({ kind: "clock", utcMs: UTC_MS + this.nowMs });
  }

  feed(input: ReceiverInput, atMs = this.nowMs): ReceiverOutput[] {
    this.nowMs = Math.max(this.nowMs, atMs);
    const outputs = this.core.step(input, this.nowMs);
    for (const output of outputs) if (output.kind === "save") this.record = output.record;
    this.log.push(...outputs);
    return outputs;
  }

  /** Lets time pass. */
  wait(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (let steps = 0; (this.core.wakeAtMs ?? Number.POSITIVE_INFINITY) <= untilMs; steps += 1) {
      assert.ok(steps < 10_000, "still busy");
      this.feed({ kind: "wake" }, this.core.wakeAtMs);
    }
    this.nowMs = untilMs;
  }

  schedule(packed: PackedContent = content, updateAtMs = UTC_MS + 1_000): void {
    this.feed({ kind: "schedule", schedule: packed.scheduleAt(updateAtMs), utcMs: UTC_MS + this.nowMs });
    this.nowMs = Math.max(this.nowMs, 1_000);
  }

  hear(seqs: Iterable<number>, packed: PackedContent = content): void {
    for (const seq of seqs) this.feed({ kind: "content", seq, payload: packed.payloadAt(seq) }, this.nowMs + 10);
  }

  get phases(): string[] {
    return this.log.flatMap((output) => (output.kind === "status" ? [output.status.detail] : []));
  }

  get isInstalled(): boolean {
    return this.log.some(({ kind }) => kind === "install") && image.every((octet, i) => octet === this.slot.bytes[i]);
  }

  #create(): Receiver {
    return new Receiver({ ...ports(this), allowsUnsigned: true, ...this.#options }, this.record, this.nowMs);
  }
}

const ports = ({ slot: slotFlash, scratch: scratchFlash }: Device) => ({
  crypto,
  random: seeded(SEED),
  slotFlash,
  scratchFlash,
});

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const but = (seqs: readonly number[], ...lost: number[]) => seqs.filter((seq) => !lost.includes(seq));
const parity = (from: number, to: number) => range(seqOfRepair(K, from), seqOfRepair(K, to));
const everything = range(0, K + 1);

test("§1: Begin, data, End: the image lies at (SEQ − 1) × chunk, the last chunk filled up, and each word was programmed once", () => {
  for (const encType of [0, 1, 2] as EncType[]) {
    const packed = pack({ encType });
    const device = new Device();
    device.schedule(packed);
    device.hear(range(0, packed.dataCount + 1), packed);
    assert.ok(device.isInstalled, `Enc. Type ${encType}`);
    assert.deepEqual(device.phases.slice(0, 3), ["scheduled", "receiving", "verified"]);
    assert.ok(device.slot.bytes.subarray(image.length).every((octet) => octet === 0xff));
  }
});

test("§1: End alone is enough, and a receiver that missed Begin can still use what comes after", () => {
  const device = new Device();
  device.schedule();
  device.hear([...range(1, K), K + 1]);
  assert.equal(device.core.reception?.receivedCount, 0, "a chunk without Begin cannot be told from parity");
  device.hear(range(1, K));
  assert.ok(device.isInstalled);
});

test("§6: with a manifest nothing has to be announced: the first chunk can be used", () => {
  const device = new Device({ expectedContent: () => expected, allowsUnsigned: false });
  device.schedule();
  device.hear([...range(1, K), K + 1]);
  assert.ok(device.isInstalled);
});

test("§6: without a manifest a device refuses, unless the operator allows it", () => {
  const device = new Device({ allowsUnsigned: false });
  device.schedule();
  device.hear([0]);
  assert.equal(device.core.state, "idle");
  assert.equal(device.core.result, "unsupportedPackage");
});

test("§8: losses are repaired by parity, in every encryption and both row schemes; words are programmed once", () => {
  for (const encType of [0, 1, 2] as EncType[])
    for (const repairScheme of [1, 2] as const) {
      const packed = pack({ encType, repairScheme });
      const device = new Device();
      device.schedule(packed);
      device.hear(but(range(0, packed.dataCount + 1), 3, 4, 5, 77, packed.dataCount), packed);
      device.hear(range(packed.dataCount + 2, packed.dataCount + 25), packed);
      assert.ok(device.isInstalled, `Enc. Type ${encType}, scheme ${repairScheme}`);
    }
});

test("§1: a plain receiver passes SEQ > K + 1 over, and asks for what it misses", () => {
  const device = new Device({ usesRepair: false });
  device.schedule();
  device.hear([...but(everything, 9, 30), ...parity(1, 20)]);
  assert.equal(device.core.reception?.missingCount, 2);
  device.wait(200_000);
  const interest = device.log.find((output) => output.kind === "interest");
  assert.ok(interest?.kind === "interest");
  assert.deepEqual(decodeInterest(interest.interest), [9, 30]);
  device.hear([9, 30]);
  assert.ok(device.isInstalled);
});

test("§8: a poll is answered with the deficit in one of its slots, and not at all by who has enough", () => {
  const device = new Device();
  device.schedule();
  device.hear(but(everything, 1, 2, 3));
  const poll = { name: content.name, lastRepair: 0, slotCount: 8, slotMs: 20, leastDeficit: 1 };
  assert.deepEqual(device.feed({ kind: "poll", poll: { ...poll, leastDeficit: 4 } }), []);
  assert.deepEqual(device.feed({ kind: "poll", poll: { ...poll, name: new Uint8Array(6) } }), []);
  const pollAtMs = device.nowMs;
  device.feed({ kind: "poll", poll: { ...poll, leastDeficit: 3 } });
  const slot = ((device.core.wakeAtMs ?? 0) - pollAtMs) / 20;
  assert.ok(Number.isInteger(slot) && slot >= 0 && slot < 8);
  device.log.length = 0;
  device.wait(200);
  const [answer] = device.log;
  assert.ok(answer?.kind === "status" && answer.status.deficit === 3 && answer.status.receivedCount === K - 3);
});

test("§8 tail: a poll without time to answer invites to ask, for as many packets as are needed", () => {
  const device = new Device();
  device.schedule();
  device.hear([...but(everything, 5, 60, 61, 62, 120, 180, 199), ...parity(1, 4)]);
  const poll = { name: content.name, lastRepair: 1, slotCount: 1, slotMs: 0, leastDeficit: 1 };
  device.feed({ kind: "poll", poll });
  device.wait(2_000);
  const interest = device.log.find((output) => output.kind === "interest");
  assert.ok(interest?.kind === "interest");
  const asked = decodeInterest(interest.interest);
  assert.equal(asked.length, device.core.reception?.deficit);
  assert.ok(asked.length < 7, `${asked}`);
  device.hear(asked);
  assert.ok(device.isInstalled, "what was asked for and the parity suffice");
});

test("§8: who has heard nothing of a content answers that it lacks all of it", () => {
  const device = new Device();
  device.schedule();
  const poll = { name: content.name, lastRepair: 0, slotCount: 1, slotMs: 20, leastDeficit: 1 };
  const [answer] = device.feed({ kind: "poll", poll });
  assert.ok(answer?.kind === "status" && answer.status.deficit === 0xffff && answer.status.receivedCount === 0);
});

test("§8: an answer is not given when a larger deficit was heard", () => {
  for (const [deficit, isSilent] of [
    [2, false],
    [3, true],
  ] as const) {
    const device = new Device();
    device.schedule();
    device.hear(but(everything, 1, 2, 3));
    device.feed({
      kind: "poll",
      poll: { name: content.name, lastRepair: 0, slotCount: 8, slotMs: 20, leastDeficit: 1 },
    });
    device.feed({ kind: "overheard", deficit });
    device.log.length = 0;
    device.wait(200);
    assert.equal(device.log.length === 0, isSilent);
  }
});

test("§8: no frame for max(30 s, 20 gaps) is a suspended session; a frame brings it back", () => {
  const device = new Device({ canRequest: false, expectedContent: () => ({ ...expected, gapMs: 2_000 }) });
  device.schedule();
  device.hear([0, 1, 2]);
  device.wait(39_999);
  assert.equal(device.core.state, "receiving");
  device.wait(1);
  assert.equal(device.core.state, "suspended");
  device.hear([3]);
  assert.equal(device.core.state, "repairing");
});

test("§8: Update Time and window passed: abandoned, and said so", () => {
  for (const heard of [[], [0, 1, 2]]) {
    const device = new Device({ canRequest: false, timing: { windowMs: 3_600_000 } });
    device.schedule();
    device.hear(heard);
    device.wait(3_600_001);
    assert.equal(device.core.state, "idle");
    assert.equal(device.core.result, "connectionLost");
    const last = device.log.findLast(({ kind }) => kind === "status");
    assert.ok(last?.kind === "status" && last.status.result === "connectionLost");
  }
});

test("a device that may ask does not wait for ever: it asks, ever more seldom, until the window is over", () => {
  const device = new Device();
  device.schedule();
  device.hear([0, 1, 2]);
  device.wait(24 * 3_600_000);
  const count = device.log.filter(({ kind }) => kind === "interest").length;
  assert.ok(count > 10 && count < 80, `${count} requests`);
  assert.equal(device.core.result, "connectionLost");
});

test("§1 Update Time 0: the device asks at once, for Begin first", () => {
  const device = new Device();
  device.schedule(content, AT_ONCE);
  device.wait(2_000);
  const interest = device.log.find((output) => output.kind === "interest");
  assert.ok(interest?.kind === "interest");
  assert.deepEqual(decodeInterest(interest.interest), [0]);
  device.hear(everything);
  assert.ok(device.isInstalled);
});

test("a device that is wanted to fetch what it lacks asks at once and not after its patience, unless it cannot", () => {
  const device = new Device();
  device.schedule();
  device.hear([0, 1, 2]);
  device.feed({ kind: "fetch", name: content.name });
  device.wait(2_000);
  assert.equal(device.core.state, "pulling");
  const interest = device.log.find((output) => output.kind === "interest");
  assert.ok(interest?.kind === "interest" && decodeInterest(interest.interest).includes(3));

  const mute = new Device({ canRequest: false });
  mute.schedule();
  mute.hear([0, 1, 2]);
  mute.feed({ kind: "fetch", name: content.name });
  assert.equal(mute.core.state, "receiving");
});

test("§1 Update Time all ones: not scheduled", () => {
  const device = new Device();
  device.schedule(content, NEVER);
  assert.equal(device.core.state, "idle");
});

test("§1 Apply Time: at once, at its time, or when the command comes", () => {
  const later = pack({ applyAtMs: UTC_MS + 500_000 });
  const device = new Device();
  device.schedule(later);
  device.hear(range(0, later.dataCount + 1), later);
  assert.equal(device.core.state, "verified");
  device.wait(500_000);
  assert.ok(device.isInstalled);

  const waiting = pack({ applyAtMs: NEVER });
  const other = new Device();
  other.schedule(waiting);
  other.hear(range(0, waiting.dataCount + 1), waiting);
  other.wait(1e9);
  assert.equal(other.core.state, "verified");
  other.feed({ kind: "apply", name: waiting.name });
  assert.equal(other.core.state, "applying");
  other.feed({ kind: "installed", outcome: "rolledBack" });
  assert.deepEqual([other.core.state, other.core.result, other.phases.at(-1)], ["idle", "failed", "rolledBack"]);
});

test("Cancel: names its schedule by time and content; what was received is forgotten", () => {
  const device = new Device();
  device.schedule();
  device.hear(range(0, 50));
  const { name } = content;
  assert.deepEqual(device.feed({ kind: "cancel", cancel: { name, updateAtMs: 1 } }), []);
  device.feed({ kind: "cancel", cancel: { name, updateAtMs: UTC_MS + 1_000 } });
  assert.deepEqual([device.core.state, device.core.result], ["idle", "cancelled"]);
  device.hear(range(51, K + 1));
  assert.equal(device.core.state, "idle");
});

test("§9: a schedule that takes the place of another is reported under its own name, with nothing received", () => {
  const device = new Device();
  device.schedule();
  device.hear(range(0, 50));
  const input = { uri: "zdm/sw/ACME-TH%2D100-1.2.4", bytes: image, key: new Uint8Array(16), iv: new Uint8Array(9) };
  const other = new PackedContent(input, {}, crypto);
  device.log.length = 0;
  device.schedule(other);
  const report = device.log.find((output) => output.kind === "status");
  assert.ok(report?.kind === "status");
  assert.deepEqual(
    [report.status.name, report.status.detail, report.status.receivedCount],
    [other.name, "scheduled", 0],
  );
  device.hear(everything, other);
  assert.ok(device.isInstalled);
});

test("§8 power loss: complete but not yet verified when the power went, it is done whatever comes first afterwards", () => {
  for (const lost of [[], [7, 8]]) {
    const device = new Device();
    device.schedule(content, AT_ONCE);
    device.hear([...but(range(0, K - 1), ...lost), ...parity(1, lost.length)]);
    const { record } = device;
    assert.equal(record?.state, "pulling");
    device.hear(lost.length > 0 ? [K, ...parity(3, 20)] : [K]);
    assert.equal(device.core.state, "verified");
    // The last record was not stored any more, the flashes were.
    device.record = record;
    device.core = new Receiver({ ...ports(device), allowsUnsigned: true }, record, device.nowMs);
    device.feed({ kind: "overheard", deficit: 1 }, device.nowMs + 60_000);
    assert.equal(device.core.state, "verified");
  }
});

test("§1: a Begin or End that lies is not followed", () => {
  const device = new Device();
  device.schedule();
  const liar = pack({}, image.subarray(0, 4_000));
  device.hear([0]);
  // The same SEQ 0 and K + 1 with other numbers, and an End whose K is not its SEQ − 1.
  device.feed({ kind: "content", seq: 0, payload: liar.payloadAt(0) });
  device.feed({ kind: "content", seq: K + 1, payload: liar.payloadAt(liar.dataCount + 1) });
  device.hear(range(1, K + 1));
  assert.ok(device.isInstalled);
  const fresh = new Device();
  fresh.schedule();
  fresh.feed({ kind: "content", seq: 77, payload: content.payloadAt(K + 1) });
  assert.equal(fresh.core.state, "waiting");
});

test("§1: messages of another length, and SEQ past the end, change nothing", () => {
  const device = new Device();
  device.schedule();
  device.hear([0]);
  for (const size of [0, 1, 12, 40, 47, 49, 1024])
    for (const seq of [0, 1, K, K + 1, K + 2, 2 ** 24 - 1])
      device.feed({ kind: "content", seq, payload: new Uint8Array(size) });
  device.feed({ kind: "content", seq: 2 ** 24, payload: new Uint8Array(48) });
  device.feed({ kind: "content", seq: -1, payload: new Uint8Array(48) });
  device.hear(range(1, K + 1));
  assert.ok(device.isInstalled);
});

test("an image that is larger than the slot is noFlash before the first word", () => {
  const device = new Device();
  const large = pack({}, new Uint8Array(30_000));
  device.schedule(large);
  device.hear([0], large);
  assert.equal(device.core.result, "noFlash");
  assert.equal(device.slot.programCount, 0);
});

test("§8 power loss: a power cut between two records of a device without enough scratch flash leaves it able to start", () => {
  const device = new Device({ scratchFlash: new SimWordFlash({ sizeBytes: 2048, pageBytes: 2048 }) });
  device.schedule();
  const outputs = device.feed({ kind: "content", seq: 0, payload: content.payloadAt(0) });
  assert.deepEqual([device.core.state, device.core.result], ["idle", "noFlash"]);
  assert.equal(outputs.filter(({ kind }) => kind === "status").length, 1);
  for (const output of outputs) {
    if (output.kind !== "save") continue;
    device.record = output.record;
    device.restart();
    assert.deepEqual([device.core.state, device.core.result], ["idle", "noFlash"]);
  }
});

test("§6: a forged chunk costs its block, not the image", () => {
  const device = new Device({ expectedContent: () => expected });
  device.schedule();
  device.hear(range(0, 69));
  device.feed({ kind: "content", seq: 70, payload: new Uint8Array(48).fill(1) });
  device.hear(range(71, K + 1));
  const missing = device.core.reception?.missingCount ?? 0;
  // The block of 64, and what shares its pages.
  assert.ok(missing >= 64 && missing <= 64 + 2 * Math.ceil(2048 / 48), `${missing} missing`);
  device.hear(range(1, K));
  assert.ok(device.isInstalled);
});

test("§6: beside a manifest a forged Begin or End counts for nothing, before a restart and after it", () => {
  const { chunkBytes, dataCount } = content;
  // What a manifest says: it has no CRC.
  const profile = { lengthBytes: image.length, dataCount, chunkBytes, repairScheme: content.end.repairScheme };
  const other = pack(
    {},
    image.map((octet) => octet ^ 1),
  );
  for (const seq of [0, K + 1]) {
    const device = new Device({ expectedContent: () => ({ ...expected, profile }), allowsUnsigned: false });
    device.schedule();
    device.feed({ kind: "content", seq, payload: other.payloadAt(seq) });
    device.hear(range(0, 50));
    device.restart();
    device.hear(range(0, K + 1));
    assert.ok(device.isInstalled, `SEQ ${seq}: ${device.core.state} ${device.core.result}`);
  }
});

test("§6: a forged parity costs the parity and no word of the slot", () => {
  for (const expectedContent of [() => expected, undefined]) {
    const device = new Device(expectedContent && { expectedContent });
    device.schedule();
    device.hear(but(everything, 1, 2, 70, 150));
    device.feed({ kind: "content", seq: seqOfRepair(K, 1), payload: new Uint8Array(48).fill(9) });
    const { programCount } = device.slot;
    device.hear(parity(2, 12));
    assert.ok(!device.isInstalled || device.slot.eraseCount === 0);
    device.hear(parity(13, 30));
    assert.ok(device.isInstalled, "later parity repairs it");
    assert.ok(device.slot.programCount <= programCount + 4 * 6);
  }
});

test("§6: whoever forges for ever is given up on, and the device says integrityFailed", () => {
  const device = new Device({ expectedContent: () => expected });
  device.schedule();
  device.hear([0]);
  for (let round = 0; round < 30 && device.core.state !== "idle"; round += 1)
    for (const seq of range(1, 64)) device.feed({ kind: "content", seq, payload: new Uint8Array(48).fill(round) });
  assert.deepEqual([device.core.state, device.core.result], ["idle", "integrityFailed"]);
});

test("§3: without manifest and tag a forged chunk is found at the end, and the image is refused", () => {
  const device = new Device();
  device.schedule();
  device.feed({ kind: "content", seq: 0, payload: content.payloadAt(0) });
  device.feed({ kind: "content", seq: 1, payload: new Uint8Array(48) });
  device.hear(range(2, K + 1));
  assert.deepEqual([device.core.state, device.core.result], ["idle", "integrityFailed"]);
});

test("§8 power loss: a restart anywhere goes on with the bitmap and the parity it had", () => {
  const lost = [5, 6, 100, 101, 102];
  const seqs = [...but(everything, ...lost), ...parity(1, 12)];
  for (let cutAfter = 1; cutAfter < seqs.length; cutAfter += 9) {
    const device = new Device();
    device.schedule();
    device.hear(seqs.slice(0, cutAfter));
    const before = device.core.reception?.receivedCount ?? 0;
    device.restart();
    assert.ok((device.core.reception?.receivedCount ?? 0) > before - 64, `cut after ${cutAfter}`);
    device.hear(seqs.slice(cutAfter));
    device.hear(range(1, K + 1));
    assert.ok(device.isInstalled, `cut after ${cutAfter}`);
  }
});

test("clocks that jump move the deadlines and nothing else", () => {
  const device = new Device();
  device.schedule();
  device.hear(range(0, 20));
  device.feed({ kind: "clock", utcMs: 0 });
  device.hear(range(21, 40));
  device.feed({ kind: "clock", utcMs: UTC_MS * 1.5 });
  device.hear(range(41, K + 1));
  assert.ok(device.isInstalled);
});

test("complete without End: the device asks for it, since it says when to apply", () => {
  const device = new Device();
  device.schedule();
  device.hear(range(0, K));
  assert.equal(device.core.state, "verified");
  device.wait(5_000);
  const interest = device.log.find((output) => output.kind === "interest");
  assert.ok(interest?.kind === "interest");
  assert.deepEqual(decodeInterest(interest.interest), [K + 1]);
  device.hear([K + 1]);
  assert.ok(device.isInstalled);
});

test("where the MTU leaves two chunks, the first Data message shows which one it is", () => {
  const small = image.subarray(0, 150);
  const packed = pack({ mtuBytes: 104, alignment: 16 }, small);
  assert.equal(packed.chunkBytes, 96);
  const device = new Device();
  device.schedule(packed);
  device.hear(range(0, packed.dataCount + 1), packed);
  assert.ok(device.log.some(({ kind }) => kind === "install"));
  assert.ok(small.every((octet, i) => octet === device.slot.bytes[i]));
});
