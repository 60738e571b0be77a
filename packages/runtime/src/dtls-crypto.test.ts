import assert from "node:assert/strict";
import { createHash, createHmac, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { dtlsCrypto, dtlsSigningKey } from "./dtls-crypto.ts";

test("RFC 2104 §2: HMAC and SHA-256 are those of the library, for keys and messages of any length, in any parts", () => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(bytes, fc.array(bytes, { maxLength: 4 }), (key, parts) => {
      const whole = Buffer.concat(parts);
      const hmac = dtlsCrypto.createHmac(key);
      for (let i = 0; i < 2; i += 1)
        assert.deepEqual(Buffer.from(hmac(parts)), createHmac("sha256", key).update(whole).digest());
      assert.deepEqual(Buffer.from(dtlsCrypto.sha256(parts)), createHash("sha256").update(whole).digest());
    }),
  );
});

test("random octets are of the length asked for, and never the same", () => {
  const seen = new Set<string>();
  for (let i = 0; i < 1_000; i += 1) {
    for (const length of [6, 32, 100]) {
      const octets = dtlsCrypto.randomBytes(length);
      assert.equal(octets.length, length);
      seen.add(Buffer.from(octets).toString("hex"));
    }
  }
  assert.equal(seen.size, 3_000);
});

test("a point that is not on the curve is no partner, and two that are agree", () => {
  const [a, b] = [dtlsCrypto.createKeyShare(), dtlsCrypto.createKeyShare()];
  assert.deepEqual(a.agree(b.publicPoint), b.agree(a.publicPoint));
  const wrong = b.publicPoint.slice();
  wrong[40] = (wrong[40] ?? 0) ^ 1;
  for (const point of [wrong, new Uint8Array(), new Uint8Array(65), b.publicPoint.slice(1)])
    assert.equal(a.agree(point), undefined);
});

test("signatures of ECDSA on P-256 alone", () => {
  const key = dtlsSigningKey(generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey);
  if (key === undefined) return assert.fail();
  const message = Uint8Array.of(1, 2, 3);
  const verifying = dtlsCrypto.importPublicKey(key.spki);
  assert.ok(verifying?.verify(message, key.sign(message)));
  assert.ok(!verifying?.verify(Uint8Array.of(1, 2, 4), key.sign(message)));
  assert.ok(!verifying?.verify(message, new Uint8Array(70)));
  assert.equal(dtlsSigningKey(generateKeyPairSync("ec", { namedCurve: "secp384r1" }).privateKey), undefined);
  assert.equal(dtlsSigningKey(generateKeyPairSync("ed25519").privateKey), undefined);
  assert.equal(dtlsCrypto.importPublicKey(new Uint8Array(91)), undefined);
});

test("what is no certificate is none", () => {
  assert.equal(dtlsCrypto.parseCertificate(new Uint8Array(100)), undefined);
});
