import assert from "node:assert/strict";
import { test } from "node:test";
import { generateSigningKey, imageCrypto, loadPublicKey, loadSigningKey } from "@airlift/runtime/crypto";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import fc from "fast-check";
import { fromHex, toHex } from "../lib/bytes.ts";
import { decodeItem, encodeItem, signSign1, verifySign1 } from "./cose.ts";
import {
  blockCountOf,
  blockDigestOf,
  blockOfSeq,
  decodeManifest,
  encodeManifest,
  isBlockGenuine,
  type Manifest,
  seqsOfBlock,
  signManifest,
  verifyManifest,
} from "./manifest.ts";
import { assertTarget, type TargetDevice } from "./target.ts";

const manifest: Manifest = {
  manufacturer: "ACME",
  model: "TH-100",
  hardwareRevisions: ["A", "B2"],
  version: "1.2.3",
  securityCounter: 4,
  imageDigest: new Uint8Array(32).fill(1),
  lengthBytes: 100,
  chunkBytes: 48,
  dataCount: 3,
  blockDigests: new Uint8Array(16).fill(2),
  gapMs: 40,
};
const keyPair = (kind: "ed25519" | "ecdsa-p256" | "ecdsa-p384") => {
  const { privatePem, publicPem } = generateSigningKey(kind);
  return { privateKey: loadSigningKey(privatePem), publicKey: loadPublicKey(publicPem) };
};
const trust = (...keys: ReturnType<typeof loadPublicKey>[]) => ({ keys, crypto: imageCrypto });
const refusal = (code: string) => ({ name: "PeerError", code });

test("profile 6: the manifest is a map by number, in deterministic form", () => {
  const expected = [
    "ab",
    "01 64 41434d45",
    "02 66 54482d313030",
    "03 82 6141 624232",
    "04 65 312e322e33",
    "05 04",
    `06 5820 ${"01".repeat(32)}`,
    "07 1864",
    "08 1830",
    "09 03",
    `0a 50 ${"02".repeat(16)}`,
    "0b 1828",
  ];
  assert.equal(toHex(encodeManifest(manifest)), expected.join("").replaceAll(" ", ""));
  for (const one of [manifest, { ...manifest, baseVersion: "1.2.2", hardwareRevisions: [] }])
    assert.deepEqual(decodeManifest(encodeManifest(one)), one);
});

test("profile 6: signed with Ed25519 or ES256, and only by whom we trust", () => {
  const stranger = keyPair("ed25519");
  for (const kind of ["ed25519", "ecdsa-p256"] as const) {
    const { privateKey, publicKey } = keyPair(kind);
    for (let i = 0; i < 20; i += 1) {
      const signed = signManifest({ ...manifest, gapMs: i }, privateKey);
      assert.deepEqual(verifyManifest(signed, trust(stranger.publicKey, publicKey)), { ...manifest, gapMs: i });
      assert.throws(() => verifyManifest(signed, trust(stranger.publicKey)), refusal("COSE_SIGNATURE"));
      assert.throws(() => verifyManifest(signed, trust()), refusal("COSE_SIGNATURE"));
    }
  }
  assert.throws(() => signManifest(manifest, keyPair("ecdsa-p384").privateKey), {
    name: "UsageError",
    code: "KEY_KIND",
  });
});

test("RFC 9052 §4.2: the form on the wire, EdDSA", () => {
  const { privateKey } = keyPair("ed25519");
  assert.match(toHex(signSign1(Uint8Array.of(1, 2, 3), privateKey)), /^d28443a10127a0430102035840[0-9a-f]{128}$/);
});

test("RFC 9052 §4.4: what another implementation signed is understood", () => {
  // Keys of RFC 8032 §7.1, test 1, and RFC 6979 §A.2.5; signed over the Sig_structure by the Python package `cryptography`.
  const signers = [
    {
      kind: "ed25519",
      alg: "27",
      spki: "302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      signature:
        "6354488f9f290e36cd80e23762e664a5cb03e4267c66a8cffaef7c66d89a40bf2cbb8222432a08e5ee410d8b540c6931d26fb6af673f7e2100655d8bae765c04",
    },
    {
      kind: "ecdsa-p256",
      alg: "26",
      spki: "3059301306072a8648ce3d020106082a8648ce3d0301070342000460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
      signature:
        "f67f1f7cc2c717eba5ec0109e48b8aac57d5baa8df564c8029f48571a9489152d69a2ca64b825ea96071ffc4b8dcacdd51cab4fa84b8ff0806498970e0a6db46",
    },
  ] as const;
  const payload = Buffer.from("This is the content.");
  for (const { kind, alg, spki, signature } of signers) {
    const signed = fromHex(`d28443a101${alg}a054${payload.toString("hex")}5840${signature}`) ?? assert.fail();
    const key = fromHex(spki) ?? assert.fail();
    const verified = verifySign1(signed, trust({ kind, spki: key, embedded: key }));
    assert.equal(Buffer.from(verified.payload).toString(), "This is the content.");
  }
});

test("RFC 9053 §2.1: r and s as 32 octets each, whatever DER makes of them", () => {
  const { publicKey } = keyPair("ecdsa-p256");
  const cases: [raw: string, der: string][] = [
    [
      "80".padEnd(64, "0") + "7f".padEnd(64, "1"),
      `3045${"022100"}${"80".padEnd(64, "0")}${"0220"}${"7f".padEnd(64, "1")}`,
    ],
    ["1".padStart(64, "0") + "ff".padStart(64, "0"), "3007020101020200ff"],
  ];
  for (const [raw, der] of cases) {
    const key = { publicKey, createSigner: () => ({ update: () => {}, sign: () => fromHex(der) ?? assert.fail() }) };
    const signed = signSign1(Uint8Array.of(1), key);
    assert.equal(toHex(signed.subarray(-64)), raw);
    const seen: string[] = [];
    const verify = (signature: Uint8Array) => seen.push(toHex(signature)) > 0;
    const crypto = { ...imageCrypto, createVerifier: () => ({ update: () => {}, verify }) };
    verifySign1(signed, { keys: [publicKey], crypto });
    assert.deepEqual(seen, [der]);
  }
});

test("profile 6: one flipped bit anywhere and nothing is believed", () => {
  const { privateKey, publicKey } = keyPair("ed25519");
  const signed = signManifest(manifest, privateKey);
  for (let at = 0; at < signed.length; at += 1) {
    const flipped = signed.slice();
    flipped[at] = (flipped[at] ?? 0) ^ 0x10;
    assert.throws(() => verifyManifest(flipped, trust(publicKey)), { name: "PeerError" }, `${at}`);
    assert.throws(() => verifyManifest(signed.subarray(0, at), trust(publicKey)), refusal("COSE_FORMAT"));
  }
});

test("profile 6: a well signed manifest that is not in its one form, or cannot be, is refused", () => {
  const { privateKey, publicKey } = keyPair("ed25519");
  const judge = (hex: string) => () =>
    verifyManifest(signSign1(fromHex(hex) ?? assert.fail(), privateKey), trust(publicKey));
  const good = toHex(encodeManifest(manifest));
  const wrong: Record<string, string> = {
    "not a map": "80",
    "octets behind": `${good}00`,
    "unknown field": good.replace(/^ab/, "ac").concat("0d00"),
    "a text for a number": `ab6131${good.slice(4)}`,
    "a field twice, once as text": `ac61316141${good.slice(2)}`,
    "an array as a key": `ac8001${good.slice(2)}`,
    "missing field": `aa${good.slice(2, -6)}`,
    "long form of a number": good.replace("0504", "051804"),
    "fields out of order": `ab${good.slice(14, 30)}${good.slice(2, 14)}${good.slice(30)}`,
    "packets that lie": good.replace("0903", "0904"),
    "a chunk of 44": good.replace("081830", "08182c"),
    "nothing to install": good.replace("071864", "0700").replace("0903", "0900"),
    "text that is no UTF-8": good.replace("41434d45", "41434dff"),
    "a float": good.replace("0504", "05f93c00"),
    "half a digest": good.replace(`0a50${"02".repeat(16)}`, `0a48${"02".repeat(8)}`),
    "a bomb of arrays": "81".repeat(60_000),
    "an unknown tag": "c100",
  };
  for (const [what, hex] of Object.entries(wrong)) assert.throws(judge(hex), refusal("MANIFEST_FORMAT"), what);
  assert.throws(() => verifyManifest(new Uint8Array(65_537), trust(publicKey)), refusal("MANIFEST_FORMAT"));
  assert.throws(() => encodeManifest({ ...manifest, dataCount: 4 }), { name: "UsageError", code: "MANIFEST" });
});

test("COSE: other forms of it are refused with a code", () => {
  const { privateKey, publicKey } = keyPair("ed25519");
  const signed = toHex(signSign1(Uint8Array.of(1), privateKey));
  const judge = (hex: string) => () => verifySign1(fromHex(hex) ?? assert.fail(), trust(publicKey));
  assert.throws(judge(signed.slice(2)), refusal("COSE_FORMAT"), "no tag");
  assert.throws(judge(signed.replace("a0", "a1044131")), refusal("COSE_FORMAT"), "a key id nobody signed");
  assert.throws(judge(`${signed}00`), refusal("COSE_FORMAT"));
  assert.throws(judge(signed.replace("43a10127", "44a1013822")), refusal("COSE_ALGORITHM"));
  assert.throws(judge(signed.replace("43a10127", "43a10126")), refusal("COSE_SIGNATURE"));
});

test("an item in deterministic form survives, any other octets are refused with the code that was asked for", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      let item: ReturnType<typeof decodeItem>;
      try {
        item = decodeItem(bytes, "X");
      } catch (error) {
        assert.deepEqual({ ...refusal("X") }, { name: (error as Error).name, code: (error as { code: string }).code });
        return;
      }
      assert.deepEqual(encodeItem(item), bytes);
    }),
  );
});

test("profile 6: blocks of 64 ciphertext payloads, and one that was forged is found", () => {
  assert.deepEqual([1, 64, 65, 128].map(blockCountOf), [1, 1, 2, 2]);
  assert.deepEqual([1, 64, 65].map(blockOfSeq), [0, 0, 1]);
  assert.deepEqual(
    [seqsOfBlock(0, 70), seqsOfBlock(1, 70)],
    [
      [1, 64],
      [65, 70],
    ],
  );
  const payloads = [new Uint8Array(48).fill(1), new Uint8Array(48).fill(2), new Uint8Array(48).fill(3)];
  const genuine = { ...manifest, blockDigests: blockDigestOf(payloads, zmeshCrypto) };
  assert.equal(isBlockGenuine(genuine, { block: 0, payloads }, zmeshCrypto), true);
  payloads[1] = new Uint8Array(48).fill(4);
  assert.equal(isBlockGenuine(genuine, { block: 0, payloads }, zmeshCrypto), false);
  assert.equal(isBlockGenuine(genuine, { block: 1, payloads }, zmeshCrypto), false);
});

test("profile 4: the target is checked by what is signed, and the security counter only rises", () => {
  const device: TargetDevice = {
    manufacturer: "ACME",
    model: "TH-100",
    hardwareRevision: "B2",
    version: "1.0.0",
    securityCounter: 4,
  };
  assertTarget(manifest, device);
  assertTarget({ ...manifest, hardwareRevisions: [], baseVersion: "1.0.0" }, device);
  assertTarget({ ...manifest, model: "cafe\u0301" }, { ...device, model: "caf\u00e9" });
  assert.throws(() => assertTarget(manifest, { ...device, manufacturer: "Acme" }), refusal("TARGET_MANUFACTURER"));
  assert.throws(() => assertTarget(manifest, { ...device, model: "TH-200" }), refusal("TARGET_MODEL"));
  assert.throws(() => assertTarget(manifest, { ...device, hardwareRevision: "B" }), refusal("TARGET_HARDWARE"));
  assert.throws(() => assertTarget({ ...manifest, baseVersion: "0.9" }, device), refusal("TARGET_BASE_VERSION"));
  assert.throws(() => assertTarget(manifest, { ...device, securityCounter: 5 }), refusal("TARGET_DOWNGRADE"));
});
