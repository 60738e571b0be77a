import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readCampaign } from "@airlift/protocol/api/campaign-file";
import { compilePolicy } from "@airlift/server/campaign/policy";
import { readCampaignFile } from "./campaign-file.ts";
import { endingOf, RefusedError } from "./failure.ts";

const EXAMPLE = readFileSync(join(import.meta.dirname, "../../../docs/guide/examples/campaign.yaml"), "utf8");

const campaignIn = (text: string) => readCampaign(readCampaignFile(text).content);

test("the guide's example is read, and compiles", () => {
  const { spec, mistakes } = campaignIn(EXAMPLE);
  assert.deepEqual(mistakes, []);
  const image = { manufacturer: "Acme", model: "pump", version: "2.0.0", hardware: [], sizeBytes: 1 };
  const policy = compilePolicy(
    spec,
    (id) => ({ ...image, id }),
    () => 60,
  );
  assert.equal(policy.waves.length, 3);
  assert.equal(policy.apply.blackouts[0]?.from, "2026-12-24");
});

const refusal = (...problems: readonly { readonly path: string; readonly code: string; readonly message: string }[]) =>
  new RefusedError({ type: "", title: "", status: 422, code: "CAMPAIGN_SPEC", detail: "…", facts: { problems } });

test("every mistake that the server tells is told by its line, in the order of the file", () => {
  const { locate } = readCampaignFile(EXAMPLE);
  const located = locate(
    refusal(
      { path: "caps.inflight", code: "UNKNOWN_MEMBER", message: "there is no such member" },
      { path: "waves.0.soak", code: "MEMBER", message: "no duration" },
      { path: "colour", code: "UNKNOWN_MEMBER", message: "there is no such member" },
    ),
  ) as Error;
  const lineOf = (start: string) => EXAMPLE.split("\n").findIndex((one) => one.trim().startsWith(start)) + 1;
  assert.deepEqual(located.message.split("\n"), [
    "line 1: colour: there is no such member",
    `line ${lineOf("soak: 2h")}: waves.0.soak: no duration`,
    `line ${lineOf("inFlight: 500")}: caps.inflight: there is no such member`,
  ]);
  const other = new RefusedError({ type: "", title: "", status: 403, code: "ROLE_REFUSED", detail: "no" });
  assert.equal(locate(other), other);
});

test("without a file, every mistake is a line of its own", () => {
  const told = endingOf(
    refusal(
      { path: "name", code: "MEMBER", message: "is missing" },
      { path: "", code: "MEMBER", message: "is no list" },
    ),
  );
  assert.deepEqual(told, { exitCode: 2, lines: ["name: is missing (CAMPAIGN_SPEC)", "is no list (CAMPAIGN_SPEC)"] });
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
    const { spec } = campaignIn(`name: a\nimage: ${id}\ntargets: { query: model==Pump }\npriority: 10\n`);
    assert.deepEqual([spec.image, spec.priority], [id, 10]);
  }
});

test("a file without anything in it is called that", () => {
  for (const text of ["", "# later\n"])
    assert.throws(() => readCampaignFile(text), { code: "YAML_SYNTAX", message: "there is nothing in the file" });
});
