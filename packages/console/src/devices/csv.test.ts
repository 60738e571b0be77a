import assert from "node:assert/strict";
import { test } from "node:test";
import { csvLine } from "./csv.ts";

test("commas, quotes and line ends are quoted (RFC 4180 §2)", () => {
  assert.equal(csvLine(["a", "b,c", 'd"e', "f\ng"]), 'a,"b,c","d""e","f\ng"\r\n');
});

test("what a spreadsheet would run is text, a negative number stays one", () => {
  assert.equal(csvLine(["=cmd()", "+1+1", "-87", "@x", "+02:00"]), "'=cmd(),'+1+1,-87,'@x,'+02:00\r\n");
});
