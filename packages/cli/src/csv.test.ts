import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCsvLine, readCsvText } from "@airlift/protocol/api/csv";
import fc from "fast-check";
import { type CsvRecord, decodeCsv } from "./csv.ts";

async function* linesOf(text: string): AsyncGenerator<string> {
  yield* text.split("\n");
}

async function recordsOf(text: string): Promise<CsvRecord[]> {
  const records: CsvRecord[] = [];
  for await (const record of decodeCsv(linesOf(text))) records.push(record);
  return records;
}

test("what was written is read again, whatever it holds (RFC 4180 §2)", async () => {
  const value = fc.string({ unit: fc.constantFrom("a", " ", ",", '"', "\n", "ø", "=", "'") });
  const record = fc.array(value, { minLength: 2, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.array(record, { maxLength: 5 }), async (records) => {
      const text = records.map(encodeCsvLine).join("\n");
      const read = await recordsOf(text);
      assert.deepEqual(
        read.map(({ values, problem }) => [values.map(readCsvText), problem]),
        records.map((values) => [values, undefined]),
      );
    }),
  );
});

test("a line that cannot be read is named and takes no other with it", async () => {
  const read = await recordsOf('a,b\n\n"x"y,"z"\nc,d');
  assert.deepEqual(
    read.map(({ line, values, problem }) => [line, values, problem !== undefined]),
    [
      [1, ["a", "b"], false],
      [3, [], true],
      [4, ["c", "d"], false],
    ],
  );
});
