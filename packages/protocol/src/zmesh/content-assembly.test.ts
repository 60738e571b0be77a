import assert from "node:assert/strict";
import { test } from "node:test";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import fc from "fast-check";
import { ENC_TYPE, type EncType } from "./chunking.ts";
import { ContentAssembly, type HeardMessage } from "./content-assembly.ts";
import { encodeBegin } from "./messages.ts";
import type { PackedContent } from "./packed-content.ts";
import { packRelease } from "./release.ts";

const image = Uint8Array.from({ length: 5000 }, (_, i) => (i * 37) >> 3);
const identity = { manufacturer: "ACME", model: "M", version: "1" };
const pack = (encType: EncType, bytes = image) =>
  packRelease({ identity, image: bytes }, { encType, isPlainAllowed: true }, zmeshCrypto).image;
const assemblyOf = ({ encType, name, keys }: PackedContent, other = {}) =>
  new ContentAssembly({ encType, name, ...keys, ...other }, zmeshCrypto);
const heard = (content: PackedContent, seqs: readonly number[]): HeardMessage[] =>
  seqs.map((seq) => ({ seq, payload: content.payloadAt(seq), isEnd: seq === content.dataCount + 1 }));
const upTo = (last: number) => Array.from({ length: last + 1 }, (_, seq) => seq);
const refusal = (code: string) => ({ name: "PeerError", code });

test("profile 1: Begin alone or End alone is enough beside the data", () => {
  for (const encType of Object.values(ENC_TYPE)) {
    const content = pack(encType);
    const all = upTo(content.dataCount + 1);
    assert.deepEqual(assemblyOf(content).assemble(heard(content, all)).bytes, image);
    const withoutBegin = assemblyOf(content).assemble(heard(content, all.slice(1)));
    assert.deepEqual([withoutBegin.bytes, withoutBegin.isDigestChecked], [image, true]);
    const withoutEnd = assemblyOf(content).assemble(heard(content, all.slice(0, -1)));
    assert.deepEqual([withoutEnd.bytes, withoutEnd.isDigestChecked], [image, false]);
    assert.throws(() => assemblyOf(content).assemble(heard(content, all.slice(1, -1))), refusal("CONTENT_UNKNOWN"));
  }
});

test("profile 8: any subset that suffices, in any order", () => {
  const contents = Object.values(ENC_TYPE).map((encType) => pack(encType));
  fc.assert(
    fc.property(
      fc.constantFrom(...contents),
      fc.integer({ min: 0, max: 30 }),
      fc.infiniteStream(fc.nat()),
      (content, lostCount, random) => {
        const K = content.dataCount;
        const lost = new Set<number>();
        while (lost.size < lostCount) lost.add(1 + ((random.next().value ?? 0) % K));
        const seqs = upTo(K + 1 + (lostCount === 0 ? 0 : lostCount + 40)).filter((seq) => !lost.has(seq));
        const shuffled = seqs
          .map((seq) => ({ seq, place: random.next().value ?? 0 }))
          .sort((a, b) => a.place - b.place);
        const { bytes, repairedCount } = assemblyOf(content).assemble(
          heard(
            content,
            shuffled.map(({ seq }) => seq),
          ),
        );
        assert.deepEqual(bytes, image);
        assert.equal(repairedCount, lostCount);
      },
    ),
    { numRuns: 12 },
  );
});

test("too few messages, none, or none of the data: incomplete", () => {
  const content = pack(ENC_TYPE.ctr);
  const lossy = upTo(content.dataCount + 5).filter((seq) => seq === 0 || seq > 10);
  assert.throws(() => assemblyOf(content).assemble(heard(content, lossy)), refusal("CONTENT_INCOMPLETE"));
  assert.throws(() => assemblyOf(content).assemble(heard(content, [0])), refusal("CONTENT_INCOMPLETE"));
  assert.throws(() => assemblyOf(content).assemble([]), refusal("CONTENT_UNKNOWN"));
});

test("profile 3: a wrong key or IV never gives an image", () => {
  for (const encType of [ENC_TYPE.ctr, ENC_TYPE.ccm]) {
    const content = pack(encType);
    const all = heard(content, upTo(content.dataCount + 1));
    for (const other of [{ key: new Uint8Array(16) }, { iv: new Uint8Array(9) }])
      assert.throws(() => assemblyOf(content, other).assemble(all), { name: "PeerError" });
  }
});

test("messages of another length, past the last SEQ, damaged or contradicting are refused, counted, and stood in for", () => {
  const content = pack(ENC_TYPE.ccm);
  const K = content.dataCount;
  const assembly = assemblyOf(content);
  const damaged = content.payloadAt(3).map((octet, i) => (i === 0 ? octet ^ 1 : octet));
  const bad: HeardMessage[] = [
    { seq: 0, payload: new Uint8Array(7) },
    { seq: 1, payload: new Uint8Array(8) },
    { seq: 3, payload: damaged },
    { seq: 2 ** 24, payload: content.payloadAt(1) },
    { seq: K + 2, payload: content.payloadAt(K + 2) },
    { seq: K + 2, payload: content.payloadAt(K + 3) },
    { seq: K, payload: content.payloadAt(K + 1), isEnd: true },
  ];
  const good = heard(
    content,
    upTo(K + 30).filter((seq) => seq !== 1 && seq !== 3),
  );
  assert.deepEqual(assembly.assemble([...bad, ...good]).bytes, image);
  assert.deepEqual(Object.fromEntries(assembly.refusals.counts), {
    CONTENT_TAG: 3,
    CONTENT_LENGTH: 1,
    SEQ_RANGE: 1,
    CONTENT_CONFLICT: 1,
  });
});

test("profile 1: an End under another SEQ than its own is none", () => {
  const content = pack(ENC_TYPE.none);
  const K = content.dataCount;
  const chunks = heard(content, upTo(K).slice(1));
  const misplaced = { seq: K + 2, payload: content.payloadAt(K + 1), isEnd: true };
  const assembly = assemblyOf(content);
  assert.throws(() => assembly.assemble([...chunks, misplaced]), refusal("CONTENT_UNKNOWN"));
  assert.equal(assembly.refusals.counts.get("NUM_PACKETS"), 1);
});

test("an image that is not the announced one is not handed out", () => {
  const content = pack(ENC_TYPE.none);
  const other = pack(ENC_TYPE.none, image.slice().fill(7, 100, 101));
  const K = content.dataCount;
  const chunks = heard(content, upTo(K).slice(1));
  const begin = (lengthBytes: number, dataCount: number) => ({
    seq: 0,
    payload: encodeBegin({ lengthBytes, crc32: 0, dataCount }),
  });
  assert.throws(() => assemblyOf(content).assemble([...chunks, ...heard(other, [0])]), refusal("CONTENT_CRC"));
  assert.throws(() => assemblyOf(content).assemble([...chunks, begin(5000, 2000)]), refusal("NUM_PACKETS"));
  assert.throws(
    () => assemblyOf(content).assemble([...chunks, ...heard(content, [0]), ...heard(other, [K + 1])]),
    refusal("NUM_PACKETS"),
  );
  const end = content.payloadAt(K + 1).map((octet, i) => (i === 39 ? octet ^ 1 : octet));
  assert.throws(
    () => assemblyOf(content).assemble([...chunks, { seq: K + 1, payload: end, isEnd: true }]),
    refusal("CONTENT_DIGEST"),
  );
});
