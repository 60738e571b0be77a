/**
 * Reports that wait for the server, in a file that only grows until all of it was taken: each goes up at least once, under a number
 * that no other report ever has.
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { GatewayReport } from "@airlift/protocol/api/gateway";
import { readJson, replaceFile } from "./durable-file.ts";

/** Reports that wait at a time: the events of 10 000 devices, twice. What comes then pushes out the oldest event. */
export const DEFAULT_MAX_WAITING = 20_000;
/** Numbers that a start may leave unused. */
const NUMBERS_PER_SAVE = 1_000;
/** Lines in the file that were taken or dropped, before it is written anew. */
const STALE_LINES = 5_000;

/** A report without its number. */
export type NewReport = GatewayReport extends infer Report
  ? Report extends GatewayReport
    ? Omit<Report, "number">
    : never
  : never;

export class Outbox {
  droppedCount = 0;
  readonly #path: string;
  readonly #numbersPath: string;
  readonly #maxWaiting: number;
  /** In the order of their numbers. */
  readonly #waiting = new Map<number, GatewayReport>();
  #lastNumber: number;
  #reservedNumber: number;
  #lineCount = 0;

  /** @param folder Where its two files are. */
  constructor(folder: string, maxWaiting: number = DEFAULT_MAX_WAITING) {
    this.#path = join(folder, "outbox.jsonl");
    this.#numbersPath = join(folder, "outbox.json");
    this.#maxWaiting = maxWaiting;
    const reserved = (readJson(this.#numbersPath) as { reserved?: unknown } | undefined)?.reserved;
    for (const report of readReports(this.#path)) this.#waiting.set(report.number, report);
    while (this.#waiting.size > maxWaiting) this.#makeRoom();
    const highest = Math.max(0, ...[...this.#waiting.keys()].slice(-1));
    this.#lastNumber = Math.max(typeof reserved === "number" ? reserved : 0, highest);
    this.#reservedNumber = this.#lastNumber;
    this.#rewrite();
  }

  /** Of the latest report, in this run or an earlier one. */
  get lastNumber(): number {
    return this.#lastNumber;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** Keeps a report; what no later one repeats is durable when this returns. @returns Its number. */
  add(report: NewReport): number {
    const number = this.#nextNumber();
    const numbered = { number, ...report } as GatewayReport;
    if (this.#waiting.size >= this.#maxWaiting) this.#makeRoom();
    this.#waiting.set(number, numbered);
    append(this.#path, `${JSON.stringify(numbered)}\n`, !isFollowed(report));
    this.#lineCount += 1;
    this.#tidy();
    return number;
  }

  /** The oldest that wait. */
  oldest(count: number): GatewayReport[] {
    const reports: GatewayReport[] = [];
    for (const report of this.#waiting.values()) {
      if (reports.length === count) break;
      reports.push(report);
    }
    return reports;
  }

  /** Forgets all up to a number. */
  taken(number: number): void {
    for (const waiting of this.#waiting.keys()) {
      if (waiting > number) break;
      this.#waiting.delete(waiting);
    }
    if (this.#waiting.size === 0 && this.#lineCount > 500) this.#rewrite();
    else this.#tidy();
  }

  /** Writes the file anew, with what waits alone. */
  compact(): void {
    this.#rewrite();
  }

  #nextNumber(): number {
    this.#lastNumber += 1;
    if (this.#lastNumber > this.#reservedNumber) {
      this.#reservedNumber = this.#lastNumber + NUMBERS_PER_SAVE;
      replaceFile(this.#numbersPath, JSON.stringify({ reserved: this.#reservedNumber }));
    }
    return this.#lastNumber;
  }

  /** What a session did is told again by no one; an event or a step of progress is followed by others. */
  #makeRoom(): void {
    let [victim] = this.#waiting.keys();
    for (const [number, report] of this.#waiting) {
      if (!isFollowed(report)) continue;
      victim = number;
      break;
    }
    if (victim !== undefined) this.#waiting.delete(victim);
    this.droppedCount += 1;
  }

  /** While the server is away the file grows by what was dropped. */
  #tidy(): void {
    if (this.#lineCount - this.#waiting.size >= STALE_LINES) this.#rewrite();
  }

  #rewrite(): void {
    const lines = [...this.#waiting.values()].map((report) => `${JSON.stringify(report)}\n`);
    replaceFile(this.#path, lines.join(""));
    this.#lineCount = lines.length;
  }
}

/** Whether others follow that tell the same or more: devices repeat what they say, and progress goes on. */
const isFollowed = ({ kind }: { readonly kind: GatewayReport["kind"] }): boolean =>
  kind === "event" || kind === "progress";

function append(path: string, line: string, isDurable: boolean): void {
  const file = openSync(path, "a", 0o600);
  try {
    writeSync(file, line);
    if (isDurable) fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Whole lines that are reports; a power cut may have left half a line. */
function readReports(path: string): GatewayReport[] {
  if (!existsSync(path)) return [];
  const reports: GatewayReport[] = [];
  for (const line of readFileSync(path, "utf8").split("\n")) {
    if (line === "") continue;
    try {
      const report = GatewayReport.safeParse(JSON.parse(line));
      if (report.success) reports.push(report.data);
    } catch {
      // Half a line.
    }
  }
  return reports;
}
