/**
 * RSQL (a superset of FIQL) as text to a `Query`.
 *
 * `;` or `and` binds tighter than `,` or `or`; parentheses group; `==`, `!=`, `=lt=` or `<`, `=le=` or `<=`, `=gt=` or `>`, `=ge=` or
 * `>=`, `=in=(…)`, `=out=(…)` compare; a value is bare or in quotes, `*` in a bare or quoted text stands for any characters, `\` takes
 * away the meaning of what follows.
 *
 * @see draft-nottingham-atompub-fiql-00 §3
 */
import { UsageError } from "@airlift/protocol/lib/errors";
import type { Query, QueryField, QueryOperator } from "./ast.ts";
import { fieldOf, operandOf } from "./fields.ts";

/** Characters of a query. */
export const LONGEST_QUERY = 4096;
/** Comparisons and their values, together: what one device may cost. */
export const MOST_QUERY_OPERANDS = 500;
/** Parentheses within each other. */
export const DEEPEST_QUERY = 20;

/**
 * Reads a query; `*` alone, or nothing but blanks, is every device.
 *
 * @throws {UsageError} `QUERY_SYNTAX` (facts: `at`, the place from 0), `QUERY_FIELD`, `QUERY_VALUE`, `QUERY_TOO_LARGE`.
 */
export function parseQuery(text: string): Query {
  if (text.length > LONGEST_QUERY) throw tooLarge(`a query has at most ${LONGEST_QUERY} characters`);
  if (text.trim() === "" || text.trim() === "*") return { kind: "and", terms: [] };
  const source: Source = { text, at: 0, depth: 0, operandCount: 0 };
  const query = readOr(source);
  if (source.at < text.length) throw syntax(source, "expected ; or , or the end");
  return query;
}

interface Source {
  readonly text: string;
  at: number;
  depth: number;
  operandCount: number;
}

/** A value as written: its characters, and where a `*` that means anything stood. */
export interface RawValue {
  /** Split at each `*`. */
  readonly pieces: readonly string[];
}

const OR = /\s*(?:,\s*|\bor\s+)/iy;
const AND = /\s*(?:;\s*|\band\s+)/iy;
const OPERATOR = /\s*(==|!=|=lt=|=le=|=gt=|=ge=|=in=|=out=|<=|>=|<|>)\s*/iy;
const SELECTOR = /\s*([\w./-]{1,128})/y;
const BARE = /[^\s"'();,=!~<>\\*]+/y;

const OF_SIGN: Readonly<Record<string, QueryOperator>> = { "<": "=lt=", "<=": "=le=", ">": "=gt=", ">=": "=ge=" };

function readOr(source: Source): Query {
  return readList(source, { separator: OR, kind: "or", read: readAnd });
}

function readAnd(source: Source): Query {
  return readList(source, { separator: AND, kind: "and", read: readTerm });
}

function readList(
  source: Source,
  { separator, kind, read }: { separator: RegExp; kind: "and" | "or"; read: (source: Source) => Query },
): Query {
  const first = read(source);
  const terms = [first];
  while (take(source, separator) !== undefined) terms.push(read(source));
  return terms.length === 1 ? first : { kind, terms };
}

function readTerm(source: Source): Query {
  if (take(source, /\s*\(\s*/y) === undefined) return readComparison(source);
  source.depth += 1;
  if (source.depth > DEEPEST_QUERY)
    throw tooLarge(`a query has at most ${DEEPEST_QUERY} parentheses within each other`);
  const inner = readOr(source);
  if (take(source, /\s*\)\s*/y) === undefined) throw syntax(source, "expected )");
  source.depth -= 1;
  return inner;
}

function readComparison(source: Source): Query {
  const start = source.at;
  const selector = take(source, SELECTOR)?.[1];
  if (selector === undefined) throw syntax(source, "expected the name of a field or a resource's path");
  const field: QueryField = fieldOf(selector, start);
  const sign = take(source, OPERATOR)?.[1]?.toLowerCase();
  if (sign === undefined) throw syntax(source, "expected a comparison: == != =lt= =le= =gt= =ge= =in= =out=");
  const operator = OF_SIGN[sign] ?? (sign as QueryOperator);
  const values = operator === "=in=" || operator === "=out=" ? readValues(source) : [readValue(source)];
  take(source, /\s*/y);
  return { kind: "compare", field, operator, operands: values.map((value) => operandOf(field, operator, value)) };
}

function readValues(source: Source): RawValue[] {
  if (take(source, /\s*\(\s*/y) === undefined) throw syntax(source, "expected a list in parentheses: (a,b)");
  const values = [readValue(source)];
  while (take(source, /\s*,\s*/y) !== undefined) values.push(readValue(source));
  if (take(source, /\s*\)\s*/y) === undefined) throw syntax(source, "expected , or )");
  return values;
}

function readValue(source: Source): RawValue {
  source.operandCount += 1;
  if (source.operandCount > MOST_QUERY_OPERANDS) throw tooLarge(`a query has at most ${MOST_QUERY_OPERANDS} values`);
  const quote = take(source, /["']/y)?.[0];
  const pieces = [""];
  const start = source.at;
  for (;;) {
    const plain = take(source, quote === undefined ? BARE : quote === '"' ? /[^"\\*]+/y : /[^'\\*]+/y);
    const escaped = plain ? undefined : take(source, /\\([\s\S])/y);
    if (plain) pieces[pieces.length - 1] += plain[0];
    else if (escaped) pieces[pieces.length - 1] += escaped[1] ?? "";
    else if (take(source, /\*+/y)) pieces.push("");
    else break;
  }
  if (quote === undefined && source.at === start) throw syntax(source, "expected a value");
  if (quote !== undefined && take(source, quote === '"' ? /"/y : /'/y) === undefined)
    throw syntax(source, "expected the closing quote");
  return { pieces };
}

/** Matches a sticky pattern at the source's place and moves behind it. */
function take(source: Source, pattern: RegExp): RegExpExecArray | undefined {
  pattern.lastIndex = source.at;
  const found = pattern.exec(source.text);
  if (!found) return undefined;
  source.at = pattern.lastIndex;
  return found;
}

function syntax(source: Source, expected: string): UsageError {
  const near = source.text.slice(source.at, source.at + 20);
  return new UsageError("QUERY_SYNTAX", `${expected} at character ${source.at + 1}${near && `, before "${near}"`}`, {
    at: source.at,
  });
}

const tooLarge = (sentence: string): UsageError => new UsageError("QUERY_TOO_LARGE", sentence);
