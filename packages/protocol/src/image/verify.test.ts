import assert from "node:assert/strict";
import { test } from "node:test";
import { generateSigningKey, imageCrypto, loadPublicKey, loadSigningKey } from "@airlift/runtime/crypto";
import { concat } from "../lib/bytes.ts";
import { KEY_KINDS, type KeyKind, type PublicKey } from "./crypto-port.ts";
import { makeMcubootImage } from "./make-mcuboot.ts";
import { encodeMcubootHeader } from "./mcuboot-header.ts";
import { imageInMemory } from "./reader.ts";
import { encodeTlvArea, TLV, TLV_MAGIC } from "./tlv.ts";
import { type Trust, verifyImage } from "./verify.ts";

const VERSION = { major: 1, minor: 2, revision: 3, build: 0 };
const payload = Uint8Array.from({ length: 70_000 }, (_, i) => i * 13);
const pairs = new Map(KEY_KINDS.map((kind) => [kind, generateSigningKey(kind)]));

const privateKey = (kind: KeyKind) => loadSigningKey(pairs.get(kind)?.privatePem ?? "");
const publicKey = (kind: KeyKind): PublicKey => loadPublicKey(pairs.get(kind)?.publicPem ?? "");
const verify = (bytes: Uint8Array, trust: Trust) => verifyImage(imageInMemory(bytes), trust, imageCrypto);
const signed = (kind: KeyKind, body = payload) =>
  makeMcubootImage(body, { version: VERSION, securityCounter: 7 }, { crypto: imageCrypto, key: privateKey(kind) });

for (const kind of KEY_KINDS) {
  test(`${kind}: what we sign is ours among all trusted keys, and nobody else's`, async () => {
    const bytes = signed(kind);
    const { signedBy, image } = await verify(bytes, KEY_KINDS.map(publicKey));
    assert.equal(signedBy?.kind, kind);
    assert.equal(image.format, "mcuboot");
    const stranger = loadPublicKey(generateSigningKey(kind).publicPem);
    await assert.rejects(verify(bytes, [stranger]), { code: "IMAGE_KEY_UNKNOWN" });
  });

  test(`${kind}: a change in any octet of a small image is refused`, async () => {
    const bytes = signed(kind, Uint8Array.of(1, 2, 3));
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      await assert.rejects(verify(changed, [publicKey(kind)]), { name: "PeerError", code: /^IMAGE_/ }, `octet ${at}`);
    }
  });
}

test("the digest is checked even where unsigned images are allowed", async () => {
  const bytes = makeMcubootImage(payload, { version: VERSION }, { crypto: imageCrypto });
  assert.equal((await verify(bytes, "allow-unsigned")).signedBy, undefined);
  bytes[5000] = 0;
  await assert.rejects(verify(bytes, "allow-unsigned"), { code: "IMAGE_HASH" });
});

test("unsigned images and raw files are refused where a signature is asked for, even with no key to trust", async () => {
  const unsigned = makeMcubootImage(payload, { version: VERSION }, { crypto: imageCrypto });
  for (const trust of [[publicKey("ed25519")], []]) {
    await assert.rejects(verify(unsigned, trust), { code: "IMAGE_UNSIGNED" });
    await assert.rejects(verify(payload, trust), { code: "IMAGE_UNSIGNED" });
  }
  assert.deepEqual(await verify(payload, "allow-unsigned"), { image: { format: "raw", sizeBytes: payload.length } });
  await assert.rejects(verify(signed("ed25519"), []), { code: "IMAGE_KEY_UNKNOWN" });
});

test("octets behind the image are refused", async () => {
  const bytes = concat([signed("ed25519"), new Uint8Array(1)]);
  await assert.rejects(verify(bytes, [publicKey("ed25519")]), { code: "IMAGE_TRAILING" });
});

test("a good digest with another image's signature is refused", async () => {
  for (const kind of KEY_KINDS) {
    const [first, second] = [signed(kind, Uint8Array.of(1)), signed(kind, Uint8Array.of(2))];
    if (first.length !== second.length) continue; // DER signatures differ in length now and then
    const signatureBytes = kind === "ed25519" ? 64 : kind === "rsa-2048" ? 256 : kind === "rsa-3072" ? 384 : 60;
    const mixed = concat([first.subarray(0, -signatureBytes), second.subarray(-signatureBytes)]);
    await assert.rejects(verify(mixed, [publicKey(kind)]), { code: "IMAGE_SIGNATURE" }, kind);
  }
});

/** An image whose unsigned records are made by hand from the octets they cover. */
function handMade(records: (region: Uint8Array) => { type: number; value: Uint8Array }[], flags = 0): Uint8Array {
  const header = encodeMcubootHeader({
    loadAddress: 0,
    headerSizeBytes: 32,
    protectedSizeBytes: 0,
    payloadSizeBytes: payload.length,
    flags,
    version: VERSION,
  });
  const region = concat([header, payload]);
  return concat([region, encodeTlvArea(TLV_MAGIC.plain, records(region))]);
}

const digest = (region: Uint8Array) => {
  const hash = imageCrypto.createHash("sha256");
  hash.update(region);
  return hash.digest();
};
const sign = (kind: KeyKind, message: Uint8Array) => {
  const signer = privateKey(kind).createSigner();
  signer.update(message);
  return signer.sign();
};

test("an Ed25519 signature over the image itself counts only where the image says so", async () => {
  const pure = { type: TLV.signaturePure, value: Uint8Array.of(1) };
  const make = (withMark: boolean) =>
    handMade((region) => [
      ...(withMark ? [pure] : [{ type: TLV.sha256, value: digest(region) }]),
      { type: TLV.ed25519, value: sign("ed25519", region) },
    ]);
  assert.equal((await verify(make(true), [publicKey("ed25519")])).signedBy?.kind, "ed25519");
  await assert.rejects(verify(make(false), [publicKey("ed25519")]), { code: "IMAGE_SIGNATURE" });
});

test("the embedded public key names the key as its hash does, and is not trusted by itself", async () => {
  const bytes = handMade((region) => [
    { type: TLV.sha256, value: digest(region) },
    { type: TLV.publicKey, value: publicKey("ed25519").embedded },
    { type: TLV.ed25519, value: sign("ed25519", digest(region)) },
  ]);
  assert.equal((await verify(bytes, [publicKey("ed25519")])).signedBy?.kind, "ed25519");
  const stranger = loadPublicKey(generateSigningKey().publicPem);
  await assert.rejects(verify(bytes, [stranger]), { code: "IMAGE_KEY_UNKNOWN" });
});

test("one good signature among several suffices", async () => {
  const bytes = handMade((region) => [
    { type: TLV.sha256, value: digest(region) },
    { type: TLV.ed25519, value: new Uint8Array(64) },
    { type: TLV.ecdsa, value: Uint8Array.of(0x30, 0xff, 1) },
    { type: TLV.rsa2048, value: new Uint8Array(3) },
    { type: TLV.ecdsa, value: concat([sign("ecdsa-p256", region), new Uint8Array(2)]) },
  ]);
  assert.equal((await verify(bytes, KEY_KINDS.map(publicKey))).signedBy?.kind, "ecdsa-p256");
  await assert.rejects(verify(bytes, [publicKey("rsa-2048"), publicKey("ed25519")]), { code: "IMAGE_SIGNATURE" });
});

test("an encrypted image cannot be vouched for without its key", async () => {
  const bytes = handMade((region) => [{ type: TLV.sha256, value: digest(region) }], 0x04);
  await assert.rejects(verify(bytes, "allow-unsigned"), { code: "IMAGE_ENCRYPTED" });
});

test("the digest has to go with the key", () => {
  const make = (kind: KeyKind) => () =>
    makeMcubootImage(payload, { version: VERSION, hash: "sha512" }, { crypto: imageCrypto, key: privateKey(kind) });
  assert.throws(make("rsa-2048"), { name: "UsageError", code: "IMAGE_HASH_CHOICE" });
  assert.doesNotThrow(make("ed25519"));
});
