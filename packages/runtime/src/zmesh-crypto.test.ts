import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex, toHex } from "@airlift/protocol/lib/bytes";
import { zmeshCrypto } from "./zmesh-crypto.ts";

const hex = (text: string): Uint8Array => fromHex(text.replaceAll(" ", "")) ?? assert.fail(text);
const KEY = hex("2b7e1516 28aed2a6 abf71588 09cf4f3c");
const MESSAGE = hex(
  "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51 30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710",
);

test("RFC 4493 §4: the four examples of AES-CMAC", () => {
  const macOf = (sizeBytes: number) => toHex(zmeshCrypto.aes128Cmac(KEY, MESSAGE.subarray(0, sizeBytes)));
  assert.equal(macOf(0), "bb1d6929e95937287fa37d129b756746");
  assert.equal(macOf(16), "070a16b46b4d4144f79bdd9dd04a287c");
  assert.equal(macOf(40), "dfa66747de9ae63030ca32611497c827");
  assert.equal(macOf(64), "51f0bebf7e3b9d92fc49741779363cfe");
});

test("SP 800-38A F.5.1: AES-128-CTR", () => {
  const sealed = zmeshCrypto.aes128Ctr(KEY, hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"), MESSAGE.subarray(0, 32));
  assert.equal(toHex(sealed), "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff");
});

test("RFC 3610 §8, packet vector 1: AES-128-CCM with a tag of 8 octets", () => {
  const parameters = {
    key: hex("c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"),
    nonce: hex("00000003020100a0a1a2a3a4a5"),
    aad: hex("0001020304050607"),
    tagBytes: 8,
  } as const;
  const plain = hex("08090a0b0c0d0e0f101112131415161718191a1b1c1d1e");
  const sealed = zmeshCrypto.aes128CcmSeal(parameters, plain);
  assert.equal(toHex(sealed), "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0");
  assert.deepEqual(zmeshCrypto.aes128CcmOpen(parameters, sealed), plain);
  assert.equal(zmeshCrypto.aes128CcmOpen(parameters, sealed.subarray(0, 7)), undefined);
  assert.equal(zmeshCrypto.aes128CcmOpen({ ...parameters, aad: hex("00") }, sealed), undefined);
});

test("an empty message can be sealed, and tags are compared by length too", () => {
  const parameters = { key: KEY, nonce: new Uint8Array(13), aad: new Uint8Array(9), tagBytes: 6 } as const;
  assert.deepEqual(
    zmeshCrypto.aes128CcmOpen(parameters, zmeshCrypto.aes128CcmSeal(parameters, new Uint8Array(0))),
    new Uint8Array(0),
  );
  assert.ok(zmeshCrypto.isSameTag(hex("0102"), hex("0102")));
  assert.ok(!zmeshCrypto.isSameTag(hex("0102"), hex("0103")) && !zmeshCrypto.isSameTag(hex("0102"), hex("010203")));
  assert.equal(zmeshCrypto.randomBytes(9).length, 9);
});
