/** `airlift device-key import`: many credentials from a file; the same file again adds what is missing. */
import { ImportOutcome } from "@airlift/protocol/api/credentials";
import { readCsvText } from "@airlift/protocol/api/csv";
import type { Command } from "commander";
import { type Client, postOf } from "../client.ts";
import { readCsvLine } from "../csv.ts";
import { fileLines } from "../file-text.ts";
import { clientOf, printResult, say } from "../terminal.ts";
import { printable } from "../text.ts";

/** Below the server's bound on one request, in lines and in octets. */
const BATCH_LINES = 200;
const BATCH_CHARACTERS = 256 * 1024;
const LONGEST_LINE_CHARACTERS = 32 * 1024;

interface Line {
  readonly number: number;
  /** undefined = it cannot be read. */
  readonly item: unknown;
  readonly size: number;
}

interface Refused {
  readonly line: number;
  readonly code: string;
  readonly detail: string;
}

interface Summary {
  added: number;
  unchanged: number;
  readonly refused: Refused[];
}

export function registerDeviceKeyImport(deviceKey: Command): void {
  deviceKey
    .command("import <file>")
    .description("add many from lines of endpoint,identity,hex key[,device|bootstrap], or of JSON")
    .action(async (file: string, _: unknown, command: Command) => {
      const summary: Summary = { added: 0, unchanged: 0, refused: [] };
      const client = clientOf(command);
      for await (const batch of batchesOf(file)) await send(client, batch, summary);
      const { added, unchanged, refused } = summary;
      printResult(command, summary, () => `${added} added, ${unchanged} there already, ${refused.length} refused\n`);
      if (refused.length > 0) process.exitCode = 1;
    });
}

async function send(client: Client, batch: readonly Line[], summary: Summary): Promise<void> {
  const asked = postOf({ items: batch.map(({ item }) => item ?? null) });
  const { items } = await client.call("credentials", ImportOutcome, asked);
  for (const [place, { outcome, code, detail }] of items.entries()) {
    if (outcome !== "refused") {
      summary[outcome] += 1;
      continue;
    }
    const line = batch[place]?.number ?? 0;
    summary.refused.push({ line, code: code ?? "REFUSED", detail: detail ?? "" });
    say(printable(`line ${line}: ${detail}`));
  }
}

async function* batchesOf(file: string): AsyncGenerator<Line[]> {
  let batch: Line[] = [];
  let size = 0;
  for await (const line of linesOf(file)) {
    if (batch.length > 0 && (batch.length >= BATCH_LINES || size + line.size > BATCH_CHARACTERS)) {
      yield batch;
      [batch, size] = [[], 0];
    }
    batch.push(line);
    size += line.size;
  }
  if (batch.length > 0) yield batch;
}

async function* linesOf(file: string): AsyncGenerator<Line> {
  let number = 0;
  for await (const text of fileLines(file)) {
    number += 1;
    const isHead = number === 1 && /^\uFEFF?"?endpoint"?,/i.test(text);
    if (text.trim() === "" || text.startsWith("#") || isHead) continue;
    yield { number, item: itemOf(text.replace(/^\uFEFF/, "")), size: Math.min(text.length, LONGEST_LINE_CHARACTERS) };
  }
}

/** What the server takes; it says what is wrong with the rest. */
function itemOf(text: string): unknown {
  if (text.length > LONGEST_LINE_CHARACTERS) return undefined;
  if (!text.startsWith("{")) {
    // What stands in quotes may have commas in it.
    const { values, problem } = readCsvLine(text);
    if (problem !== undefined) return undefined;
    const [endpoint, identity, key, purpose] = values.map((value) => readCsvText(value.trim()));
    return { endpoint, credential: { kind: "psk", identity, key, ...(purpose && { purpose }) } };
  }
  try {
    const { endpoint, ...credential } = JSON.parse(text) as Record<string, unknown>;
    const kind = "publicKeyPem" in credential ? "rpk" : "certificatePem" in credential ? "x509" : "psk";
    return { endpoint, credential: { kind, ...credential } };
  } catch {
    return undefined;
  }
}
