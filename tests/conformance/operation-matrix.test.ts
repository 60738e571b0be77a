/** docs/lwm2m.md says what the tests show, no more and no less. UPDATE_DOCS=1 writes the table anew. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { formatMatrix } from "./operation-matrix.ts";

const FILE = new URL("../../docs/lwm2m.md", import.meta.url);
const PLACE = /(<!-- matrix -->\n)[\s\S]*?(<!-- \/matrix -->)/;

test("the conformance matrix is that of the rows that are tested", () => {
  const found = readFileSync(FILE, "utf8");
  const wanted = found.replace(PLACE, (_, begin, end) => `${begin}\n${formatMatrix()}\n\n${end}`);
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(FILE, wanted);
  else assert.equal(found, wanted, "run this test with UPDATE_DOCS=1");
});

test("every test that the document names is there", () => {
  const names = [...readFileSync(FILE, "utf8").matchAll(/`((?:tests|protocol|device|server)\/[\w./-]+\.ts)`/g)];
  assert.ok(names.length > 5);
  for (const [, name = ""] of names) {
    const path = name.startsWith("tests/") ? `../../${name}` : `../../packages/${name}`;
    assert.ok(existsSync(new URL(path, import.meta.url)), name);
  }
});
