import assert from "node:assert/strict";
import { test } from "node:test";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import fc from "fast-check";
import { fromHex, toHex } from "../lib/bytes.ts";
import { ENC_TYPE, type EncType } from "./chunking.ts";
import { ContentCipher, type ContentKeys, isReleaseIv, manifestIv } from "./content-cipher.ts";

const counting = (from: number, count: number) => Uint8Array.from({ length: count }, (_, i) => from + i);
const keys: ContentKeys = {
  encType: ENC_TYPE.ctr,
  name: fromHex("fefa89093e11") ?? assert.fail(),
  iv: counting(0, 9),
  key: counting(16, 16),
};
const cipher = (encType: EncType, other: Partial<ContentKeys> = {}) =>
  new ContentCipher({ ...keys, encType, ...other }, zmeshCrypto);
const messages = fc.tuple(fc.integer({ min: 0, max: 2 ** 24 - 1 }), fc.uint8Array({ maxLength: 1024 }));

test("profile 3: the published ciphertexts", () => {
  const begin = fromHex("0000006458c932f500000003") ?? assert.fail();
  assert.equal(toHex(cipher(1).seal(0, begin)), "1679ef1a6e3d42ca65cc764d");
  assert.equal(
    toHex(cipher(2).seal(1, counting(0, 40))),
    "e212412268739dd96a702919a88fefca23138d1c277b487d15cbbf791c3bd05b40ca0b15189d02c47e9b10f9a270dd88",
  );
});

test("profile 3: what is sealed opens under its own SEQ; Enc. Type 2 grows by 8 octets, the others by none", () => {
  fc.assert(
    fc.property(messages, ([seq, plain]) => {
      for (const encType of Object.values(ENC_TYPE)) {
        const payload = cipher(encType).seal(seq, plain);
        assert.equal(payload.length, plain.length + (encType === ENC_TYPE.ccm ? 8 : 0));
        assert.deepEqual(cipher(encType).open(seq, payload), plain);
      }
    }),
  );
});

test("profile 3: Enc. Type 2 refuses another key, IV, name, SEQ, a flipped bit and what is shorter than a tag", () => {
  const plain = counting(0, 40);
  const payload = cipher(2).seal(5, plain);
  const refused = { name: "PeerError", code: "CONTENT_TAG" };
  assert.throws(() => cipher(2).open(6, payload), refused);
  for (const other of [{ key: counting(17, 16) }, { iv: counting(1, 9) }, { name: counting(1, 6) }])
    assert.throws(() => cipher(2, other).open(5, payload), refused);
  for (let sizeBytes = 0; sizeBytes < 48; sizeBytes += 1)
    assert.throws(() => cipher(2).open(5, payload.subarray(0, sizeBytes)), refused);
  payload[47] = (payload[47] ?? 0) ^ 1;
  assert.throws(() => cipher(2).open(5, payload), refused);
});

test("profile 6: the manifest's IV differs in the first bit, so no counter block and no nonce comes twice", () => {
  assert.ok(isReleaseIv(keys.iv) && !isReleaseIv(manifestIv(keys.iv)));
  assert.deepEqual(manifestIv(manifestIv(keys.iv)), keys.iv);
  const zeros = new Uint8Array(64);
  const seen = new Set<string>();
  for (const iv of [keys.iv, manifestIv(keys.iv)])
    for (const seq of [0, 1, 2, 2 ** 24 - 1])
      for (const stream of toHex(cipher(1, { iv }).seal(seq, zeros)).match(/.{32}/g) ?? []) seen.add(stream);
  assert.equal(seen.size, 2 * 4 * 4);
});
