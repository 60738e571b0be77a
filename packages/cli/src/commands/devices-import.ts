/** `airlift devices-import`: tags and notes of devices from comma-separated values. */

import { readCsvText } from "@airlift/protocol/api/csv";
import { DeviceEdit, type DeviceLines } from "@airlift/protocol/api/schemas";
import { countText } from "@airlift/protocol/lib/count-text";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { Command } from "commander";
import { type CsvRecord, decodeCsv } from "../csv.ts";
import { fileLines } from "../file-text.ts";
import { clientOf, printResult, say, wholeNumber } from "../terminal.ts";
import { printable } from "../text.ts";

const LINES_AT_ONCE = 1000;
/** Those that are read; others may stand beside them. */
const COLUMNS = ["endpoint", "tags", "note"];

export function registerDevicesImport(program: Command): void {
  program
    .command("devices-import <file>")
    .description("set tags and notes from CSV with the columns endpoint, and tags (by spaces) or note or both")
    .option("--from-line <n>", "begin at this line of the file, after one that was broken off", wholeNumber(2))
    .action(async (file: string, { fromLine = 2 }: { readonly fromLine?: number }, command: Command) => {
      const client = clientOf(command);
      const read = new Import(decodeCsv(fileLines(file)));
      let written = 0;
      for await (const batch of read.batches(fromLine)) {
        const unknown = new Set(await client.importDevices(batch.map(({ line: _, ...edit }) => edit)));
        for (const { endpoint, line } of batch)
          if (unknown.has(endpoint)) read.refuse(line, `no device ${endpoint} has registered`);
        written += batch.length - unknown.size;
        say(`line ${batch.at(-1)?.line}: ${countText(written, "device")} written`);
      }
      printResult(
        command,
        { written, refused: read.refused },
        () => `${countText(written, "device")} written, ${read.refused} refused\n`,
      );
      if (read.refused > 0) process.exitCode = 1;
    });
}

type Line = DeviceLines["lines"][number] & { readonly line: number };

class Import {
  refused = 0;
  readonly #records: AsyncGenerator<CsvRecord>;

  constructor(records: AsyncGenerator<CsvRecord>) {
    this.#records = records;
  }

  refuse(line: number, why: string): void {
    this.refused += 1;
    say(printable(`line ${line}: ${why}`));
  }

  /** @throws {UsageError} FILE, CSV_COLUMNS */
  async *batches(fromLine: number): AsyncGenerator<Line[]> {
    const { value: heading } = await this.#records.next();
    const names: readonly string[] = heading === undefined ? [] : heading.values;
    checkColumns(names);
    let batch: Line[] = [];
    for await (const record of this.#records) {
      if (record.line < fromLine) continue;
      const line = this.#read(record, names);
      if (line !== undefined) batch.push(line);
      if (batch.length < LINES_AT_ONCE) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  #read({ line, values, problem }: CsvRecord, names: readonly string[]): Line | undefined {
    const cellOf = (name: string) => {
      const text = values[names.indexOf(name)];
      return text === undefined ? undefined : readCsvText(text);
    };
    const endpoint = cellOf("endpoint") ?? "";
    const tags = cellOf("tags")
      ?.split(" ")
      .filter((tag) => tag !== "");
    const note = cellOf("note");
    const edit = DeviceEdit.safeParse({ ...(tags && { tags }), ...(note !== undefined && { note }) });
    const why = problem ?? (edit.success ? undefined : edit.error.issues[0]?.message);
    if (why === undefined && edit.success && endpoint !== "") return { line, endpoint, ...edit.data };
    this.refuse(line, why ?? "there is no endpoint");
    return undefined;
  }
}

/** @throws {UsageError} CSV_COLUMNS when the heading names no endpoint, nothing else, or one of them twice. */
function checkColumns(names: readonly string[]): void {
  const twice = COLUMNS.find((column) => names.indexOf(column) !== names.lastIndexOf(column));
  if (twice !== undefined) throw new UsageError("CSV_COLUMNS", `the first line names the column ${twice} twice`);
  if (names.includes("endpoint") && (names.includes("tags") || names.includes("note"))) return;
  const found = names.length === 0 ? "there is no line" : `it is ${JSON.stringify(names.join(",").slice(0, 200))}`;
  const hint = names.some((name) => /[;\t]/.test(name)) ? "; values are separated by commas" : "";
  throw new UsageError(
    "CSV_COLUMNS",
    `the first line names the columns, endpoint, and tags or note or both: ${found}${hint}`,
  );
}
