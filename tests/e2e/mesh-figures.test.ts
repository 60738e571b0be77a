/** `airlift mesh plan` and `airlift mesh simulate` as processes. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(import.meta.resolve("@airlift/cli/main"));
const folder = mkdtempSync(join(tmpdir(), "mesh-"));
after(() => rmSync(folder, { recursive: true }));
const image = join(folder, "image");
writeFileSync(image, new Uint8Array(96_000));

function airlift(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [CLI, "mesh", ...args], { encoding: "utf8" });
}

test("plan: airtime, duty, duration and energy of 96 kB to 10,000 devices", () => {
  const args = ["plan", image, "--devices", "10000", "--loss", "0.05", "--band", "868.0-868.6"];
  const { status, stdout } = airlift("--json", ...args);
  assert.equal(status, 0);
  const plan = JSON.parse(stdout);
  assert.equal(plan.dataCount, 2000);
  assert.ok(plan.airtimeMs > 23_000 && plan.airtimeMs < 24_500 && plan.budgetShare < 0.8);
  assert.match(airlift(...args, "--gap", "1000").stdout, /duration +3\d\.\d min/);
});

test("plan: mistakes are usage errors", () => {
  for (const args of [
    ["plan", image, "--devices", "10", "--loss", "1.5"],
    ["plan", image, "--devices", "0", "--loss", "0.05"],
    ["plan", image, "--devices", "10", "--loss", "0.05", "--band", "1-2"],
    ["plan", image, "--devices", "10", "--loss", "0.05", "--mtu", "39"],
    ["plan", join(folder, "nothing"), "--devices", "10", "--loss", "0.05"],
  ])
    assert.equal(airlift(...args).status, 2, args.join(" "));
});

test("simulate --quick: every goal is measured", () => {
  const { status, stdout, stderr } = airlift("--json", "simulate", "--quick", "--seed", "3");
  assert.equal(status, 0, stderr);
  const { goals, ratios } = JSON.parse(stdout);
  assert.ok(goals.length >= 16 && ratios.length === 9);
  for (const goal of goals) assert.ok(goal.measure && goal.ours && goal.goal && typeof goal.isMet === "boolean");
});
