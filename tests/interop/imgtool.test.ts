/**
 * Images against imgtool, MCUboot's own tool. It is taken from the PATH, or from AIRLIFT_IMGTOOL; `pip install
 * imgtool==2.4.0` brings it. Where it is missing the tests are skipped, except in continuous integration.
 */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { type HashAlgorithm, KEY_KINDS, type KeyKind } from "@airlift/protocol/image/crypto-port";
import { inspectImage } from "@airlift/protocol/image/inspect";
import { makeMcubootImage } from "@airlift/protocol/image/make-mcuboot";
import { imageInMemory } from "@airlift/protocol/image/reader";
import { verifyImage } from "@airlift/protocol/image/verify";
import { formatMcubootVersion, parseMcubootVersion } from "@airlift/protocol/image/version";
import { fromHex, toHex } from "@airlift/protocol/lib/bytes";
import { generateSigningKey, imageCrypto, loadPublicKey, loadSigningKey } from "@airlift/runtime/crypto";

const imgtool = process.env["AIRLIFT_IMGTOOL"] ?? "imgtool";
const skip = isThere() || process.env["CI"] === "true" ? false : "imgtool is not installed";

const folder = mkdtempSync(join(tmpdir(), "airlift-imgtool-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const payload = Uint8Array.from({ length: 5_000 }, (_, i) => i * 31 + (i >> 8));
const vendorId = fromHex("0102030405060708090a0b0c0d0e0f10") ?? new Uint8Array(0);
const VERSION = parseMcubootVersion("1.2.3+4");
const DEPENDENCY = { imageIndex: 1, version: parseMcubootVersion("2.3.4+5") };

function isThere(): boolean {
  try {
    execFileSync(imgtool, ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Runs imgtool; what it printed. Rejects when it fails. */
async function run(...parts: string[]): Promise<string> {
  return (await promisify(execFile)(imgtool, parts)).stdout;
}

function place(name: string, content?: Uint8Array | string): string {
  const path = join(folder, name);
  if (content !== undefined) writeFileSync(path, content);
  return path;
}

/** imgtool's signature over our payload. */
async function signedByImgtool(name: string, ...parts: string[]): Promise<Uint8Array> {
  const out = place(`${name}.img`);
  const fixed = ["--header-size", "0x40", "--pad-header", "--slot-size", "0x10000", "--align", "8"];
  await run("sign", ...fixed, ...parts, place("payload.bin", payload), out);
  return readFileSync(out);
}

/** Whether imgtool believes these octets. It says so in words; its exit status is no answer in all versions. */
async function isValidForImgtool(bytes: Uint8Array, keyFile: string): Promise<boolean> {
  try {
    return /correctly validated/.test(await run("verify", "--key", keyFile, place("candidate.img", bytes)));
  } catch {
    return false;
  }
}

/** One octet of each part that is signed: fields, fill, payload, signed records, digest, signature. */
async function signedOffsets(bytes: Uint8Array): Promise<number[]> {
  const image = await inspectImage(imageInMemory(bytes));
  assert.equal(image.format, "mcuboot");
  if (image.format !== "mcuboot") return [];
  const tail = image.headerSizeBytes + image.payloadSizeBytes;
  const { signedSizeBytes, sizeBytes } = image;
  return [0, 9, 13, 21, 40, 64, tail - 1, tail + 9, signedSizeBytes - 1, signedSizeBytes + 20, sizeBytes - 20];
}

async function assertOctetsMatter(bytes: Uint8Array, isValid: (bytes: Uint8Array) => Promise<boolean>): Promise<void> {
  assert.ok(await isValid(bytes));
  for (const offset of await signedOffsets(bytes)) {
    const changed = Uint8Array.from(bytes);
    changed[offset] = (changed[offset] ?? 0) ^ 0x10;
    assert.ok(!(await isValid(changed)), `octet ${offset} does not matter`);
  }
}

for (const kind of KEY_KINDS) {
  test(`${kind}: imgtool verifies what we sign`, { skip }, async () => {
    const pair = generateSigningKey(kind);
    const keyFile = place(`ours-${kind}.pub.pem`, pair.publicPem);
    const bytes = makeMcubootImage(
      payload,
      { version: VERSION, headerSizeBytes: 64, securityCounter: 7, dependencies: [DEPENDENCY], vendorId },
      { crypto: imageCrypto, key: loadSigningKey(pair.privatePem) },
    );
    await assertOctetsMatter(bytes, (candidate) => isValidForImgtool(candidate, keyFile));
    const stranger = place("stranger.pem", generateSigningKey(kind).publicPem);
    assert.ok(!(await isValidForImgtool(bytes, stranger)));
  });

  test(`${kind}: we verify what imgtool signs with a key it made`, { skip }, async () => {
    const keyFile = place(`theirs-${kind}.pem`);
    await run("keygen", "--key", keyFile, "--type", kind);
    const key = loadPublicKey(readFileSync(keyFile, "utf8"));
    const bytes = await signedByImgtool(kind, "--key", keyFile, "--version", "1.2.3+4", "--security-counter", "7");
    await assertOctetsMatter(bytes, async (candidate) => {
      const verdict = verifyImage(imageInMemory(candidate), [key], imageCrypto);
      return verdict.then(
        () => true,
        (error) => {
          assert.equal(error.name, "PeerError", String(error));
          return false;
        },
      );
    });
    const stranger = loadPublicKey(generateSigningKey(kind).publicPem);
    await assert.rejects(verifyImage(imageInMemory(bytes), [stranger], imageCrypto), { code: "IMAGE_KEY_UNKNOWN" });
  });
}

test("what imgtool writes into an image, we read", { skip }, async () => {
  const ids = ["--vid", toHex(vendorId), "--cid", "00112233445566778899aabbccddeeff"];
  const bytes = await signedByImgtool(
    "claims",
    ...["--version", "250.251.65000+4000000000", "--security-counter", "4000000000"],
    ...["--dependencies", "(1, 2.3.4+5), (2, 9.8.7)", ...ids],
  );
  const image = await inspectImage(imageInMemory(bytes));
  assert.equal(image.format, "mcuboot");
  if (image.format !== "mcuboot") return;
  assert.equal(formatMcubootVersion(image.version), "250.251.65000+4000000000");
  assert.equal(image.securityCounter, 4_000_000_000);
  assert.deepEqual(image.dependencies, [DEPENDENCY, { imageIndex: 2, version: parseMcubootVersion("9.8.7") }]);
  assert.deepEqual(toHex(image.vendorId ?? payload), toHex(vendorId));
  assert.deepEqual(toHex(image.classId ?? payload), "00112233445566778899aabbccddeeff");
  assert.deepEqual(Buffer.from(bytes.subarray(64, 64 + payload.length)), Buffer.from(payload));
});

test("what we write into an image, imgtool reads", { skip }, async () => {
  const bytes = makeMcubootImage(
    payload,
    { version: VERSION, headerSizeBytes: 64, securityCounter: 258, dependencies: [DEPENDENCY], vendorId },
    { crypto: imageCrypto },
  );
  const printed = await run("dumpinfo", place("ours.img", bytes));
  for (const expected of [
    /version:\s+1\.2\.3\+4/,
    /hdr_size:\s+0x40/,
    /img_size:\s+0x1388/,
    /SEC_CNT \(0x50\)\s+len:\s+0x4\s+data: 0x02 0x01 0x00 0x00/,
    /DEPENDENCY \(0x40\)\s+len:\s+0xc\s+data: 0x01 0x00 0x00 0x00 0x02 0x03 0x04 0x00\s+0x05 0x00 0x00 0x00/,
    /UUID_VID \(0x74\)\s+len:\s+0x10\s+data: 0x01 0x02/,
  ]) {
    assert.match(printed, expected);
  }
});

test("an image of ours is octet for octet that of imgtool, where no chance is in the signature", { skip }, async () => {
  const pair = generateSigningKey("ed25519");
  const keyFile = place("same.pem", pair.privatePem);
  for (const hash of ["256", "512"]) {
    const theirs = await signedByImgtool(
      `same-${hash}`,
      ...["--key", keyFile, "--version", "1.2.3+4", "--security-counter", "7", "--sha", hash],
      ...["--dependencies", "(1, 2.3.4+5)", "--vid", toHex(vendorId)],
    );
    const ours = makeMcubootImage(
      payload,
      {
        version: VERSION,
        headerSizeBytes: 64,
        securityCounter: 7,
        dependencies: [DEPENDENCY],
        vendorId,
        hash: `sha${hash}` as HashAlgorithm,
      },
      { crypto: imageCrypto, key: loadSigningKey(pair.privatePem) },
    );
    assert.deepEqual(Buffer.from(ours), Buffer.from(theirs));
  }
});

test("variants of imgtool: pure, whole key, filled ECDSA signature, unsigned, padded to its slot", {
  skip,
}, async () => {
  const files = new Map<KeyKind, string>();
  for (const kind of ["ed25519", "ecdsa-p256"] as const) {
    const path = place(`variant-${kind}.pem`, generateSigningKey(kind).privatePem);
    files.set(kind, path);
  }
  const keys = [...files.values()].map((path) => loadPublicKey(readFileSync(path, "utf8")));
  const key = (kind: KeyKind) => ["--version", "1.0.0", "--key", files.get(kind) ?? ""];
  for (const parts of [
    [...key("ed25519"), "--pure"],
    [...key("ed25519"), "--public-key-format", "full"],
    [...key("ecdsa-p256"), "--pad-sig"],
  ]) {
    const bytes = await signedByImgtool("variant", ...parts);
    assert.ok((await verifyImage(imageInMemory(bytes), keys, imageCrypto)).signedBy, parts.join(" "));
    await assertOctetsMatter(bytes, (candidate) =>
      verifyImage(imageInMemory(candidate), keys, imageCrypto).then(
        () => true,
        () => false,
      ),
    );
  }
  const unsigned = imageInMemory(await signedByImgtool("unsigned", "--version", "1.0.0"));
  await verifyImage(unsigned, "allow-unsigned", imageCrypto);
  await assert.rejects(verifyImage(unsigned, keys, imageCrypto), { code: "IMAGE_UNSIGNED" });
  const padded = imageInMemory(await signedByImgtool("padded", ...key("ed25519"), "--pad"));
  await assert.rejects(verifyImage(padded, keys, imageCrypto), { code: "IMAGE_TRAILING" });
});
