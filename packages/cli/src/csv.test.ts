import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCsvLine, readCsvText } from "@airlift/protocol/api/csv";
import fc from "fast-check";
import { type CsvRecord, decodeCsv, readCsvLine } from "./csv.ts";
import { fileLines } from "./file-text.ts";

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

test("a line by itself has its values, in quotes or without", () => {
  assert.deepEqual(readCsvLine('"pump-1","a,b",00').values, ["pump-1", "a,b", "00"]);
  assert.match(readCsvLine('"open').problem ?? "", /value 1 has a quote/);
});

test("a file that cannot be read by lines is told in plain words", async () => {
  const read = async (file: string) => {
    for await (const _ of fileLines(file));
  };
  await assert.rejects(read("/none.csv"), { code: "FILE", message: "/none.csv: there is no such file" });
  await assert.rejects(read("/"), { code: "FILE", message: "/: this is a folder, not a file" });
});
