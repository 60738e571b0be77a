import assert from "node:assert/strict";
import { test } from "node:test";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { toHex } from "../lib/bytes.ts";
import { EnvironmentError } from "../lib/errors.ts";
import type { ContentDisk } from "./content-disk.ts";
import { ContentStore, type ContentStoreOptions } from "./content-store.ts";
import { encodeInterest, encodeRangeInterest } from "./interest.ts";
import type { PackedContent } from "./packed-content.ts";
import { packRelease } from "./release.ts";
import { ReleaseLedger } from "./release-ledger.ts";

const HOUR_MS = 3_600_000;
const image = Uint8Array.from({ length: 1000 }, (_, i) => i * 7);

const content = (version = "1", bytes = image): PackedContent =>
  packRelease({ identity: { manufacturer: "ACME", model: "M", version }, image: bytes }, {}, zmeshCrypto).image;

class MemoryDisk implements ContentDisk {
  readonly payloads = new Map<string, Uint8Array>();
  readonly claims: unknown[] = [];
  readCount = 0;
  isFull = false;

  async write(name: Uint8Array, seq: number, payload: Uint8Array): Promise<void> {
    if (this.isFull) throw new EnvironmentError("DISK_FULL", "no space left");
    this.payloads.set(`${toHex(name)}/${seq}`, payload);
  }
  async read(name: Uint8Array, seq: number): Promise<Uint8Array | undefined> {
    this.readCount += 1;
    return this.payloads.get(`${toHex(name)}/${seq}`);
  }
  async remove(name: Uint8Array): Promise<void> {
    for (const key of this.payloads.keys()) if (key.startsWith(toHex(name))) this.payloads.delete(key);
  }
  async keepClaim(claim: unknown): Promise<void> {
    if (this.isFull) throw new EnvironmentError("DISK_FULL", "no space left");
    this.claims.push(claim);
  }
}

const stores = (options: Partial<ContentStoreOptions> = {}) => {
  const disk = new MemoryDisk();
  return { disk, store: new ContentStore({ ledger: new ReleaseLedger(zmeshCrypto), disk, ...options }) };
};
const shapeOf = ({ name, dataCount, payloadBytes, encType, end }: PackedContent) => ({
  name,
  dataCount,
  payloadBytes,
  encType,
  repairScheme: end.repairScheme,
});
const last = (one: PackedContent) => one.dataCount + 1;

test("profile 5: a published content answers Interests for single packets, ranges and parity", async () => {
  const one = content();
  const { store } = stores();
  await store.publish(one, 0);
  const ask = async (fields: { fseq: number; payload: Uint8Array }) =>
    await store.answer({ name: one.name, ...fields });
  for (const seq of [0, 1, one.dataCount, last(one), last(one) + 1, last(one) + 50])
    assert.deepEqual(await ask(encodeInterest(seq)), [{ name: one.name, seq, payload: one.payloadAt(seq) }]);
  const range = await ask(encodeRangeInterest([3, 1, 20, last(one) + 3], 77));
  assert.deepEqual(
    range.map(({ seq }) => seq),
    [1, 3, 20, last(one) + 3],
  );
  assert.deepEqual(await store.answer({ name: content("2").name, ...encodeInterest(0) }), []);
});

test("profile 3: a store that only heard the ciphertext answers the same, parity too, once all of it is there", async () => {
  const one = content();
  const { store, disk } = stores();
  store.open(shapeOf(one), 0);
  const parity = last(one) + 1;
  for (let seq = last(one); seq >= 0; seq -= 1) {
    if (seq > 0 && seq < last(one)) assert.equal(await store.payloadOf(one.name, parity), undefined);
    await store.receive({ name: one.name, seq, payload: one.payloadAt(seq) }, 0);
  }
  for (let seq = 0; seq < parity + 20; seq += 1)
    assert.deepEqual(await store.payloadOf(one.name, seq), one.payloadAt(seq));
  assert.equal(disk.payloads.size, one.dataCount + 2, "parity is made, not kept");
});

test("what memory forgot comes from the disk, also after a restart", async () => {
  const one = content();
  const { store, disk } = stores({ maxCacheBytes: 600 });
  store.open(shapeOf(one), 0);
  for (let seq = 0; seq <= last(one); seq += 1) {
    await store.receive({ name: one.name, seq, payload: one.payloadAt(seq) }, 0);
    assert.ok(store.cacheBytes <= 600);
  }
  disk.readCount = 0;
  assert.deepEqual(await store.payloadOf(one.name, last(one)), one.payloadAt(last(one)));
  assert.equal(disk.readCount, 0);
  assert.deepEqual(await store.payloadOf(one.name, 1), one.payloadAt(1));
  assert.equal(disk.readCount, 1);
  const restarted = new ContentStore({ ledger: new ReleaseLedger(zmeshCrypto), disk });
  restarted.open(shapeOf(one), 0);
  assert.deepEqual(await restarted.payloadOf(one.name, last(one) + 9), one.payloadAt(last(one) + 9));
});

test("profile 5: content is kept for 24 hours after it was heard last; its name stays taken", async () => {
  const [one, two] = [content("1"), content("2")];
  const { store, disk } = stores();
  await store.publish(one, 0);
  store.open(shapeOf(two), 0);
  await store.receive({ name: two.name, seq: 1, payload: two.payloadAt(1) }, HOUR_MS);
  assert.equal(store.wakeAtMs, 24 * HOUR_MS);
  assert.deepEqual(await store.expire(24 * HOUR_MS - 1), []);
  assert.deepEqual(await store.expire(24 * HOUR_MS), [one.name]);
  assert.equal(await store.payloadOf(one.name, 1), undefined);
  assert.deepEqual(await store.payloadOf(two.name, 1), two.payloadAt(1));
  assert.deepEqual(await store.expire(25 * HOUR_MS), [two.name]);
  assert.deepEqual([disk.payloads.size, store.cacheBytes, store.wakeAtMs], [0, 0, undefined]);
  await assert.rejects(store.publish(content("1"), 26 * HOUR_MS), { name: "UsageError", code: "NAME_PUBLISHED" });
});

test("profile 3: a second image or another key under the same name is refused, the same one again is not", async () => {
  const one = content();
  const { store, disk } = stores();
  await store.publish(one, 0);
  await store.publish(one, HOUR_MS);
  assert.equal(disk.claims.length, 1);
  await assert.rejects(store.publish(content("1", image.subarray(1)), 0), { code: "NAME_PUBLISHED" });
  await assert.rejects(store.publish(content("1"), 0), { code: "NAME_PUBLISHED" });
  assert.throws(() => store.open(shapeOf(one), 0), { code: "NAME_OPENED" });
  assert.deepEqual(await store.payloadOf(one.name, 1), one.payloadAt(1));
});

test("what cannot be stored was never published, and can be later", async () => {
  const one = content();
  const { store, disk } = stores();
  disk.isFull = true;
  await assert.rejects(store.publish(one, 0), { code: "DISK_FULL" });
  assert.equal(store.has(one.name), false);
  disk.isFull = false;
  await store.publish(one, 0);
  assert.equal(disk.claims.length, 1);
});

test("bad input from the air is refused with a code and counted", async () => {
  const one = content();
  const { store } = stores();
  store.open(shapeOf(one), 0);
  const hear = (seq: number, payload: Uint8Array, name = one.name) => store.receive({ name, seq, payload }, 0);
  await hear(1, one.payloadAt(1));
  await assert.rejects(hear(1, one.payloadAt(1), content("2").name), { code: "CONTENT_UNKNOWN" });
  await assert.rejects(hear(1, one.payloadAt(2)), { name: "PeerError", code: "CONTENT_CONFLICT" });
  await assert.rejects(hear(last(one) + 1, one.payloadAt(1)), { code: "SEQ_PAST_END" });
  await assert.rejects(hear(2 ** 24, one.payloadAt(1)), { code: "SEQ_RANGE" });
  for (const seq of [0, 2, last(one)]) await assert.rejects(hear(seq, new Uint8Array(47)), { code: "CONTENT_LENGTH" });
  assert.deepEqual(await store.answer({ name: one.name, fseq: 0, payload: Uint8Array.of(1) }), []);
  assert.deepEqual(Object.fromEntries(store.refusals.counts), {
    CONTENT_UNKNOWN: 1,
    CONTENT_CONFLICT: 1,
    SEQ_PAST_END: 1,
    SEQ_RANGE: 1,
    CONTENT_LENGTH: 3,
    INTEREST_LENGTH: 1,
  });
});

test("two payloads for one SEQ at the same moment: the first one stays", async () => {
  const one = content();
  const { store, disk } = stores();
  store.open(shapeOf(one), 0);
  const heard = await Promise.allSettled(
    [1, 2].map((seq) => store.receive({ name: one.name, seq: 1, payload: one.payloadAt(seq) }, 0)),
  );
  assert.deepEqual(
    heard.map(({ status }) => status),
    ["fulfilled", "rejected"],
  );
  assert.deepEqual([...disk.payloads.values()], [one.payloadAt(1)]);
});

test("contents, memory and disk are bounded", async () => {
  const [one, two] = [content("1"), content("2")];
  const few = stores({ maxContents: 1 }).store;
  await few.publish(one, 0);
  await assert.rejects(few.publish(two, 0), { name: "EnvironmentError", code: "STORE_FULL" });
  assert.throws(() => few.open(shapeOf(two), 0), { code: "STORE_FULL" });
  const small = stores({ maxDiskBytes: 1500 }).store;
  small.open(shapeOf(one), 0);
  assert.throws(() => small.open(shapeOf(two), 0), { code: "STORE_FULL" });
});

test("of two payloads for one SEQ the first counts, however slowly the disk answers; and none after its time", async () => {
  const one = content();
  const { disk, store } = stores();
  store.open(shapeOf(one), 0);
  const [genuine, forged] = [one.payloadAt(1), one.payloadAt(2)];
  const readAtOnce = disk.read.bind(disk);
  /** A receipt whose look at the disk ends when the returned function is called. */
  const slowly = (payload: Uint8Array, seq: number) => {
    let goOn = () => {};
    disk.read = async () => {
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      return undefined;
    };
    const receipt = store.receive({ name: one.name, seq, payload }, 0);
    disk.read = readAtOnce;
    return async () => {
      goOn();
      await receipt;
    };
  };
  const second = slowly(forged, 1);
  await store.receive({ name: one.name, seq: 1, payload: genuine }, 0);
  await assert.rejects(second, { name: "PeerError", code: "CONTENT_CONFLICT" });
  assert.deepEqual(await store.payloadOf(one.name, 1), genuine);
  const late = slowly(genuine, 3);
  await store.expire(25 * HOUR_MS);
  await assert.rejects(late, { name: "PeerError", code: "CONTENT_UNKNOWN" });
  assert.equal(disk.payloads.size, 0);
});
