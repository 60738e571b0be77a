/**
 * Reports that wait for the server, in a file that only grows until all of it was taken: each goes up at least once, under a number
 * that no other report ever has.
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayReport } from "@airlift/protocol/api/gateway";
import { readJson, replaceFile } from "./durable-file.ts";

/** Reports that wait at a time: the events of 10 000 devices, twice. What comes then pushes out the oldest event. */
export const DEFAULT_MAX_WAITING = 20_000;
/** Reports that the server refused, the newest of which are kept to be looked at. */
export const MOST_SET_ASIDE = 100;
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

/** A report as it waits: as JSON, which takes a third of the memory, and is what the server gets. */
export interface WaitingReport {
  readonly number: number;
  /** One line of JSON, without its end. */
  readonly json: string;
}

/** What the server refused. */
export interface SetAside {
  /** Since the folder is in use. */
  readonly count: number;
  /** Why the latest one was. */
  readonly reason: string;
}

export class Outbox {
  droppedCount = 0;
  readonly #path: string;
  readonly #numbersPath: string;
  readonly #asidePath: string;
  readonly #maxWaiting: number;
  /** In the order of their numbers. */
  readonly #waiting = new Map<number, string>();
  /** Of those, what no later one repeats. */
  readonly #unrepeated = new Set<number>();
  #aside: SetAside | undefined;
  #file: number | undefined;
  #lastNumber: number;
  #reservedNumber: number;
  #lineCount = 0;
  #problem: string | undefined;

  /** @param folder Where its files are. */
  constructor(folder: string, maxWaiting: number = DEFAULT_MAX_WAITING) {
    this.#path = join(folder, "outbox.jsonl");
    this.#numbersPath = join(folder, "outbox.json");
    this.#asidePath = join(folder, "outbox-refused.json");
    this.#maxWaiting = maxWaiting;
    const reserved = (readJson(this.#numbersPath) as { reserved?: unknown } | undefined)?.reserved;
    for (const report of readReports(this.#path)) this.#keep(report.number, report);
    while (this.#waiting.size > maxWaiting) this.#makeRoom();
    const highest = Math.max(0, ...[...this.#waiting.keys()].slice(-1));
    this.#lastNumber = Math.max(typeof reserved === "number" ? reserved : 0, highest);
    this.#reservedNumber = this.#lastNumber;
    const aside = readAside(this.#asidePath);
    const latest = aside.reports.at(-1);
    if (latest !== undefined) this.#aside = { count: aside.count, reason: latest.reason };
    this.#rewrite();
  }

  /** Of the latest report, in this run or an earlier one. */
  get lastNumber(): number {
    return this.#lastNumber;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** Reports that the server refused; undefined = none. */
  get aside(): SetAside | undefined {
    return this.#aside;
  }

  /** Why some of what waits is not in the file; undefined = all of it is. It goes to the server all the same, unless the power is cut before. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /**
   * Keeps a report; what no later one repeats is durable when this returns.
   *
   * @returns Its number. The errors are those of node:fs; a report that got a number waits for the server all the same.
   */
  add(report: NewReport): number {
    const number = this.#nextNumber();
    if (this.#waiting.size >= this.#maxWaiting) this.#makeRoom();
    const line = this.#keep(number, { number, ...report } as GatewayReport);
    // What could not be written before has to be on disk with it.
    if (!isFollowed(report) && this.#problem !== undefined) this.#rewrite();
    else this.#append(line, isFollowed(report));
    this.#tidy();
    return number;
  }

  /** The oldest that wait. */
  oldest(count: number): WaitingReport[] {
    const reports: WaitingReport[] = [];
    for (const [number, json] of this.#waiting) {
      if (reports.length === count) break;
      reports.push({ number, json });
    }
    return reports;
  }

  /** Forgets all up to a number. */
  taken(number: number): void {
    for (const waiting of this.#waiting.keys()) {
      if (waiting > number) break;
      this.#forget(waiting);
    }
    if (this.#waiting.size === 0 && this.#lineCount > 500) this.#rewrite();
    else this.#tidy();
  }

  /** Takes a report out of what waits, and keeps it with the reason, durably, to be looked at. @returns Its JSON, if it was waiting. */
  setAside(number: number, reason: string): string | undefined {
    const json = this.#waiting.get(number);
    if (json === undefined) return undefined;
    const { count, reports } = readAside(this.#asidePath);
    const newest = [...reports, { reason, json }].slice(-MOST_SET_ASIDE);
    replaceFile(this.#asidePath, JSON.stringify({ count: count + 1, reports: newest }));
    this.#aside = { count: count + 1, reason };
    this.#forget(number);
    // It must not be sent again after a restart.
    this.#rewrite();
    return json;
  }

  /** Writes the file anew, with what waits alone. */
  compact(): void {
    this.#rewrite();
  }

  /** Lets go of the file; the next report takes it up again. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #nextNumber(): number {
    const number = this.#lastNumber + 1;
    if (number > this.#reservedNumber) {
      const reserved = number + NUMBERS_PER_SAVE;
      replaceFile(this.#numbersPath, JSON.stringify({ reserved }));
      this.#reservedNumber = reserved;
    }
    this.#lastNumber = number;
    return number;
  }

  #keep(number: number, report: GatewayReport): string {
    const line = JSON.stringify(report);
    this.#waiting.set(number, line);
    if (!isFollowed(report)) this.#unrepeated.add(number);
    return line;
  }

  #forget(number: number): void {
    this.#waiting.delete(number);
    this.#unrepeated.delete(number);
  }

  /** What a session did is told again by no one; an event or a step of progress is followed by others. */
  #makeRoom(): void {
    let [victim] = this.#waiting.keys();
    for (const number of this.#waiting.keys()) {
      if (this.#unrepeated.has(number)) continue;
      victim = number;
      break;
    }
    if (victim !== undefined) this.#forget(victim);
    this.droppedCount += 1;
  }

  #append(line: string, mayBeLost: boolean): void {
    // The last line may be half a one.
    const freshLine = this.#problem === undefined ? "" : "\n";
    try {
      this.#file ??= openSync(this.#path, "a", 0o600);
      writeFileSync(this.#file, `${freshLine}${line}\n`);
      if (!mayBeLost) fsyncSync(this.#file);
    } catch (error) {
      this.#problem = String(error);
      if (!mayBeLost) throw error;
    }
    this.#lineCount += 1;
  }

  /** While the server is away the file grows by what was dropped. */
  #tidy(): void {
    if (this.#lineCount - this.#waiting.size >= STALE_LINES) this.#rewrite();
  }

  #rewrite(): void {
    this.close();
    const lines = [...this.#waiting.values()].map((line) => `${line}\n`);
    replaceFile(this.#path, lines.join(""));
    this.#lineCount = lines.length;
    this.#problem = undefined;
  }
}

/** Whether others follow that tell the same or more: devices repeat what they say, and progress goes on. */
const isFollowed = ({ kind }: { readonly kind: GatewayReport["kind"] }): boolean =>
  kind === "event" || kind === "progress";

interface Aside {
  readonly count: number;
  readonly reports: readonly { readonly reason: string; readonly json: string }[];
}

/** A file of another form counts as none: nothing hangs on it. */
function readAside(path: string): Aside {
  const { count, reports } = (readJson(path) ?? {}) as Partial<Aside>;
  const isWhole =
    Number.isInteger(count) && Array.isArray(reports) && reports.every((one) => typeof one?.reason === "string");
  return isWhole ? ({ count, reports } as Aside) : { count: 0, reports: [] };
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
