/** Deltas in the store: what is read from them, what is refused, and that what is kept makes what it says. */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { UsageError } from "@airlift/protocol/lib/errors";
import { encodeZstdDelta } from "@airlift/runtime/zstd-delta";
import { openScratchStores, type ScratchStores } from "./scratch-stores.ts";

let scratch: ScratchStores;
before(async () => {
  scratch = await openScratchStores();
});
after(() => scratch.close());

const name = (version: string, model = "Sensor") => ({ manufacturer: "Example", model, version, hardware: [] });
const add = async (version: string, bytes: Uint8Array, model?: string) =>
  await scratch.stores.images.add(Readable.from([bytes]), name(version, model));
const refusedWith = (code: string) => (error: unknown) => error instanceof UsageError && error.code === code;

/** 50,000 octets that do not compress by themselves, a few of which are each release's own. */
const release = (number: number): Uint8Array => {
  let state = 1;
  return Uint8Array.from({ length: 50_000 }, (_, i) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return i < 64 ? number : state >>> 24;
  });
};
const [OLD, NEW, LAST, STRANGE] = [release(1), release(2), release(3), release(9)];
const DELTA = encodeZstdDelta(OLD, NEW);

test("a delta is known by its header, belongs to the image that it makes, and is there once", async () => {
  const { image: base } = await add("1.0.0", OLD);
  const { image } = await add("2.0.0", NEW);
  const first = await add("2.0.0", DELTA);
  const { delta } = first;
  assert.ok(delta);
  assert.equal(first.image.id, image.id);
  assert.deepEqual(first.image.deltas, [delta]);
  const { id, createdAt: _, sha256, ...read } = delta;
  const share = DELTA.length / NEW.length;
  assert.deepEqual(read, { baseImageId: base.id, baseVersion: "1.0.0", sizeBytes: DELTA.length, share });
  assert.ok(share < 0.05, `${share}`);
  assert.deepEqual(await readFile(join(scratch.folder, "images", sha256)), Buffer.from(DELTA));
  assert.deepEqual(await add("2.0.0", DELTA), { ...first, isNew: false });
  const source = await scratch.stores.images.openSource(id);
  assert.deepEqual(Buffer.from((await source?.read(0, 96)) ?? []), Buffer.from(DELTA.subarray(0, 96)));
  assert.equal(await scratch.stores.images.get(id), undefined, "it is no image");
  const listed = (await scratch.stores.images.list({ limit: 10 })).items.map(({ version, deltas }) => [
    version,
    deltas.length,
  ]);
  assert.deepEqual(listed, [
    ["2.0.0", 1],
    ["1.0.0", 0],
  ]);
});

test("another delta of the same two images is refused; one from another base is kept beside it", async () => {
  // A frame and an empty frame behind it decode to the same (RFC 8878 §3).
  const other = Buffer.concat([DELTA, Buffer.from("502a4d1800000000", "hex")]);
  await assert.rejects(add("2.0.0", other), refusedWith("DELTA_CONFLICT"));
  await add("3.0.0", LAST);
  const { image } = await add("2.0.0", encodeZstdDelta(LAST, NEW));
  assert.deepEqual(
    image.deltas.map(({ baseVersion }) => baseVersion),
    ["3.0.0", "1.0.0"],
  );
});

test("a delta without its image, or without its base, of that make is refused, and leaves no file", async () => {
  const before = await readdir(join(scratch.folder, "images"));
  await assert.rejects(add("2.0.0", encodeZstdDelta(OLD, STRANGE)), refusedWith("DELTA_IMAGE"));
  await assert.rejects(add("2.0.1", DELTA), refusedWith("DELTA_IMAGE"), "another version than the image has");
  await assert.rejects(add("2.0.0", DELTA, "Pump"), refusedWith("DELTA_IMAGE"), "another model");
  await assert.rejects(add("2.0.0", encodeZstdDelta(STRANGE, NEW)), refusedWith("DELTA_BASE"));
  await assert.rejects(add("2.0.0", encodeZstdDelta(NEW, NEW)), refusedWith("DELTA_BASE"), "from itself");
  assert.deepEqual(await readdir(join(scratch.folder, "images")), before);
});

test("a delta that does not make its image is not kept, nor one that saves nothing", async () => {
  const delta = encodeZstdDelta(OLD, LAST);
  const forged = Uint8Array.from(delta);
  forged.set(encodeZstdDelta(OLD, NEW).subarray(96, 200), 96);
  await assert.rejects(add("3.0.0", forged), { code: "DELTA_CONTENT" });
  await assert.rejects(add("3.0.0", Uint8Array.from(delta).fill(0, -20)), { code: "DELTA_CONTENT" });
  await assert.rejects(add("3.0.0", delta.subarray(0, 90)), { code: "DELTA_HEADER" });
  await assert.rejects(add("3.0.0", Buffer.concat([delta, new Uint8Array(60_000)])), refusedWith("DELTA_LARGER"));
  assert.ok((await add("3.0.0", delta)).isNew);
});
