/** docs/dtls.md says what the tests show, no more and no less. UPDATE_DOCS=1 writes the table anew. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { allTests, CLAUSES, clausesIn, formatClauses, testsOf } from "./dtls-clauses.ts";

const FILE = new URL("../../docs/dtls.md", import.meta.url);
const PLACE = /(<!-- clauses -->\n)[\s\S]*?(<!-- \/clauses -->)/;

test("every clause has a test that names it, and every test names clauses of the list", () => {
  const tests = allTests();
  for (const clause of CLAUSES) assert.ok(testsOf(clause, tests).length > 0, `${clause.rfc} §${clause.clause}`);
  const listed = CLAUSES.map(({ rfc, clause }) => `${rfc} §${clause}`);
  for (const { name } of tests)
    for (const found of clausesIn(name)) assert.ok(listed.includes(found), `${name}: ${found}`);
});

test("the table of clauses is that of the tests there are", () => {
  const found = readFileSync(FILE, "utf8");
  const wanted = found.replace(PLACE, (_, begin, end) => `${begin}\n${formatClauses()}\n\n${end}`);
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(FILE, wanted);
  else assert.equal(found, wanted, "run this test with UPDATE_DOCS=1");
});
