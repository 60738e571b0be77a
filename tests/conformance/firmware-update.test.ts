/** Nothing of the Firmware Update object's table is without a test: every row and every case is in a test's name. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const HERE = import.meta.dirname;
const names = readdirSync(HERE)
  .filter((file) => file.endsWith(".test.ts"))
  .flatMap((file) => [...readFileSync(`${HERE}/${file}`, "utf8").matchAll(/^ *test\("([^"]+)"/gm)])
  .map(([, name = ""]) => name.split(":")[0] ?? "");

const named = (pattern: RegExp): Set<string> => new Set(names.flatMap((name) => name.match(pattern) ?? []));

test("each row 1 … 42 is named", () => {
  const rows = new Set(names.flatMap((name) => (/^rows? /.test(name) ? (name.match(/\d+/g) ?? []) : [])));
  const missing = Array.from({ length: 42 }, (_, i) => String(i + 1)).filter((row) => !rows.has(row));
  assert.deepEqual(missing, []);
});

test("each restart R1 … R5 is named", () => {
  assert.deepEqual([...named(/^R\d$/)].toSorted(), ["R1", "R2", "R3", "R4", "R5"]);
});

test("each handler is named", () => {
  const handlers = ["openStream", "write", "finish", "reset", "performUpgrade", "confirm", "transmissionFor"];
  assert.deepEqual(
    handlers.filter((handler) => !names.includes(handler)),
    [],
  );
});

test("each of OMA's cases is named", () => {
  const cases = [751, 755, 756, 760, 770, 771, 772, 773, 774, 775, 776, 777, 778, 779].map((id) => `int-${id}`);
  assert.deepEqual([...named(/^int-\d+$/)].toSorted(), cases);
});
