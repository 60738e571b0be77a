/** docs/lessons.md names a test for every lesson, and every name that it gives is that of a test. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../../", import.meta.url);
const TEXT = readFileSync(new URL("docs/lessons.md", ROOT), "utf8");

test("every lesson has a line", () => {
  const numbers = [...TEXT.matchAll(/^\| (\d+) \|/gm)].map(([, number]) => Number(number));
  assert.deepEqual(
    numbers,
    Array.from({ length: 14 }, (_, index) => index + 1),
  );
});

test("every test that is named is there, in the file that is named", () => {
  let count = 0;
  for (const [, file = "", names = ""] of TEXT.matchAll(/`([\w./-]+\.test\.ts)`: ((?:"[^"]+"(?:, )?)+)/g)) {
    const source = readFileSync(new URL(file, ROOT), "utf8");
    // A name with a value in it is given up to the value; a table of cases holds its names apart from the call.
    for (const [, name = ""] of names.matchAll(/"([^"]+)"/g)) {
      const isThere = [`test("${name}`, `test(\`${name}`, `lesson: "${name}`].some((text) => source.includes(text));
      assert.ok(isThere, `${file}: ${name}`);
      count += 1;
    }
  }
  assert.ok(count >= 28, `${count} names`);
});
