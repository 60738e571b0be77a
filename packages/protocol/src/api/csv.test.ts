import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeCsvLine, readCsvText } from "./csv.ts";

test("commas, quotes and line ends are quoted (RFC 4180 §2)", () => {
  assert.equal(encodeCsvLine(["a", "b,c", 'd"e', "f\ng"]), 'a,"b,c","d""e","f\ng"');
});

test("what a spreadsheet would run is text, a negative number stays one", () => {
  assert.equal(
    encodeCsvLine(["=cmd()", "+1+1", "-87", "@x", "+02:00", "＝1", '=HYPERLINK("http://x","y")']),
    `'=cmd(),'+1+1,-87,'@x,'+02:00,'＝1,"'=HYPERLINK(""http://x"",""y"")"`,
  );
});

test("nothing that is written begins a formula, and what was marked is read again as it was", () => {
  const value = fc.string({ unit: fc.constantFrom("a", "1", "'", "=", "-", "+", "@", "\t", " ") });
  fc.assert(
    fc.property(value, (text) => {
      const written = encodeCsvLine([text]);
      assert.ok(!/^[=+@\t-]/.test(written) || /^[+-]?\d+$/.test(written), written);
      assert.equal(readCsvText(written), text);
    }),
  );
});
