/** Whether one device matches a query: for targets that join while a campaign runs, and for waves. */
import { compareVersions } from "@airlift/protocol/image/version";
import type { Comparison, DeviceFacts, Query, QueryAttribute, QueryOperand } from "./ast.ts";

/** @param utcMs Now, for values like "-24h". */
export function matches(query: Query, device: DeviceFacts, utcMs: number): boolean {
  if (query.kind === "and") return query.terms.every((term) => matches(term, device, utcMs));
  if (query.kind === "or") return query.terms.some((term) => matches(term, device, utcMs));
  return matchesComparison(query, device, utcMs);
}

type Value = string | number | boolean;

const VALUES: { readonly [A in QueryAttribute]: (device: DeviceFacts) => readonly (Value | null)[] } = {
  endpoint: (device) => [device.endpoint],
  manufacturer: (device) => [device.manufacturer],
  model: (device) => [device.model],
  version: (device) => [device.version],
  hardware: (device) => [device.hardware],
  tags: (device) => device.tags,
  presence: (device) => [device.presence],
  cell: (device) => [device.cell],
  signal: (device) => [device.signalDbm],
  lastSeen: (device) => [device.lastSeenAtMs],
};

function matchesComparison({ field, operator, operands }: Comparison, device: DeviceFacts, utcMs: number): boolean {
  const values = field.kind === "attribute" ? VALUES[field.name](device) : [resourceOf(device, field.path)];
  const known = values.filter((value) => value !== null);
  const isEqual = (value: Value): boolean => operands.some((operand) => equals(value, operand, utcMs));
  switch (operator) {
    case "==":
    case "=in=":
      return known.some(isEqual);
    case "!=":
    case "=out=":
      return !known.some(isEqual);
    default: {
      const [operand] = operands;
      if (operand === undefined) return false;
      return known.some((value) => {
        const order = compare(value, operand, utcMs);
        if (order === undefined) return false;
        if (operator === "=lt=") return order < 0;
        if (operator === "=le=") return order <= 0;
        return operator === "=gt=" ? order > 0 : order >= 0;
      });
    }
  }
}

function resourceOf(device: DeviceFacts, path: string): Value | null {
  return Object.hasOwn(device.resources, path) ? (device.resources[path] ?? null) : null;
}

function equals(value: Value, operand: QueryOperand, utcMs: number): boolean {
  if (operand.kind === "pattern") return matchesPattern(String(value), operand.pieces);
  return compare(value, operand, utcMs) === 0;
}

/** Undefined when the two have no order. */
function compare(value: Value, operand: QueryOperand, utcMs: number): number | undefined {
  switch (operand.kind) {
    case "version":
      return compareVersions(String(value), operand.text);
    case "number":
      return Number(value) - operand.value;
    case "instant":
      return Number(value) - operand.utcMs;
    case "ago":
      return Number(value) - (utcMs - operand.ms);
    case "pattern":
      return undefined;
    case "text":
      return compareTexts(value, operand.text);
  }
}

function compareTexts(value: Value, text: string): number | undefined {
  if (typeof value === "number") {
    const number = text === "" ? Number.NaN : Number(text);
    return Number.isNaN(number) ? undefined : value - number;
  }
  const own = String(value);
  return own === text ? 0 : own < text ? -1 : 1;
}

/** Piece after piece from the left, the last one at the end: linear, no backtracking. */
function matchesPattern(text: string, pieces: readonly string[]): boolean {
  const first = pieces[0] ?? "";
  const last = pieces.at(-1) ?? "";
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return at <= text.length - last.length;
}
