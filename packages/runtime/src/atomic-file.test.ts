import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { writeFileAtomically } from "./atomic-file.ts";

const folder = mkdtempSync(join(tmpdir(), "airlift-file-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("a file is replaced, with its permissions, and nothing is left beside it", async () => {
  const path = join(folder, "key.pem");
  await writeFileAtomically(path, "first", { mode: 0o644 });
  await writeFileAtomically(path, Uint8Array.of(0x32));
  assert.equal(readFileSync(path, "utf8"), "2");
  if (process.platform !== "win32") assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder), ["key.pem"]);
});

test("a failed write leaves the old file and nothing beside it", async () => {
  const path = join(folder, "taken");
  await writeFileAtomically(join(folder, "taken-source"), "x");
  await assert.rejects(writeFileAtomically(join(folder, "absent", "file"), "x"), { code: "ENOENT" });
  await assert.rejects(writeFileAtomically(`${path}/`, "x"));
  assert.deepEqual(readdirSync(folder).sort(), ["key.pem", "taken-source"]);
});
