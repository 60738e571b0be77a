/**
 * The server against a device on Leshan's client libraries, an implementation in Java that shares nothing with ours.
 * AIRLIFT_LESHAN names the directory of the libraries, as tests/interop/leshan/pom.xml brings them. Where they or Java are
 * missing the tests are skipped, except in continuous integration.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { openUpdateStage } from "../e2e/update-stage.ts";

const LIBRARIES = process.env["AIRLIFT_LESHAN"] ?? "";
const isThere = (LIBRARIES !== "" && existsSync(LIBRARIES) && hasJava()) || process.env["CI"] === "true";
const skip = isThere ? false : "Java, or Leshan's libraries (AIRLIFT_LESHAN), are not installed";

function hasJava(): boolean {
  try {
    execFileSync("java", ["-version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

for (const by of ["pull", "push"] as const)
  test(`Leshan's client is updated by ${by}: State and Result notified, no new registration`, {
    skip,
    timeout: 120_000,
  }, async (t) => {
    const stage = await openUpdateStage();
    t.after(() => stage.close());
    const endpoint = `leshan-${by}`;
    const uri = `coap://127.0.0.1:${stage.server.address.port}`;
    const program = join(import.meta.dirname, "leshan", "LeshanDevice.java");
    const child = spawn("java", ["-cp", join(LIBRARIES, "*"), program, uri, endpoint, "1.1.0", by], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    t.after(async () => {
      child.stdin.end();
      await once(child, "exit");
    });
    const lines: string[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
    const done = await stage.reaches(await stage.update(endpoint));
    assert.equal(done.state, "succeeded", done.sentence);
    assert.equal(done.method, by);
    const digest = createHash("sha256").update(stage.image).digest("hex");
    assert.ok(lines.includes(`image ${stage.image.length} ${digest}`), lines.join("\n"));
    const { exchanges } = stage.stores;
    await exchanges.flush();
    const told = (await exchanges.list(done.id)).map(({ request, answer }) => `${request} ${answer}`);
    assert.ok(told.includes("OBSERVE /5/0/3 2.05"), told.join("\n"));
  });
