import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { lockFile } from "./file-lock.ts";

test("a lock is held by one, given back, and taken from the dead", () => {
  const folder = mkdtempSync(join(tmpdir(), "airlift-lock-"));
  const path = join(folder, "lock");
  const lock = lockFile(path);
  assert.throws(
    () => lockFile(path),
    (error) => error instanceof EnvironmentError && error.code === "LOCKED",
  );
  lock.release();
  // Another process takes it and dies without giving it back.
  const source = `import { lockFile } from ${JSON.stringify(join(import.meta.dirname, "file-lock.ts"))}; lockFile(${JSON.stringify(path)}); process.kill(process.pid, "SIGKILL");`;
  assert.equal(spawnSync(process.execPath, ["--input-type=module", "-e", source]).signal, "SIGKILL");
  assert.deepEqual(readdirSync(folder), ["lock"]);
  lockFile(path).release();
  writeFileSync(path, "nonsense");
  lockFile(path).release();
  assert.deepEqual(readdirSync(folder), []);
  rmSync(folder, { recursive: true });
});
