import assert from "node:assert/strict";
import { mkdtemp, open, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type TestContext, test } from "node:test";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { ImageFiles } from "./image-files.ts";

const folderOf = async (t: TestContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), "images-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
};

test("what a crash left unfinished is deleted at the next start, what was kept stays", async (t) => {
  const folder = await folderOf(t);
  const files = await ImageFiles.open(folder);
  const kept = await files.receive(Readable.from([Buffer.from("abc")]), 10);
  assert.equal(kept.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  await files.keep(kept);
  await files.receive(Readable.from([Buffer.from("half")]), 10);
  await writeFile(join(folder, "0123.part"), "half");
  await ImageFiles.open(folder);
  assert.deepEqual(await readdir(folder), [kept.sha256]);
});

for (const [reason, code] of [
  ["ENOSPC", "DISK_FULL"],
  ["EDQUOT", "DISK_FULL"],
  ["EIO", "IMAGE_WRITE"],
] as const)
  test(`${reason} while writing is ${code}, and nothing half-written stays`, async (t) => {
    const folder = await folderOf(t);
    const files = await ImageFiles.open(folder);
    const probe = await open(join(folder, "probe"), "w");
    t.mock.method(Object.getPrototypeOf(probe), "writeFile", async () => {
      throw Object.assign(new Error("write failed"), { code: reason });
    });
    await assert.rejects(
      files.receive(Readable.from([Buffer.from("abc")]), 10),
      (error) => error instanceof EnvironmentError && error.code === code && error.facts["reason"] === reason,
    );
    await probe.close();
    assert.deepEqual(await readdir(folder), ["probe"]);
  });
