import assert from "node:assert/strict";
import { test } from "node:test";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import fc from "fast-check";
import { toHex } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";
import { contentUri, isName, manifestUri, nameOf, packetUri, parseContentUri } from "./content-name.ts";

const identity = { manufacturer: "ACME", model: "TH-100", version: "1.2.3" };
const part = fc.string({ minLength: 1, maxLength: 12, unit: "binary" }).filter((text) => text.isWellFormed());

test("profile 2: the published name", () => {
  assert.equal(contentUri(identity), "zdm/sw/ACME-TH%2D100-1.2.3");
  assert.equal(toHex(nameOf(contentUri(identity), zmeshCrypto)), "fefa89093e11");
  assert.equal(manifestUri(contentUri(identity)), "zdm/sw/ACME-TH%2D100-1.2.3/manifest");
  assert.equal(packetUri(contentUri(identity), 7), "zdm/sw/ACME-TH%2D100-1.2.3/7");
});

test("profile 2: composed and decomposed letters are one name, upper-case hex, nothing but unreserved octets", () => {
  const [composed, decomposed] = ["caf\u00e9", "cafe\u0301"].map((model) => contentUri({ ...identity, model }));
  assert.equal(composed, "zdm/sw/ACME-caf%C3%A9-1.2.3");
  assert.equal(composed, decomposed);
  assert.equal(contentUri({ ...identity, version: "a/b c%~_." }), "zdm/sw/ACME-TH%2D100-a%2Fb%20c%25~_.");
});

test("profile 2: any three texts survive their URI, and no two of them share it", () => {
  fc.assert(
    fc.property(part, part, part, (manufacturer, model, version) => {
      const texts = { manufacturer, model, version };
      const normal = { manufacturer: manufacturer.normalize(), model: model.normalize(), version: version.normalize() };
      assert.deepEqual(parseContentUri(contentUri(texts)), normal);
    }),
  );
});

test("profile 2: what is no text, empty or far too long has no name", () => {
  assert.throws(() => contentUri({ ...identity, model: "" }), { name: "UsageError", code: "NAME_PART" });
  assert.throws(() => contentUri({ ...identity, model: "\ud800" }), { code: "NAME_PART" });
  assert.throws(() => contentUri({ ...identity, model: "-".repeat(200) }), { code: "NAME_LENGTH" });
});

test("profile 2: a URI spelled otherwise is refused", () => {
  const wrong = [
    "a-b",
    "a-b-c-d",
    "a--c",
    "%2d-b-c",
    "%41-b-c",
    "%FF-b-c",
    "%-b-c",
    "cafe%CC%81-b-c",
    "a-b-c/manifest",
  ];
  for (const tail of [...wrong, "\u0958".repeat(1), "%E0%A5%98-b-c"])
    assert.throws(() => parseContentUri(`zdm/sw/${tail}`), { name: "PeerError", code: "NAME_URI" }, tail);
  assert.throws(() => parseContentUri("zdm/hw/a-b-c"), { code: "NAME_URI" });
});

test("profile 2: no name of base254 has an octet that a network reserves; the plain hash has", () => {
  let reserved = 0;
  for (let i = 0; i < 4000; i += 1) {
    assert.ok(isName(nameOf(`zdm/sw/A-B-${i}`, zmeshCrypto)), `${i}`);
    const plain = nameOf(`zdm/sw/A-B-${i}`, zmeshCrypto, "sha256-48");
    assert.ok(isName(plain, "sha256-48"));
    if (plain.includes(0) || plain.includes(0xff)) reserved += 1;
  }
  assert.ok(reserved > 100 && reserved < 280, `${reserved} of 4000`);
  assert.equal(isName(new Uint8Array(6)), false);
  assert.equal(isName(new Uint8Array(5), "sha256-48"), false);
});

test("whatever is parsed, only PeerError is thrown", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      try {
        parseContentUri(`zdm/sw/${text}`);
      } catch (error) {
        assert.ok(error instanceof PeerError);
      }
    }),
  );
});
