import assert from "node:assert/strict";
import { test } from "node:test";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { decodeOnboarding, deviceNameOf, encodeOnboarding } from "./onboarding.ts";

const KEY = "00112233445566778899AABBCCDDEEFF";
const IV = "010203040506070809";

test("a label says who the device is and what it shares with the network, and comes back the same", () => {
  const read = decodeOnboarding(` ZMESH:1:TH-100.7:${KEY}:${IV}\n`, zmeshCrypto);
  assert.equal(read.deviceId, "TH-100.7");
  assert.deepEqual(read.channel.name, deviceNameOf("TH-100.7", zmeshCrypto));
  assert.deepEqual(decodeOnboarding(encodeOnboarding(read), zmeshCrypto), read);
});

test("no label is written that could not be read", () => {
  const channel = { name: deviceNameOf("a", zmeshCrypto), key: new Uint8Array(16), iv: new Uint8Array(9) };
  for (const deviceId of ["", ".", "a b", "x".repeat(65)])
    assert.throws(() => encodeOnboarding({ deviceId, channel }), { code: "ONBOARDING" }, deviceId);
});

test("a label that is wrong is refused, and the refusal does not repeat the key", () => {
  const wrong = [
    "",
    `WIFI:1:a:${KEY}:${IV}`,
    `ZMESH:2:a:${KEY}:${IV}`,
    `ZMESH:1::${KEY}:${IV}`,
    `ZMESH:1:..:${KEY}:${IV}`,
    `ZMESH:1:a b:${KEY}:${IV}`,
    `ZMESH:1:a:${KEY}00:${IV}`,
    `ZMESH:1:a:${KEY}:${IV}0`,
    `ZMESH:1:a:${KEY}:${IV}:FE00FF010203`,
    `ZMESH:1:a:${KEY}:${IV}:FE0102030405:more`,
  ];
  for (const text of wrong)
    assert.throws(
      () => decodeOnboarding(text, zmeshCrypto),
      (error: Error & { code?: string }) => error.code === "ONBOARDING" && !error.message.includes("0011"),
      text,
    );
});
