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
});

test("each mistake of the YAML is one line with its place", () => {
  const told = (text: string): string => {
    try {
      readCampaignFile(text);
    } catch (error) {
      assert.equal((error as { code: string }).code, "YAML_SYNTAX");
      return (error as Error).message;
    }
    return "";
  };
  const lines = told("name: [a\nimage: b\nimage: c\n").split("\n");
  assert.ok(lines.length > 0 && lines.every((line) => /^line \d+, column \d+: ./.test(line)), lines.join("|"));
  assert.match(told("name: a\nname: b\n"), /^line 2, column 1: Map keys must be unique$/);
});

test("an image's id is a text, also where YAML reads a number", () => {
  for (const id of ["0123456789012345", "12345678901234e5", "0123456789abcdef"]) {
    const { spec } = readCampaignFile(`name: a\nimage: ${id}\ntargets: { query: model==Pump }\npriority: 10\n`);
    assert.deepEqual([spec.image, spec.priority], [id, 10]);
  }
});

test("a file without anything in it is called that", () => {
  for (const text of ["", "# later\n"])
    assert.throws(() => readCampaignFile(text), { code: "YAML_SYNTAX", message: "there is nothing in the file" });
});

test("what was expected is told in plain words, all of it at once", () => {
  const text = "image: 12\ntargets: { query: 7 }\ncaps: { inFlight: 3000000 }\npriority: high\nby: post\n";
  assert.throws(() => readCampaignFile(text), {
    message: [
      "line 1: name: is missing: a text is expected",
      "line 1: image: 12 is not a text",
      "line 2: targets.query: 7 is not a text",
      "line 3: caps.inFlight: 3000000 has to be at most 100000",
      'line 4: priority: "high" is not a number',
      'line 5: by: "post" is none of auto, push, pull',
    ].join("\n"),
  });
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
