/** Differential images in slots: what is refused, and power cuts at every operation of the flash. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { makeMcubootImage } from "@airlift/protocol/image/make-mcuboot";
import { generateSigningKey, imageCrypto, loadPublicKey, loadSigningKey } from "@airlift/runtime/crypto";
import { encodeZstdDelta } from "@airlift/runtime/zstd-delta";
import { Flash, type Loss, PowerCut } from "@airlift/sim/flash";
import { seeded } from "@airlift/sim/world";
import { createSlots, type Slots } from "./slots.ts";
import { createZstdDecoder } from "./zstd-decoder.ts";

const pair = generateSigningKey();
const trust = [loadPublicKey(pair.publicPem)];
const URI = "https://example.com/fw/2.delta";

const image = (major: number, sizeBytes = 900): Uint8Array =>
  makeMcubootImage(
    Uint8Array.from({ length: sizeBytes }, (_, i) => (i * 7) ^ (i < 40 ? major : 0)),
    { version: { major, minor: 0, revision: 0, build: 0 } },
    { crypto: imageCrypto, key: loadSigningKey(pair.privatePem) },
  );
const OLD = image(1);
const NEW = image(2);
const DELTA = encodeZstdDelta(OLD, NEW);

async function start(flash: Flash, maxImageBytes = 10_000): Promise<Slots> {
  const decoders = [createZstdDecoder()];
  const slots = createSlots({ directory: flash, trust, persistEveryBytes: 100, maxImageBytes, decoders });
  await slots.boot();
  return slots;
}

async function download({ handlers }: Slots, bytes: Uint8Array, from = 0): Promise<void> {
  if (from === 0) await handlers.openStream({ uri: URI, etag: Uint8Array.of(7) });
  for (let offset = from; offset < bytes.length; offset += 60)
    await handlers.write(bytes.subarray(offset, offset + 60));
  await handlers.finish();
}

/** A device that runs OLD from a slot; one without was made with something else. */
async function device(): Promise<Flash> {
  const flash = new Flash();
  const slots = await start(flash);
  await download(slots, OLD);
  await slots.handlers.performUpgrade();
  await (await start(flash)).confirm();
  flash.restart("kept");
  return flash;
}

async function live(slots: Slots): Promise<"restart" | "done"> {
  const { handlers, store } = slots;
  const update = await store.load();
  switch (update.state) {
    case "updating":
      await slots.confirm();
      return live(slots);
    case "downloaded":
      await store.save({ state: "updating", result: "initial", uri: URI });
      await handlers.performUpgrade();
      return "restart";
    case "idle":
      if (slots.version() === "2.0.0") return "done";
      await store.save({ state: "downloading", result: "initial", uri: URI, offset: 0 });
      return live(slots);
    case "downloading":
      await download(slots, DELTA, update.offset);
      return live(slots);
  }
}

async function untilDone(flash: Flash): Promise<void> {
  while ((await live(await start(flash))) === "restart");
}

/** Starts at which a whole image still lay beside its package. */
let finishedByStartCount = 0;

async function assertBoots(flash: Flash, where: string): Promise<void> {
  const wasBeside = flash.peek("a/decoded") !== undefined || flash.peek("b/decoded") !== undefined;
  const slots = await start(flash);
  const running = Buffer.from(flash.peek(`${slots.running().slot}/image`) ?? []);
  const isNew = slots.version() === "2.0.0";
  assert.ok(running.equals(isNew ? NEW : OLD), `${where}: not a whole image`);
  const update = await slots.store.load();
  if (update.state === "updating") assert.ok(isNew && slots.running().isTrial, where);
  const other = Buffer.from(flash.peek(slots.running().slot === "a" ? "b/image" : "a/image") ?? []);
  if (update.state === "downloaded" && wasBeside) finishedByStartCount += 1;
  if (update.state === "downloaded") assert.ok(other.equals(NEW), `${where}: what is downloaded is not the image`);
  if (update.state === "downloading")
    assert.ok(other.subarray(0, update.offset).equals(DELTA.subarray(0, update.offset)), where);
  await live(slots);
}

test("a delta becomes the new image, is verified as such, and shows the new version", async () => {
  const flash = await device();
  const slots = await start(flash);
  assert.ok(DELTA.length < NEW.length / 2, `${DELTA.length} octets for ${NEW.length}`);
  await download(slots, DELTA);
  assert.equal(await slots.handlers.packageVersion?.(), "2.0.0");
  await slots.handlers.performUpgrade();
  assert.equal((await start(flash)).version(), "2.0.0");
});

test("what cannot be decoded here: another base, none, too large, damaged, an image that nobody signed", async () => {
  const stranger = encodeZstdDelta(image(3), NEW);
  const damaged = Uint8Array.from(DELTA).fill(0, -20);
  const unsigned = Uint8Array.from(NEW).fill(0xee, 100, 110);
  const cases = [
    [await device(), stranger, "unsupportedPackage"],
    [new Flash(), DELTA, "unsupportedPackage"],
    [await device(), encodeZstdDelta(OLD, image(2, 12_000)), "noFlash"],
    [await device(), damaged, "integrityFailed"],
    [await device(), encodeZstdDelta(OLD, unsigned), "integrityFailed"],
    [await device(), DELTA.subarray(0, 90), "integrityFailed"],
  ] as const;
  for (const [flash, bytes, result] of cases) {
    const slots = await start(flash);
    await assert.rejects(download(slots, bytes), { name: "HandlerError", result });
    assert.equal(flash.peek("b/decoded") ?? flash.peek("a/decoded"), undefined, "nothing is left behind");
    const good = image(4, 300);
    await download(slots, good);
    assert.equal(await slots.handlers.packageVersion?.(), "4.0.0", "the next package is taken");
  }
});

test("a base that is larger than the decoder may hold in memory is refused", async () => {
  const flash = await device();
  const decoders = [createZstdDecoder({ maxBaseBytes: 100 })];
  const slots = createSlots({ directory: flash, trust, decoders });
  await slots.boot();
  await assert.rejects(download(slots, DELTA), { result: "unsupportedPackage" });
});

test("the flash is too small for package and image together: noFlash, and the device goes on", async () => {
  const small = new Flash(OLD.length + DELTA.length + 1_500);
  const first = await start(small);
  await download(first, OLD);
  await first.handlers.performUpgrade();
  const slots = await start(small);
  await slots.confirm();
  await assert.rejects(download(slots, DELTA), { result: "noFlash" });
  assert.equal((await start(small)).version(), "1.0.0");
});

async function cutAndRecover(cutAt: number, loss: Loss, where: string): Promise<void> {
  const flash = await device();
  flash.cutAt = cutAt;
  await assert.rejects(untilDone(flash), PowerCut, where);
  flash.restart(loss);
  await assertBoots(flash, where);
  await untilDone(flash);
  assert.equal((await start(flash)).version(), "2.0.0", where);
}

test("a cut at any operation of download, decoding, verification and switch", async () => {
  const flash = await device();
  await untilDone(flash);
  const count = flash.operationCount;
  assert.ok(count > 60, `${count} operations`);
  for (const loss of ["lost", "kept"] as const) {
    for (let cutAt = 0; cutAt < count; cutAt += 1) await cutAndRecover(cutAt, loss, `cut ${cutAt}, ${loss}`);
  }
  assert.ok(finishedByStartCount > 0, "a start puts the image in its place");
  for (let seed = 0; seed < 3; seed += 1) {
    for (let cutAt = 0; cutAt < count; cutAt += 1)
      await cutAndRecover(cutAt, seeded(seed), `cut ${cutAt}, seed ${seed}`);
  }
});
