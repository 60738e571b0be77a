import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { dtlsCrypto } from "@airlift/runtime/dtls-crypto";
import { concat, encodeUtf8, toHex } from "../lib/bytes.ts";
import { extendedMasterSecret, keyBlock, keysOf, masterSecret, pskPremaster, verifyData } from "./key-schedule.ts";
import { type CipherSuite, suiteByName } from "./suites.ts";

/** P_SHA256 written once more, straight from its definition. */
function prf(secret: Uint8Array, label: string, seed: Uint8Array, length: number): string {
  const hmac = (data: Uint8Array) => new Uint8Array(createHmac("sha256", secret).update(data).digest());
  const whole = concat([encodeUtf8(label), seed]);
  let out = "";
  for (let a = hmac(whole); out.length < 2 * length; a = hmac(a)) out += toHex(hmac(concat([a, whole])));
  return out.slice(0, 2 * length);
}

const fill = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
const [clientRandom, serverRandom, secret] = [fill(32, 1), fill(32, 2), fill(48, 3)];
const ccm = suiteByName("TLS_PSK_WITH_AES_128_CCM_8") as CipherSuite;
const cbc = suiteByName("TLS_PSK_WITH_AES_128_CBC_SHA256") as CipherSuite;

test("RFC 4279 §2: zeros as long as the key, then the key, each with its length; RFC 5489 §2: the shared point instead", () => {
  assert.equal(toHex(pskPremaster(Uint8Array.of(0xaa, 0xbb))), "000200000002aabb");
  assert.equal(toHex(pskPremaster(Uint8Array.of(0xaa), Uint8Array.of(1, 2, 3))), "00030102030001aa");
});

test("RFC 5246 §8.1, §6.3, §7.4.9 and RFC 7627 §4: each secret with its label and seed", () => {
  const randoms = [clientRandom, serverRandom];
  assert.equal(toHex(masterSecret(dtlsCrypto, secret, randoms)), prf(secret, "master secret", concat(randoms), 48));
  const extended = extendedMasterSecret(dtlsCrypto, secret, fill(32, 9));
  assert.equal(toHex(extended), prf(secret, "extended master secret", fill(32, 9), 48));
  const block = keyBlock(dtlsCrypto.createHmac(secret), ccm, { clientRandom, serverRandom });
  assert.equal(toHex(block), prf(secret, "key expansion", concat([serverRandom, clientRandom]), 40));
  const transcript = [fill(10, 4), fill(20, 5)];
  const proof = verifyData(dtlsCrypto.createHmac(secret), "server", dtlsCrypto.sha256(transcript));
  assert.equal(toHex(proof), prf(secret, "server finished", dtlsCrypto.sha256(transcript), 12));
});

test("RFC 5246 §5: the PRF with SHA-256 gives the published test vector", () => {
  // Published with the IETF TLS working group's mailing list in 2009: secret, label "test label", seed, 100 octets.
  const octets = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
  const key = octets("9bbe436ba940f017b17652849a71db35");
  const seed = octets("a0ba9f936cda311827a6f796ffd5198c");
  assert.equal(prf(key, "test label", seed, 16), "e3f229ba727be17b8d122620557cd453");
});

test("RFC 5246 §6.3: MAC keys, keys, nonces, the client's first", () => {
  const block = Uint8Array.from({ length: 96 }, (_, i) => i);
  const client = keysOf(block, ccm, "client");
  const server = keysOf(block, ccm, "server");
  assert.deepEqual([client.key[0], server.key[0], client.iv[0], server.iv[0]], [0, 16, 32, 36]);
  assert.deepEqual([client.key.length, client.iv.length, client.macKey.length], [16, 4, 0]);
  const [macClient, macServer] = [keysOf(block, cbc, "client"), keysOf(block, cbc, "server")];
  assert.deepEqual([macClient.macKey[0], macServer.macKey[0], macClient.key[0], macServer.key[0]], [0, 32, 64, 80]);
});
