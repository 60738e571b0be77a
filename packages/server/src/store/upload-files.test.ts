import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { UploadFiles } from "./upload-files.ts";

const KEPT_MS = 60_000;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "uploads-"));
});
after(() => rm(folder, { recursive: true }));

const name = { manufacturer: "Example", model: "Sensor", version: "1.0.0", hardware: [] };
const open = () => UploadFiles.open(folder, { maxImageBytes: 1000, uploadCount: 1, keptMs: KEPT_MS });

test("what came of an upload is told as often as it is asked for, also by a server that has started since", async () => {
  const { id } = await (await open()).begin({ name, sizeBytes: 4 });
  await (await open()).append(id, 0, Readable.from([Buffer.from("abcd")]));
  let useCount = 0;
  const use = async (content: Readable) => {
    useCount += 1;
    return { text: (await buffer(content)).toString() };
  };
  const makeFails = async () => await Promise.reject(new Error("no room"));
  await assert.rejects((await open()).take(id, makeFails), /no room/);
  for (let round = 0; round < 3; round += 1) assert.deepEqual(await (await open()).take(id, use), { text: "abcd" });
  assert.equal(useCount, 1);
  assert.deepEqual(await readdir(folder), [`${id}.json`], "its bytes are gone");
});

test("it keeps nobody from uploading, and is forgotten after a while", async () => {
  const uploads = await open();
  const [old = ""] = await readdir(folder);
  const { id } = await uploads.begin({ name, sizeBytes: 4 });
  await assert.rejects(uploads.begin({ name, sizeBytes: 4 }), { code: "TOO_MANY_UPLOADS" });
  const longAgo = new Date(Date.now() - 2 * KEPT_MS);
  for (const file of await readdir(folder)) await utimes(join(folder, file), longAgo, longAgo);
  const next = await uploads.begin({ name, sizeBytes: 4 });
  assert.deepEqual(new Set(await readdir(folder)), new Set([`${next.id}.json`, `${next.id}.bytes`]));
  for (const gone of [old.replace(".json", ""), id])
    await assert.rejects(uploads.get(gone), { code: "UNKNOWN_UPLOAD" });
});
