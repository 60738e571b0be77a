import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { decodeDeltaHeader } from "@airlift/protocol/image/delta";
import { imageInMemory } from "@airlift/protocol/image/reader";
import { concat } from "@airlift/protocol/lib/bytes";
import { decodeZstdDelta, encodeZstdDelta } from "./zstd-delta.ts";

/** Octets that nothing compresses, the same in every run. */
function noise(length: number, seed: number): Uint8Array {
  let state = seed >>> 0;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
}

const BASE = noise(300_000, 1);
const IMAGE = concat([BASE.subarray(1_000, 200_000), noise(500, 2), BASE.subarray(150_000)]);

async function decode(base: Uint8Array, delta: Uint8Array): Promise<Uint8Array> {
  const found: Uint8Array[] = [];
  for await (const piece of decodeZstdDelta(base, imageInMemory(delta), decodeDeltaHeader(delta))) found.push(piece);
  return concat(found);
}

test("a delta makes the new image from the old one, and is small where they are alike", async () => {
  const delta = encodeZstdDelta(BASE, IMAGE);
  assert.ok(delta.length < 2_000, `${delta.length} octets`);
  assert.deepEqual(await decode(BASE, delta), IMAGE);
});

test("an empty old image, and an empty new one", async () => {
  const empty = new Uint8Array();
  assert.deepEqual(await decode(empty, encodeZstdDelta(empty, BASE)), BASE);
  assert.deepEqual(await decode(BASE, encodeZstdDelta(BASE, empty)), empty);
});

test("a delta for another image is known by its header", async () => {
  const delta = encodeZstdDelta(BASE, IMAGE);
  await assert.rejects(decode(Uint8Array.from(BASE).fill(0, 7, 8), delta), { code: "DELTA_BASE" });
  await assert.rejects(decode(BASE.subarray(1), delta), { code: "DELTA_BASE" });
});

test("a damaged delta is a PeerError, wherever it is damaged", async () => {
  const delta = encodeZstdDelta(BASE, IMAGE);
  for (let at = 96; at < delta.length; at += 13) {
    const damaged = Uint8Array.from(delta);
    damaged[at] = (damaged[at] ?? 0) ^ 0x55;
    await assert.rejects(decode(BASE, damaged), { code: "DELTA_CONTENT" }, `octet ${at}`);
  }
  await assert.rejects(decode(BASE, delta.subarray(0, -10)), { code: "DELTA_CONTENT" });
  const lying = Uint8Array.from(delta).fill(0, 24, 27);
  await assert.rejects(decode(BASE, lying), { code: "DELTA_CONTENT" });
});

test("the zstd program takes our deltas", (context) => {
  const directory = mkdtempSync(join(tmpdir(), "airlift-delta-"));
  try {
    const [old, delta, image] = ["old", "delta.zst", "new"].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(old, BASE);
    writeFileSync(delta, encodeZstdDelta(BASE, IMAGE));
    try {
      execFileSync("zstd", ["-q", "-d", `--patch-from=${old}`, delta, "-o", image], { stdio: "pipe" });
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") return context.skip("zstd is not installed");
      throw error;
    }
    assert.deepEqual(new Uint8Array(readFileSync(image)), IMAGE);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
