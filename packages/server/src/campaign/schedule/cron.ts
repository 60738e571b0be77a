/**
 * Cron's five fields: minute, hour, day of month, month, day of week (0 and 7 = Sunday). Each is `*`, a number, a range `1-5`, a
 * step `* /15` (without the blank) or `1-9/2`, or a list of those; months and days of week may be named by three letters. When both day fields are
 * restricted, either one is enough, as in POSIX.
 *
 * @see POSIX.1-2017, crontab
 */
import { UsageError } from "@airlift/protocol/lib/errors";

export interface Cron {
  readonly text: string;
  /** Minutes of a day at which it may strike, ascending; never empty. */
  readonly minutesOfDay: readonly number[];
  readonly daysOfMonth: ReadonlySet<number>;
  /** 1 … 12. */
  readonly months: ReadonlySet<number>;
  /** 0 … 6, Sunday first. */
  readonly daysOfWeek: ReadonlySet<number>;
  /** Both day fields are restricted. */
  readonly isEitherDay: boolean;
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/** @throws {UsageError} `CRON_SYNTAX` naming the field. */
export function parseCron(text: string): Cron {
  const fields = text.trim().toLowerCase().split(/\s+/);
  if (fields.length !== 5)
    throw new UsageError(
      "CRON_SYNTAX",
      `"${text}" has ${fields.length} fields; cron has 5: minute hour day month weekday`,
      { cron: text },
    );
  const [minute = "", hour = "", day = "", month = "", weekday = ""] = fields;
  const minutes = readField(minute, { name: "minute", low: 0, high: 59 });
  const hours = readField(hour, { name: "hour", low: 0, high: 23 });
  return {
    text,
    minutesOfDay: hours.flatMap((h) => minutes.map((m) => h * 60 + m)),
    daysOfMonth: new Set(readField(day, { name: "day of month", low: 1, high: 31 })),
    months: new Set(readField(month, { name: "month", low: 1, high: 12, names: MONTHS })),
    daysOfWeek: new Set(readField(weekday, { name: "day of week", low: 0, high: 7, names: DAYS }).map((d) => d % 7)),
    isEitherDay: !day.startsWith("*") && !weekday.startsWith("*"),
  };
}

/** Whether it strikes at all on the day that starts at this wall time. */
export function strikesOn(cron: Cron, dayWallMs: number): boolean {
  const date = new Date(dayWallMs);
  if (!cron.months.has(date.getUTCMonth() + 1)) return false;
  const byMonth = cron.daysOfMonth.has(date.getUTCDate());
  const byWeek = cron.daysOfWeek.has(date.getUTCDay());
  return cron.isEitherDay ? byMonth || byWeek : byMonth && byWeek;
}

interface FieldRule {
  readonly name: string;
  readonly low: number;
  readonly high: number;
  readonly names?: readonly string[];
}

/** The numbers of a field, ascending, each once. */
function readField(text: string, rule: FieldRule): number[] {
  const numbers = new Set<number>();
  for (const item of text.split(",")) {
    const [, range = "", step] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(item) ?? [];
    const [from, to] = readRange(range, rule, step !== undefined);
    const by = Number(step ?? 1);
    if (from === undefined || to === undefined || from > to || by < 1) throw wrongField(text, rule);
    for (let number = from; number <= to; number += by) numbers.add(number);
  }
  return [...numbers].sort((a, b) => a - b);
}

function readRange(text: string, rule: FieldRule, hasStep: boolean): [number | undefined, number | undefined] {
  if (text === "*") return [rule.low, rule.high];
  const [first = "", last, ...more] = text.split("-");
  const from = readNumber(first, rule);
  const to = last === undefined ? (hasStep ? rule.high : from) : readNumber(last, rule);
  return more.length > 0 ? [undefined, undefined] : [from, to];
}

function readNumber(text: string, { low, high, names }: FieldRule): number | undefined {
  const named = names?.indexOf(text) ?? -1;
  if (named >= 0) return named + low;
  const number = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  return number >= low && number <= high ? number : undefined;
}

const wrongField = (text: string, { name, low, high }: FieldRule): UsageError =>
  new UsageError("CRON_SYNTAX", `cron's ${name} is ${low} … ${high}, a range, a list or a step, not "${text}"`, {
    field: name,
    value: text,
  });
