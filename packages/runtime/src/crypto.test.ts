import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { KEY_KINDS } from "@airlift/protocol/image/crypto-port";
import { generateSigningKey, loadPublicKey, loadSigningKey } from "./crypto.ts";

const pem = (options: Parameters<typeof generateKeyPairSync>[1] = {}, type = "ec") =>
  generateKeyPairSync(type as "ec", options as { namedCurve: string })
    .privateKey.export({ type: "pkcs8", format: "pem" })
    .toString();

test("every kind of key survives its PEM files, and a private file serves for its public half", () => {
  for (const kind of KEY_KINDS) {
    const { privatePem, publicPem } = generateSigningKey(kind);
    assert.equal(loadSigningKey(privatePem).publicKey.kind, kind);
    assert.deepEqual(loadPublicKey(privatePem), loadPublicKey(publicPem));
  }
});

test("what is no signing key says why", () => {
  const { publicPem } = generateSigningKey();
  assert.throws(() => loadSigningKey(publicPem), { name: "UsageError", code: "KEY_PEM" });
  assert.throws(() => loadSigningKey("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"), {
    code: "KEY_PEM",
  });
  assert.throws(() => loadPublicKey("hello"), { code: "KEY_PEM" });
  assert.throws(() => loadSigningKey(pem({ namedCurve: "secp256k1" })), { code: "KEY_KIND" });
  assert.throws(() => loadSigningKey(pem({}, "x25519")), { code: "KEY_KIND" });
  const locked = generateKeyPairSync("ed25519").privateKey.export({
    type: "pkcs8",
    format: "pem",
    cipher: "aes-256-cbc",
    passphrase: "a",
  });
  assert.throws(() => loadSigningKey(locked.toString()), { code: "KEY_ENCRYPTED" });
});
