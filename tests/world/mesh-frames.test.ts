/**
 * One update as frames: a sealed group schedule, the manifest and the image out of a content store by Interests over a link
 * that loses a fifth of all frames, and sealed status events back. A second network and an attacker use the same air.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { equalBytes } from "@airlift/protocol/lib/bytes";
import type { Random } from "@airlift/protocol/lib/core";
import { PeerError } from "@airlift/protocol/lib/errors";
import { type SealingChannel, sealCommand, sealStatus } from "@airlift/protocol/zmesh/command-channel";
import { NO_FSEQ, nextFseq, openFreshCommand, openFreshStatus } from "@airlift/protocol/zmesh/command-gate";
import { ContentAssembly, type HeardMessage } from "@airlift/protocol/zmesh/content-assembly";
import { isReleaseIv } from "@airlift/protocol/zmesh/content-cipher";
import type { ContentDisk } from "@airlift/protocol/zmesh/content-disk";
import { ContentStore } from "@airlift/protocol/zmesh/content-store";
import { decodeFrame, encodeFrame, type Frame } from "@airlift/protocol/zmesh/frame";
import { AT_ONCE } from "@airlift/protocol/zmesh/instant";
import { encodeInterest } from "@airlift/protocol/zmesh/interest";
import { type Manifest, verifyManifest } from "@airlift/protocol/zmesh/manifest";
import { Receiver } from "@airlift/protocol/zmesh/receiver";
import type { ReceiverInput, ReceiverOutput } from "@airlift/protocol/zmesh/receiver-types";
import { Refusals } from "@airlift/protocol/zmesh/refusals";
import { packRelease, type Release } from "@airlift/protocol/zmesh/release";
import { ReleaseLedger } from "@airlift/protocol/zmesh/release-ledger";
import type { Schedule } from "@airlift/protocol/zmesh/schedule";
import { Attempts, assertSchedule } from "@airlift/protocol/zmesh/schedule-rules";
import type { StatusEvent } from "@airlift/protocol/zmesh/status-event";
import { assertTarget, type TargetDevice } from "@airlift/protocol/zmesh/target";
import { generateSigningKey, imageCrypto, loadPublicKey, loadSigningKey } from "@airlift/runtime/crypto";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { FlashPower, SimWordFlash } from "@airlift/sim/word-flash";
import { seeded } from "@airlift/sim/world";

const UTC_MS = 1_800_000_000_000;
const LOSS = 0.2;
const counting = (from: number, count: number) => Uint8Array.from({ length: count }, (_, i) => from + i);
const air = { networkKey: counting(1, 16), crypto: zmeshCrypto };
const group: SealingChannel = {
  name: counting(0x61, 6),
  key: counting(0x30, 16),
  iv: counting(0x50, 9),
  crypto: zmeshCrypto,
};
const own: SealingChannel = {
  name: counting(0x41, 6),
  key: counting(0x20, 16),
  iv: counting(0x40, 9),
  crypto: zmeshCrypto,
};
const maker = generateSigningKey();
const identity = { manufacturer: "ACME", model: "TH-100", version: "2.0.0" };
const target: TargetDevice = {
  manufacturer: "ACME",
  model: "TH-100",
  hardwareRevision: "B",
  version: "1.0.0",
  securityCounter: 3,
};
const frame = (fields: Pick<Frame, "kind" | "name" | "fseq" | "payload">) =>
  encodeFrame({ ttl: 0, isProxied: false, ...fields }, air);

const nothing: ContentDisk = {
  write: async () => {},
  read: async () => undefined,
  remove: async () => {},
  keepClaim: async () => {},
};

/** All that a device has to do around the receiver. */
class Device {
  readonly refusals = new Refusals();
  readonly reports: Uint8Array[] = [];
  readonly interests: Uint8Array[] = [];
  readonly slot: SimWordFlash;
  isInstalled = false;
  #manifest: Manifest | undefined;
  #manifestSchedule: Schedule | undefined;
  readonly #heard: HeardMessage[] = [];
  #schedule: Schedule | undefined;
  #lastFseq = NO_FSEQ;
  #eventFseq = NO_FSEQ;
  readonly #attempts = new Attempts(zmeshCrypto);
  readonly receiver: Receiver;

  constructor(random: Random) {
    const power = new FlashPower(random);
    this.slot = new SimWordFlash({ sizeBytes: 16_384, pageBytes: 2048 }, power);
    const scratchFlash = new SimWordFlash({ sizeBytes: 32_768, pageBytes: 2048 }, power);
    const expectedContent = () => this.#expected();
    this.receiver = new Receiver({ crypto: zmeshCrypto, random, slotFlash: this.slot, scratchFlash, expectedContent });
  }

  hear(bytes: Uint8Array, nowMs: number): void {
    this.refusals.guard(() => {
      const heard = decodeFrame(bytes, air);
      if (heard.kind === "command") this.#command(heard, nowMs);
      else if (heard.kind === "content") this.#content(heard, nowMs);
    });
  }

  /** Asks for the manifest until it is there, then lets the receiver ask. */
  wake(nowMs: number): void {
    const { receiver } = this;
    if (this.#manifest && receiver.wakeAtMs !== undefined && receiver.wakeAtMs <= nowMs)
      this.#step({ kind: "wake" }, nowMs);
    if (this.#manifest || !this.#manifestSchedule) return;
    const seqs = new Set(this.#heard.map(({ seq }) => seq));
    const seq = Array.from({ length: 40 }, (_, i) => i).find((one) => !seqs.has(one)) ?? 0;
    this.interests.push(frame({ kind: "interest", name: this.#manifestSchedule.name, ...encodeInterest(seq) }));
  }

  #command(heard: Frame, nowMs: number): void {
    const command = openFreshCommand(group, this.#lastFseq, heard);
    if (command.kind !== "schedule") throw new PeerError("COMMAND_FIELD", "only schedules here");
    const { schedule } = command;
    const clock = { utcMs: UTC_MS + nowMs, syncedAtMs: UTC_MS, driftPpm: 20 };
    assertSchedule(schedule, { clock, attempts: this.#attempts, isPlainAllowed: false });
    this.#lastFseq = heard.fseq;
    this.#attempts.begin(schedule);
    if (!isReleaseIv(schedule.iv)) this.#manifestSchedule = schedule;
    else this.#schedule = schedule;
  }

  #content({ name, fseq: seq, payload }: Frame, nowMs: number): void {
    if (this.#schedule && this.#manifest && equalBytes(name, this.#schedule.name))
      this.#step({ kind: "content", seq, payload }, nowMs);
    const schedule = this.#manifestSchedule;
    if (!schedule || this.#manifest || !equalBytes(name, schedule.name)) return;
    this.#heard.push({ seq, payload });
    const { bytes } = new ContentAssembly(schedule, zmeshCrypto).assemble(this.#heard);
    const manifest = verifyManifest(bytes, { keys: [loadPublicKey(maker.publicPem)], crypto: imageCrypto });
    assertTarget(manifest, target);
    this.#manifest = manifest;
    if (this.#schedule) this.#step({ kind: "schedule", schedule: this.#schedule, utcMs: UTC_MS + nowMs }, nowMs);
  }

  #expected() {
    const manifest = this.#manifest;
    if (!manifest) return undefined;
    const { lengthBytes, chunkBytes, dataCount, imageDigest, blockDigests, gapMs } = manifest;
    return {
      profile: { lengthBytes, chunkBytes, dataCount, repairScheme: 2 as const },
      imageDigest,
      blockDigests,
      gapMs,
    };
  }

  #step(input: ReceiverInput, nowMs: number): void {
    for (const output of this.receiver.step(input, nowMs)) this.#do(output);
  }

  #do(output: ReceiverOutput): void {
    if (output.kind === "install") this.isInstalled = true;
    if (output.kind === "interest" && this.#schedule)
      this.interests.push(frame({ kind: "interest", name: this.#schedule.name, ...output.interest }));
    if (output.kind !== "status") return;
    this.#eventFseq = nextFseq(this.#eventFseq);
    const status: StatusEvent = { ...output.status, version: [1, 0, 0], flags: 0, batteryPercent: 255 };
    const payload = sealStatus(own, this.#eventFseq, status);
    this.reports.push(frame({ kind: "event", name: own.name, fseq: this.#eventFseq, payload }));
  }
}

function pack(image: Uint8Array, securityCounter = 4): Release & { manifest: NonNullable<Release["manifest"]> } {
  const signing = { key: loadSigningKey(maker.privatePem), hardwareRevisions: ["A", "B"], securityCounter, gapMs: 50 };
  const { image: content, manifest } = packRelease({ identity, image, signing }, {}, zmeshCrypto);
  return { image: content, manifest: manifest ?? assert.fail() };
}

/** Plays until the device is quiet. @param disturb Frames that an attacker adds to each answer. */
async function play(
  device: Device,
  store: ContentStore,
  random: Random,
  disturb: (answer: Uint8Array) => Uint8Array[] = () => [],
): Promise<void> {
  for (let nowMs = 0; nowMs < 600_000 && !device.isInstalled; nowMs += 500) {
    device.wake(nowMs);
    for (const asked of device.interests.splice(0)) {
      if (random() < LOSS) continue;
      for (const message of await store.answer(decodeFrame(asked, air))) {
        const answer = frame({ kind: "content", name: message.name, fseq: message.seq, payload: message.payload });
        for (const bytes of disturb(answer)) device.hear(bytes, nowMs);
        if (random() >= LOSS) device.hear(answer, nowMs);
      }
    }
  }
}

async function storeWith(release: ReturnType<typeof pack>): Promise<ContentStore> {
  const store = new ContentStore({ ledger: new ReleaseLedger(zmeshCrypto), disk: nothing });
  await store.publish(release.image, 0);
  await store.publish(release.manifest, 0);
  return store;
}

const schedules = ({ image, manifest }: ReturnType<typeof pack>, firstFseq: number): Uint8Array[] =>
  [manifest, image].map((content, i) => {
    const payload = sealCommand(group, firstFseq + i, { kind: "schedule", schedule: content.scheduleAt(AT_ONCE) });
    return frame({ kind: "command", name: group.name, fseq: firstFseq + i, payload });
  });

test("schedule, manifest, image, status: over lossy air, past replays, strangers and forged packets", async () => {
  for (let seed = 1; seed <= 5; seed += 1) {
    const random = seeded(seed);
    const image = Uint8Array.from({ length: 9000 }, () => random() * 256);
    const release = pack(image);
    const device = new Device(random);
    const [first = assert.fail(), second = assert.fail()] = schedules(release, 40);
    for (const bytes of [first, first, second, first, second]) device.hear(bytes, 0);
    await play(device, await storeWith(release), random, (answer) => {
      const damaged = answer.map((octet, i) => (i === 20 ? octet ^ 1 : octet));
      const strange = encodeFrame(
        { ...decodeFrame(answer, air), payload: counting(0, 48) },
        { ...air, networkKey: counting(9, 16) },
      );
      return [damaged, strange];
    });
    assert.ok(device.isInstalled, `seed ${seed}`);
    const installed = new Uint8Array(image.length);
    device.slot.read(0, installed);
    assert.deepEqual(installed, image, `seed ${seed}`);
    assert.equal(device.refusals.counts.get("FSEQ_REPLAYED"), 3);
    assert.ok((device.refusals.counts.get("FRAME_MAC") ?? 0) > 200);
    let lastFseq = NO_FSEQ;
    const statuses = device.reports.map((bytes) => {
      const event = decodeFrame(bytes, air);
      const status = openFreshStatus(own, lastFseq, event);
      lastFseq = event.fseq;
      return `${status.state} ${status.detail} ${status.result}`;
    });
    assert.ok(statuses.includes("downloaded verified initial"), `seed ${seed}: ${statuses}`);
  }
});

test("who knows the network key but not the maker's cannot get an image in: a forged packet costs one block", async () => {
  const random = seeded(7);
  const release = pack(Uint8Array.from({ length: 9000 }, () => random() * 256));
  const device = new Device(random);
  for (const bytes of schedules(release, 0)) device.hear(bytes, 0);
  let forgedCount = 0;
  await play(device, await storeWith(release), random, (answer) => {
    const heard = decodeFrame(answer, air);
    if (heard.fseq !== 70 || !equalBytes(heard.name, release.image.name) || forgedCount > 0) return [];
    forgedCount += 1;
    return [encodeFrame({ ...heard, payload: counting(0, 48) }, air)];
  });
  assert.equal(forgedCount, 1);
  assert.ok(device.isInstalled);
});

test("a firmware below the confirmed security counter is refused before anything is erased", async () => {
  const random = seeded(3);
  const release = pack(counting(0, 255), 2);
  const device = new Device(random);
  for (const bytes of schedules(release, 0)) device.hear(bytes, 0);
  await play(device, await storeWith(release), random);
  assert.equal(device.isInstalled, false);
  assert.ok((device.refusals.counts.get("TARGET_DOWNGRADE") ?? 0) > 0);
  assert.equal(device.receiver.state, "idle");
});
