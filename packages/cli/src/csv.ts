/** Reads comma-separated values (RFC 4180), a line at a time: whoever reads a million lines holds one. */

/** The values of one record, and the number of the line on which it begins, from 1. `problem` when it cannot be read. */
export interface CsvRecord {
  readonly line: number;
  readonly values: readonly string[];
  readonly problem?: string;
}

/** A quoted value may go on over some lines; one that never ends must not swallow the file. */
const LONGEST_RECORD = 64 * 1024;

/** Reads records from lines without their ends. Empty lines are skipped. */
export async function* decodeCsv(lines: AsyncIterable<string>): AsyncGenerator<CsvRecord> {
  let text = "";
  let first = 0;
  let line = 0;
  for await (const next of lines) {
    line += 1;
    if (text === "") first = line;
    text = text === "" ? next.replace(/^\uFEFF/, "") : `${text}\n${next}`;
    if (text === "") continue;
    if (isOpen(text) && text.length < LONGEST_RECORD) continue;
    yield readRecord(text, first);
    text = "";
  }
  if (text !== "") yield readRecord(text, first);
}

/** An odd number of quotes: the last one has no end yet. */
const isOpen = (text: string): boolean => (text.match(/"/g)?.length ?? 0) % 2 === 1;

/** One record that stands on one line. */
export const readCsvLine = (text: string): Omit<CsvRecord, "line"> => readRecord(text, 1);

function readRecord(text: string, line: number): CsvRecord {
  const values: string[] = [];
  const value = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (;;) {
    const found = value.exec(text);
    if (found === null) return { line, values, problem: `value ${values.length + 1} has a quote in the wrong place` };
    values.push(found[1]?.replaceAll('""', '"') ?? found[2] ?? "");
    if (found[3] === "") return { line, values };
  }
}
