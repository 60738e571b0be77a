import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { compilePolicy } from "@airlift/server/campaign/policy";
import { readCampaignFile } from "./campaign-file.ts";
import { RefusedError } from "./failure.ts";

const EXAMPLE = readFileSync(join(import.meta.dirname, "../../../docs/guide/examples/campaign.yaml"), "utf8");

test("the guide's example is read, and compiles", () => {
  const { spec } = readCampaignFile(EXAMPLE);
  const image = { manufacturer: "Acme", model: "pump", version: "2.0.0", hardware: [], sizeBytes: 1 };
  const policy = compilePolicy(
    spec,
    (id) => ({ ...image, id }),
    () => 60,
  );
  assert.equal(policy.waves.length, 3);
  assert.equal(policy.apply.blackouts[0]?.from, "2026-12-24");
});

test("every mistake is told, by its place in the file", () => {
  const broken = EXAMPLE.replace("soak: 2h", "soak: two hours").replace("inFlight: 500", "inflight: 500");
  assert.throws(() => readCampaignFile(broken), {
    code: "CAMPAIGN_SPEC",
    message: /^line \d+: waves\.0\.soak: a duration is .*\nline \d+: caps\.inflight: there is no such member/,
  });
  const line = broken.split("\n").findIndex((one) => one.includes("two hours")) + 1;
  assert.throws(() => readCampaignFile(broken), { message: new RegExp(`^line ${line}: `) });
  assert.throws(() => readCampaignFile("name: [a"), { code: "YAML_SYNTAX" });
});

test("what the server refuses is told by its line", () => {
  const problem = { type: "", title: "", status: 422, code: "CAMPAIGN_SPEC" };
  const refused = new RefusedError({ ...problem, detail: "image: there is no image", facts: { path: "image" } });
  const line = EXAMPLE.split("\n").findIndex((one) => one.startsWith("image:")) + 1;
  assert.equal((readCampaignFile(EXAMPLE).locate(refused) as Error).message, `line ${line}: image: there is no image`);
  const other = new RefusedError({ ...problem, code: "ROLE_REFUSED", detail: "no" });
  assert.equal(readCampaignFile(EXAMPLE).locate(other), other);
});

test("a share that leaves devices out is refused", () => {
  assert.throws(() => readCampaignFile(EXAMPLE.replace("devices: remaining", "devices: { percent: 20 }")), {
    message: /waves: some devices are in no wave/,
  });
});
