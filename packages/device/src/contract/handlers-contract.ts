/** The tests that every integrator's handlers must pass. Run them with `node --test` from a test file of your own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PersistedUpdate, UpdateHandlers, UpdateStore } from "../ports.ts";

/** One device with nothing downloaded, as its handlers see it. */
export interface ContractSubject {
  readonly handlers: UpdateHandlers;
  /** When the update's state outlives a restart. */
  readonly store?: UpdateStore;
  /** The device after a power cut at this moment; absent when it keeps nothing. */
  restart?(): Promise<Pick<ContractSubject, "handlers" | "store">>;
  /** An image that `finish` accepts, at least 100 octets. */
  readonly goodImage: Uint8Array;
  /** An image that `finish` refuses; absent when all are accepted. */
  readonly badImage?: Uint8Array;
}

/** The kinds of chunks that arrive: of a small block, of the largest one, of what a TCP read gives. */
const CHUNK_BYTES = [16, 1_024, 65_536] as const;
const ORIGIN = { uri: "coap://files.example/fw/1", etag: Uint8Array.of(1, 2) };

/** Of an image, after each of which something goes wrong. */
const PIECES = 6;

/** Registers the tests; `create` makes a fresh device for each. */
export function testHandlers(name: string, create: () => Promise<ContractSubject>): void {
  for (const chunkBytes of CHUNK_BYTES) {
    test(`${name}: an image in pieces of ${chunkBytes} octets is accepted`, async () => {
      const { handlers, goodImage } = await create();
      await fill(handlers, goodImage, chunkBytes);
      await handlers.finish();
    });
  }

  test(`${name}: reset may be called when nothing was opened, and twice`, async () => {
    const { handlers, goodImage } = await create();
    await handlers.reset();
    await handlers.reset();
    await fill(handlers, goodImage, 1_024);
    await handlers.finish();
  });

  test(`${name}: a download that was reset in the middle leaves nothing behind`, async () => {
    const { handlers, goodImage } = await create();
    await handlers.openStream(ORIGIN);
    await handlers.write(goodImage.slice(0, 50));
    await handlers.reset();
    await fill(handlers, goodImage, 1_024);
    await handlers.finish();
  });

  test(`${name}: an image that was reset can be downloaded again`, async () => {
    const { handlers, goodImage } = await create();
    for (let i = 0; i < 2; i += 1) {
      await fill(handlers, goodImage, 1_024);
      await handlers.finish();
      await handlers.reset();
    }
  });

  test(`${name}: what write was given may change as soon as it settles`, async () => {
    const { handlers, goodImage } = await create();
    const buffer = new Uint8Array(32);
    await handlers.openStream({});
    for (let at = 0; at < goodImage.length; at += buffer.length) {
      const part = goodImage.subarray(at, at + buffer.length);
      buffer.set(part);
      await handlers.write(buffer.subarray(0, part.length));
      buffer.fill(0xee);
    }
    await handlers.finish();
  });

  test(`${name}: a bad image is refused, and a good one accepted after it without a reset`, async (context) => {
    const { handlers, goodImage, badImage } = await create();
    if (badImage === undefined) return context.skip("every image is accepted");
    await assert.rejects(async () => {
      await fill(handlers, badImage, 1_024);
      await handlers.finish();
    });
    await fill(handlers, goodImage, 1_024);
    await handlers.finish();
  });

  test(`${name}: a download goes on after a restart where the store says`, async (context) => {
    const subject = await create();
    if (subject.store === undefined || subject.restart === undefined) return context.skip("nothing is kept");
    await subject.store.save({ state: "downloading", result: "initial", uri: ORIGIN.uri, offset: 0 });
    await fill(subject.handlers, subject.goodImage.subarray(0, -20), 1_024, ORIGIN);
    const { handlers, store } = await subject.restart();
    const loaded = (await store?.load()) as PersistedUpdate;
    assert.equal(loaded.state, "downloading");
    if (loaded.state !== "downloading") return;
    if (loaded.offset > 0) assert.deepEqual(loaded.etag, ORIGIN.etag, "without its tag nothing can be resumed");
    else await handlers.openStream(ORIGIN);
    await write(handlers, subject.goodImage.subarray(loaded.offset), 1_024);
    await handlers.finish();
  });

  test(`${name}: a reset after any piece, or after all of them, leaves room for the whole image`, async () => {
    for (let pieces = 0; pieces <= PIECES; pieces += 1) {
      const { handlers, goodImage } = await create();
      await begin(handlers, goodImage, pieces);
      await handlers.reset();
      await fill(handlers, goodImage, 1_024);
      await handlers.finish();
    }
  });

  test(`${name}: power that goes after any piece, and at the start that follows, costs no download`, async (context) => {
    for (let pieces = 0; pieces <= PIECES; pieces += 1) {
      const subject = await create();
      if (subject.store === undefined || subject.restart === undefined) return context.skip("nothing is kept");
      await subject.store.save({ state: "downloading", result: "initial", uri: ORIGIN.uri, offset: 0 });
      await begin(subject.handlers, subject.goodImage, pieces);
      const first = (await (await subject.restart()).store?.load()) as PersistedUpdate;
      const { handlers, store } = await subject.restart();
      const loaded = (await store?.load()) as PersistedUpdate;
      assert.deepEqual(loaded, first, `a start changes nothing, after ${pieces} of ${PIECES} pieces`);
      assert.equal(loaded.state, "downloading");
      if (loaded.state !== "downloading") return;
      assert.ok(loaded.offset <= endOf(subject.goodImage, pieces), "what was not written cannot be stored");
      if (loaded.offset === 0) await handlers.openStream(ORIGIN);
      await write(handlers, subject.goodImage.subarray(loaded.offset), 1_024);
      await handlers.finish();
    }
  });

  test(`${name}: what is saved is loaded`, async (context) => {
    const subject = await create();
    if (subject.store === undefined || subject.restart === undefined) return context.skip("nothing is kept");
    await subject.store.save({ state: "idle", result: "cancelled", uri: ORIGIN.uri });
    const loaded = await (await subject.restart()).store?.load();
    assert.deepEqual([loaded?.state, loaded?.result, loaded?.uri], ["idle", "cancelled", ORIGIN.uri]);
  });
}

async function fill(handlers: UpdateHandlers, image: Uint8Array, chunkBytes: number, origin = {}): Promise<void> {
  await handlers.openStream(origin);
  await write(handlers, image, chunkBytes);
}

async function write(handlers: UpdateHandlers, image: Uint8Array, chunkBytes: number): Promise<void> {
  for (let at = 0; at < image.length; at += chunkBytes) await handlers.write(image.slice(at, at + chunkBytes));
}

/** The octets of the first `pieces` of an image. */
function endOf(image: Uint8Array, pieces: number): number {
  return Math.floor((image.length * pieces) / PIECES);
}

async function begin(handlers: UpdateHandlers, image: Uint8Array, pieces: number): Promise<void> {
  await handlers.openStream(ORIGIN);
  for (let piece = 0; piece < pieces; piece += 1) {
    await handlers.write(image.slice(endOf(image, piece), endOf(image, piece + 1)));
  }
}
