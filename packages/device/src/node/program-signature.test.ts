import assert from "node:assert/strict";
import { test } from "node:test";
import { imageInMemory } from "@airlift/protocol/image/reader";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { generateSigningKey, loadPublicKey, loadSigningKey } from "@airlift/runtime/crypto";
import { signProgram, verifyProgram } from "./program-signature.ts";

const pair = generateSigningKey();
const key = loadSigningKey(pair.privatePem);
const trust = [loadPublicKey(generateSigningKey().publicPem), loadPublicKey(pair.publicPem)];
const PROGRAM = encodeUtf8('console.log("größer");');
const signed = signProgram(PROGRAM, "2.0.0", key);
const verify = (bytes: Uint8Array, by: Parameters<typeof verifyProgram>[1] = trust) =>
  verifyProgram(imageInMemory(bytes), by);

test("a program that somebody we trust has signed tells its version", async () => {
  assert.deepEqual(await verify(signed), { version: "2.0.0" });
  for (const kind of ["ecdsa-p256", "rsa-2048"] as const) {
    const other = generateSigningKey(kind);
    const bytes = signProgram(PROGRAM, "1.0", loadSigningKey(other.privatePem));
    assert.deepEqual(await verify(bytes, [loadPublicKey(other.publicPem)]), { version: "1.0" });
  }
});

test("any octet that is changed, taken away or put behind makes it untrusted", async () => {
  for (let at = 0; at < signed.length; at += 1) {
    const changed = Uint8Array.from(signed);
    changed[at] = (changed[at] ?? 0) ^ 0x01;
    await assert.rejects(verify(changed), { result: "integrityFailed" }, `octet ${at}`);
    await assert.rejects(verify(signed.subarray(0, at)), { result: "integrityFailed" });
  }
  await assert.rejects(verify(Uint8Array.from([...signed, 0x0a])), { result: "integrityFailed" });
  await assert.rejects(verify(signed, []), { result: "integrityFailed" });
});

test("where unsigned programs are allowed, the version is told when there is one", async () => {
  assert.deepEqual(await verify(PROGRAM, "allow-unsigned"), {});
  assert.deepEqual(await verify(signed, "allow-unsigned"), { version: "2.0.0" });
  assert.deepEqual(await verify(encodeUtf8("x\n//# airlift-version=1.2\n"), "allow-unsigned"), { version: "1.2" });
});

test("what is no version is not signed", () => {
  for (const version of ["", "1 2", "a\nb", "-1"]) {
    assert.throws(() => signProgram(PROGRAM, version, key), { code: "PROGRAM_VERSION" });
  }
});
