import assert from "node:assert/strict";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { PageCache } from "./image-source.ts";

const content = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
const fileOf = async (t: TestContext) => {
  const folder = await mkdtemp(join(tmpdir(), "pages-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "image");
  await writeFile(path, content);
  return { path, sizeBytes: content.length, sha256: "0123456789abcdef".repeat(4) };
};
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test("from the second half of a page on, the next page comes by itself", { timeout: 10_000 }, async (t) => {
  const cache = new PageCache({ pageBytes: 100 });
  const source = cache.sourceOf(await fileOf(t));
  await source.read(0, 10);
  assert.ok(source.read(40, 10) instanceof Uint8Array);
  await nextTurn();
  assert.equal(cache.pageCount, 1);
  source.read(60, 10);
  while (cache.pageCount < 2) await nextTurn();
  assert.deepEqual(source.read(100, 10), content.subarray(100, 110));
});

test("memory is bounded, the page used last stays, and readers of one page at once share one read", async (t) => {
  const cache = new PageCache({ pageBytes: 100, capacityBytes: 300 });
  const source = cache.sourceOf(await fileOf(t));
  for (const offset of [0, 200, 400]) await source.read(offset, 1);
  source.read(0, 1);
  const reads = [source.read(600, 1), source.read(601, 1)];
  assert.ok(reads.every((read) => read instanceof Promise));
  await Promise.all(reads);
  assert.equal(cache.pageCount, 3);
  assert.ok(source.read(0, 1) instanceof Uint8Array);
  assert.ok(source.read(200, 1) instanceof Promise);
  await nextTurn();
});

test("a file that shrank or went away is a failure that passes, not wrong bytes", async (t) => {
  const file = await fileOf(t);
  const source = new PageCache({ pageBytes: 100 }).sourceOf(file);
  await truncate(file.path, 950);
  const cannotRead = (error: unknown) => error instanceof EnvironmentError && error.code === "IMAGE_READ";
  await assert.rejects(async () => await source.read(910, 10), cannotRead);
  await rm(file.path);
  await assert.rejects(async () => await source.read(0, 10), cannotRead);
  await writeFile(file.path, content);
  assert.deepEqual(await source.read(0, 10), content.subarray(0, 10));
});
