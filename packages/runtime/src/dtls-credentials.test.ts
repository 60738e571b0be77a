import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { clientCredentials, lookUp, serverCredentials } from "./dtls-credentials.ts";

const pair = (namedCurve: string) =>
  generateKeyPairSync("ec", {
    namedCurve,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
const key = new Uint8Array(16).fill(1);
const REFUSED = { name: "UsageError", code: "DTLS_CREDENTIAL" };

test("what cannot be used is a mistake of the caller, and no key is in the message", () => {
  const other = pair("secp384r1").privateKey;
  const cases = [
    () => serverCredentials({ rpk: { keyPem: "nonsense" } }),
    () => serverCredentials({ rpk: { keyPem: other } }),
    () => serverCredentials({ trust: { certificatesPem: "no certificate" } }),
    () =>
      serverCredentials({
        certificate: { chainPem: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", keyPem: other },
      }),
    () => clientCredentials({}),
    () => clientCredentials({ rpk: { keyPem: pair("prime256v1").privateKey } }),
    () => clientCredentials({ trust: { rpkPem: "none" } }),
  ];
  for (const run of cases) {
    assert.throws(run, REFUSED);
    assert.throws(run, (error: Error) => !error.message.includes("BEGIN"));
  }
});

test("a server asks clients for what it can check", () => {
  const rpk = () => "pump";
  assert.deepEqual(serverCredentials({ psk: () => key }).clientKinds, []);
  assert.deepEqual(serverCredentials({ trust: { rpk } }).clientKinds, ["rpk"]);
  assert.equal(serverCredentials({ psk: () => key }).hasPsk, true);
});

test("a raw key is known by its SubjectPublicKeyInfo on both sides", () => {
  const { privateKey, publicKey } = pair("prime256v1");
  const server = serverCredentials({ rpk: { keyPem: privateKey } });
  const client = clientCredentials({ trust: { rpkPem: publicKey } });
  assert.deepEqual([server.rpk?.spki], client.serverKeys);
});

test("a look-up answers at once or later, and whatever goes wrong in it is an answer too", async () => {
  const asked = { kind: "psk", identity: "device-7" } as const;
  assert.deepEqual(lookUp({ psk: () => key }, asked), { kind: "psk", key });
  assert.deepEqual(await lookUp({ psk: async () => key }, asked), { kind: "psk", key });
  assert.deepEqual(lookUp({}, asked), { kind: "psk", key: undefined });
  assert.deepEqual(lookUp({ psk: () => new Uint8Array() }, asked), { kind: "psk", key: undefined });
  const thrown = () => {
    throw new Error("the store is away");
  };
  assert.deepEqual(lookUp({ psk: thrown }, asked), { kind: "failed" });
  assert.deepEqual(await lookUp({ psk: async () => thrown() }, asked), { kind: "failed" });
});
