import assert from "node:assert/strict";
import { test } from "node:test";
import { imageCrypto } from "@airlift/runtime/crypto";
import fc from "fast-check";
import { concat } from "../lib/bytes.ts";
import { inspectImage } from "./inspect.ts";
import { type McubootImageOptions, makeMcubootImage, startMcubootImage } from "./make-mcuboot.ts";
import type { McubootImage } from "./mcuboot.ts";
import { imageInMemory } from "./reader.ts";
import { encodeTlvArea, TLV, TLV_MAGIC } from "./tlv.ts";

const VERSION = { major: 1, minor: 2, revision: 3, build: 4 };
const signing = { crypto: imageCrypto };
const payload = Uint8Array.from({ length: 1000 }, (_, i) => i * 7);

async function inspected(bytes: Uint8Array): Promise<McubootImage> {
  const image = await inspectImage(imageInMemory(bytes));
  assert.equal(image.format, "mcuboot");
  return image as McubootImage;
}

const options: fc.Arbitrary<McubootImageOptions> = fc.record(
  {
    version: fc.record(
      { major: fc.nat(255), minor: fc.nat(255), revision: fc.nat(65535), build: fc.nat(0xffff_ffff) },
      { noNullPrototype: true },
    ),
    headerSizeBytes: fc.integer({ min: 32, max: 4096 }),
    securityCounter: fc.nat(0xffff_ffff),
    dependencies: fc.array(
      fc.record({ imageIndex: fc.nat(255), version: fc.constant(VERSION) }, { noNullPrototype: true }),
      { maxLength: 3 },
    ),
    vendorId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    classId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    hash: fc.constantFrom("sha256" as const, "sha384" as const, "sha512" as const),
  },
  { requiredKeys: ["version"], noNullPrototype: true },
);

test("what goes into an image can be read from it", async () => {
  await fc.assert(
    fc.asyncProperty(options, fc.uint8Array({ maxLength: 300 }), async (wanted, body) => {
      const bytes = makeMcubootImage(body, wanted, signing);
      const image = await inspected(bytes);
      assert.deepEqual(image.version, wanted.version);
      assert.equal(image.securityCounter, wanted.securityCounter);
      assert.deepEqual(image.dependencies, wanted.dependencies ?? []);
      assert.deepEqual(image.vendorId, wanted.vendorId);
      assert.deepEqual(image.classId, wanted.classId);
      assert.equal(image.hash?.algorithm, wanted.hash ?? "sha256");
      assert.equal(image.sizeBytes, bytes.length);
      assert.equal(image.trailingSizeBytes, 0);
      assert.deepEqual(bytes.slice(image.headerSizeBytes, image.headerSizeBytes + image.payloadSizeBytes), body);
    }),
  );
});

test("an image made in pieces is the one made at once", () => {
  const wanted = { version: VERSION, securityCounter: 7 };
  const maker = startMcubootImage(wanted, payload.length, signing);
  for (let offset = 0; offset < payload.length; offset += 77) maker.update(payload.subarray(offset, offset + 77));
  assert.deepEqual(concat([maker.header, payload, maker.finish()]), makeMcubootImage(payload, wanted, signing));
  assert.throws(() => startMcubootImage(wanted, 5, signing).finish(), { code: "IMAGE_PAYLOAD_SIZE" });
});

test("what MCUboot's fields cannot hold is refused before an image exists", () => {
  const bad: [Partial<McubootImageOptions>, string][] = [
    [{ version: { ...VERSION, minor: 256 } }, "VERSION_RANGE"],
    [{ headerSizeBytes: 31 }, "IMAGE_HEADER"],
    [{ headerSizeBytes: 65536 }, "IMAGE_HEADER"],
    [{ securityCounter: -1 }, "IMAGE_OPTION"],
    [{ vendorId: new Uint8Array(15) }, "IMAGE_OPTION"],
    [{ dependencies: [{ imageIndex: 256, version: VERSION }] }, "IMAGE_OPTION"],
    [{ dependencies: Array.from({ length: 5000 }, () => ({ imageIndex: 0, version: VERSION })) }, "IMAGE_TLV_SIZE"],
  ];
  for (const [change, code] of bad) {
    assert.throws(() => makeMcubootImage(payload, { version: VERSION, ...change }, signing), {
      name: "UsageError",
      code,
    });
  }
});

test("a file that does not begin with the magic is raw, an empty one is refused", async () => {
  assert.deepEqual(await inspectImage(imageInMemory(Uint8Array.of(1, 2, 3))), { format: "raw", sizeBytes: 3 });
  await assert.rejects(async () => inspectImage(imageInMemory(new Uint8Array(0))), { code: "IMAGE_EMPTY" });
});

test("an image cut short anywhere is refused as such", async () => {
  const bytes = makeMcubootImage(payload, { version: VERSION, securityCounter: 1 }, signing);
  for (let length = 4; length < bytes.length; length += 1) {
    await assert.rejects(async () => inspectImage(imageInMemory(bytes.subarray(0, length))), {
      name: "PeerError",
      code: "IMAGE_TRUNCATED",
    });
  }
});

test("what follows an image is counted", async () => {
  const bytes = makeMcubootImage(payload, { version: VERSION }, signing);
  const image = await inspected(concat([bytes, new Uint8Array(9)]));
  assert.equal(image.trailingSizeBytes, 9);
  assert.equal(image.sizeBytes, bytes.length);
});

/** An image of one octet whose areas are built by hand. */
function withAreas(records: { plain: [number, number][]; signed?: [number, number][]; claimedBytes?: number }) {
  const area = (magic: number, list: [number, number][]) =>
    encodeTlvArea(
      magic,
      list.map(([type, length]) => ({ type, value: new Uint8Array(length) })),
    );
  const signed = records.signed ? area(TLV_MAGIC.protected, records.signed) : new Uint8Array(0);
  const head = startMcubootImage({ version: VERSION }, 1, signing).header.slice();
  new DataView(head.buffer).setUint16(10, records.claimedBytes ?? signed.length, true);
  return concat([head, Uint8Array.of(0), signed, area(TLV_MAGIC.plain, records.plain)]);
}

test("records in the wrong place, twice, or of the wrong length are refused", async () => {
  const hash: [number, number] = [TLV.sha256, 32];
  const refused = {
    "no digest": withAreas({ plain: [] }),
    "two digests": withAreas({ plain: [hash, [TLV.sha512, 64]] }),
    "a short digest": withAreas({ plain: [[TLV.sha256, 31]] }),
    "a counter that is not signed": withAreas({ plain: [hash, [TLV.securityCounter, 4]] }),
    "a dependency that is not signed": withAreas({ plain: [hash, [TLV.dependency, 12]] }),
    "a vendor's record that is not signed": withAreas({ plain: [hash, [0xa0a0, 1]] }),
    "a digest of itself": withAreas({ plain: [hash], signed: [hash] }),
    "two counters": withAreas({
      plain: [hash],
      signed: [
        [TLV.securityCounter, 4],
        [TLV.securityCounter, 4],
      ],
    }),
    "a counter of 8 octets": withAreas({ plain: [hash], signed: [[TLV.securityCounter, 8]] }),
    "a dependency of 4 octets": withAreas({ plain: [hash], signed: [[TLV.dependency, 4]] }),
    "a signed area the header does not know": withAreas({
      plain: [hash],
      signed: [[TLV.vendorId, 16]],
      claimedBytes: 0,
    }),
    "a header that knows another size": withAreas({ plain: [hash], signed: [[TLV.vendorId, 16]], claimedBytes: 23 }),
    "nine signatures": withAreas({
      plain: [hash, ...Array.from({ length: 9 }, (): [number, number] => [TLV.ed25519, 64])],
    }),
  };
  for (const [what, bytes] of Object.entries(refused)) {
    await assert.rejects(
      async () => inspectImage(imageInMemory(bytes)),
      { name: "PeerError", code: "IMAGE_TLV" },
      what,
    );
  }
});

test("a record that reaches beyond its area is refused", async () => {
  const bytes = makeMcubootImage(payload, { version: VERSION }, signing);
  const { sizeBytes, hash } = await inspected(bytes);
  assert.ok(hash);
  new DataView(bytes.buffer).setUint16(sizeBytes - 32 - 2, 33, true);
  await assert.rejects(async () => inspectImage(imageInMemory(bytes)), { code: "IMAGE_TLV" });
});

test("only the two ends of an image are read to inspect it", async () => {
  const bytes = makeMcubootImage(new Uint8Array(3_000_000), { version: VERSION }, signing);
  let readBytes = 0;
  const { reader, sizeBytes } = imageInMemory(bytes);
  const counted = (offset: number, length: number) => {
    readBytes += length;
    return reader.read(offset, length);
  };
  await inspectImage({ reader: { read: counted }, sizeBytes });
  assert.ok(readBytes < 200, `${readBytes}`);
});
