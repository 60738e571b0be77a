import assert from "node:assert/strict";
import { test } from "node:test";
import { generateSigningKey, imageCrypto, loadPublicKey, loadSigningKey } from "@airlift/runtime/crypto";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { concat, fromHex, toHex } from "../lib/bytes.ts";
import { ENC_TYPE, type EncType } from "./chunking.ts";
import { ContentCipher } from "./content-cipher.ts";
import { nameOf } from "./content-name.ts";
import { isBlockGenuine, verifyManifest } from "./manifest.ts";
import { decodeBegin, decodeEnd } from "./messages.ts";
import type { PackedContent } from "./packed-content.ts";
import { drawKeys, packRelease, type ReleaseInput } from "./release.ts";
import { ReleaseLedger } from "./release-ledger.ts";
import { decodeSchedule, encodeSchedule } from "./schedule.ts";

const counting = (from: number, count: number) => Uint8Array.from({ length: count }, (_, i) => from + i);
const identity = { manufacturer: "ACME", model: "TH-100", version: "1.2.3" };
const keys = { key: counting(16, 16), iv: counting(0, 9) };
const input: ReleaseInput = { identity, image: counting(0, 100), keys };
const { privatePem, publicPem } = generateSigningKey();
const signing = { key: loadSigningKey(privatePem), hardwareRevisions: ["A"], securityCounter: 7, gapMs: 20 };

/** What a receiver that holds the schedule gets. */
function receive(content: PackedContent): Uint8Array {
  const { name, encType, key, iv } = decodeSchedule(encodeSchedule(content.scheduleAt(0)));
  const cipher = new ContentCipher({ encType, name, key, iv }, zmeshCrypto);
  const begin = decodeBegin(cipher.open(0, content.payloadAt(0)));
  const end = decodeEnd(cipher.open(begin.dataCount + 1, content.payloadAt(begin.dataCount + 1)));
  assert.deepEqual([end.lengthBytes, end.crc32, end.dataCount], [begin.lengthBytes, begin.crc32, begin.dataCount]);
  const chunks: Uint8Array[] = [];
  for (let seq = 1; seq <= begin.dataCount; seq += 1) chunks.push(cipher.open(seq, content.payloadAt(seq)));
  return concat(chunks).subarray(0, begin.lengthBytes);
}

test("the published vector: schedule, Begin, three Data messages", () => {
  const { image } = packRelease(input, {}, zmeshCrypto);
  assert.equal(
    toHex(encodeSchedule(image.scheduleAt(1767225600000))),
    "019b76daa800fefa89093e11003001000102030405060708101112131415161718191a1b1c1d1e1f",
  );
  assert.deepEqual(
    [0, 1, 2, 3].map((seq) => toHex(image.payloadAt(seq))),
    [
      "1679ef1a6e3d42ca65cc764d",
      "91ecceeb4e929b9997b7c276b1729840f1e3e0af6325c2423a475d560bccd32b5e0926a25ef3bdcb9791a55b4e46430a",
      "a713dad190dbb10056c23ef4c5c7d2487704956d1db913933022b6814d9f20c25fc9fe2b1b51ff77ff5e50aad158aa66",
      "3e2fb66b9282822ce8dfd6eba9f89862b65f3c645ae72036c6243b96dfa565fbf04c99aa83ce8032275e309228b4d3ad",
    ],
  );
});

test("profile 1, 3: every encryption and MTU carries the image and its manifest", () => {
  for (const encType of Object.values(ENC_TYPE) as EncType[])
    for (const mtuBytes of [48, 56, 104, 1024])
      for (const alignment of [8, 16] as const) {
        const options = { encType, mtuBytes, alignment, isPlainAllowed: true };
        const bytes = counting(0, 9000);
        const { image, manifest } = packRelease({ identity, image: bytes, signing }, options, zmeshCrypto);
        assert.deepEqual(receive(image), bytes);
        const told = verifyManifest(receive(manifest ?? assert.fail()), {
          keys: [loadPublicKey(publicPem)],
          crypto: imageCrypto,
        });
        assert.deepEqual(
          [told.chunkBytes, told.dataCount, told.securityCounter],
          [image.chunkBytes, image.dataCount, 7],
        );
        const payloads = Array.from({ length: Math.min(64, image.dataCount) }, (_, i) => image.payloadAt(i + 1));
        assert.ok(isBlockGenuine(told, { block: 0, payloads }, zmeshCrypto));
      }
});

test("profile 6: the manifest has its own name and the IV whose first bit is the other one", () => {
  const { image, manifest } = packRelease({ ...input, signing }, {}, zmeshCrypto);
  assert.equal(manifest?.uri, "zdm/sw/ACME-TH%2D100-1.2.3/manifest");
  assert.deepEqual(manifest?.name, nameOf(manifest?.uri ?? "", zmeshCrypto));
  assert.deepEqual(manifest?.keys, { key: keys.key, iv: Uint8Array.of(0x80, ...keys.iv.subarray(1)) });
  assert.notDeepEqual(manifest?.name, image.name);
});

test("profile 3: keys are drawn anew for each release, and the first bit of the IV stays free", () => {
  const drawn = Array.from({ length: 64 }, () => drawKeys(zmeshCrypto));
  assert.equal(new Set(drawn.map(({ key, iv }) => toHex(key) + toHex(iv))).size, 64);
  assert.ok(drawn.every(({ iv }) => (iv[0] ?? 0) < 0x80));
  assert.throws(() => packRelease({ ...input, keys: { ...keys, iv: new Uint8Array(9).fill(0x80) } }, {}, zmeshCrypto), {
    name: "UsageError",
    code: "RELEASE_IV",
  });
});

test("profile 1, 3: no image, too large an MTU, and Enc. Type 0 without permission are refused", () => {
  const judge =
    (other: Partial<ReleaseInput>, options = {}) =>
    () =>
      packRelease({ ...input, ...other }, options, zmeshCrypto);
  assert.throws(judge({ image: new Uint8Array(0) }), { name: "UsageError", code: "IMAGE_EMPTY" });
  assert.throws(judge({}, { mtuBytes: 1025 }), { code: "MTU_RANGE" });
  assert.throws(judge({}, { encType: 0 }), { code: "ENC_TYPE_REFUSED" });
});

test("profile 3, 8: parity is the sum of ciphertext payloads, tags included, and needs no key", () => {
  const { image } = packRelease(input, { encType: 2 }, zmeshCrypto);
  const data = [1, 2, 3].map((seq) => image.payloadAt(seq));
  const sums = new Set<string>();
  for (let subset = 0; subset < 8; subset += 1) {
    const members = data.filter((_, i) => ((subset >> i) & 1) === 1);
    const sum = new Uint8Array(48).map((_, at) => members.reduce((octet, payload) => octet ^ (payload[at] ?? 0), 0));
    sums.add(toHex(sum));
  }
  for (let n = 1; n < 40; n += 1) assert.ok(sums.has(toHex(image.payloadAt(4 + n))), `${n}`);
  assert.throws(() => image.payloadAt(2 ** 24), { name: "PeerError", code: "SEQ_RANGE" });
});

test("profile 2, 3: a name stands for one image, one key and one cut, for good", () => {
  const ledger = new ReleaseLedger(zmeshCrypto);
  const content = (other: Partial<ReleaseInput> = {}, options = {}) =>
    packRelease({ ...input, ...other }, options, zmeshCrypto).image;
  const claim = ledger.claim(content()) ?? assert.fail();
  assert.equal(JSON.stringify(claim).includes(toHex(keys.key)), false);
  assert.equal(ledger.claim(content()), undefined);
  const restarted = new ReleaseLedger(zmeshCrypto, ledger.claims);
  for (const one of [ledger, restarted]) {
    const published = { name: "UsageError", code: "NAME_PUBLISHED" };
    assert.throws(() => one.claim(content({ image: counting(1, 100) })), published, "a second image");
    assert.throws(() => one.claim(content({ keys: drawKeys(zmeshCrypto) })), published, "a new key");
    assert.throws(() => one.claim(content({}, { mtuBytes: 64 })), published, "another cut");
    assert.throws(() => one.claim(content({}, { applyAtMs: 5 })), published, "another End under the same key");
    const next = { identity: { ...identity, version: "1.2.4" } };
    assert.throws(() => one.claim(content(next)), { code: "KEYS_REUSED" });
    assert.ok(one.claim(content({ ...next, keys: drawKeys(zmeshCrypto) })));
  }
});

test("profile 2: a name on air that another content has is refused", () => {
  const ledger = new ReleaseLedger(zmeshCrypto, [
    { name: "fefa89093e11", uri: "zdm/sw/A-B-C", digest: "", keysDigest: "", shape: "" },
  ]);
  const { image } = packRelease(input, {}, zmeshCrypto);
  assert.throws(() => ledger.claim(image), { name: "UsageError", code: "NAME_COLLISION" });
  assert.throws(() => new ReleaseLedger(zmeshCrypto, [], 0).claim(image), {
    name: "EnvironmentError",
    code: "LEDGER_FULL",
  });
  assert.equal(toHex(fromHex("fefa89093e11") ?? assert.fail()), toHex(image.name));
});
