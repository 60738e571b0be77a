/** What a query's names and values mean: which field, and how its type reads a value. */
import { UsageError } from "@airlift/protocol/lib/errors";
import {
  QUERY_ATTRIBUTES,
  type QueryAttribute,
  type QueryField,
  type QueryOperand,
  type QueryOperator,
} from "./ast.ts";
import type { RawValue } from "./parse-query.ts";

const PRESENCES: readonly string[] = ["registered", "expired", "deregistered"];
const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** @throws {UsageError} `QUERY_FIELD` for a name that no device has. */
export function fieldOf(selector: string, at: number): QueryField {
  if (isAttribute(selector)) return { kind: "attribute", name: selector };
  if (selector === "tag") return { kind: "attribute", name: "tags" };
  if (/^\/\d{1,5}\/\d{1,5}\/\d{1,5}$/.test(selector)) return { kind: "resource", path: selector };
  const names = Object.keys(QUERY_ATTRIBUTES).join(", ");
  throw new UsageError("QUERY_FIELD", `there is no field ${selector}; ask for ${names} or a resource, /3/0/9`, {
    field: selector,
    at,
  });
}

/** @throws {UsageError} `QUERY_VALUE` when the field's type cannot read the value, or the operator not use it. */
export function operandOf(field: QueryField, operator: QueryOperator, { pieces }: RawValue): QueryOperand {
  const text = pieces.join("*");
  const isPattern = pieces.length > 1;
  const type = field.kind === "resource" ? "text" : QUERY_ATTRIBUTES[field.name];
  if (isPattern && /^=[lg]/.test(operator)) throw wrong(field, text, "no * can be compared by size");
  if (isPattern && (type === "text" || type === "version")) return { kind: "pattern", pieces };
  if (type === "version") return { kind: "version", text };
  if (type === "number") return { kind: "number", value: numberOf(field, text) };
  if (type === "instant") return instantOf(field, text);
  if (field.kind === "attribute" && field.name === "presence" && !PRESENCES.includes(text))
    throw wrong(field, text, `a presence is one of ${PRESENCES.join(", ")}`);
  return { kind: "text", text };
}

function isAttribute(name: string): name is QueryAttribute {
  return Object.hasOwn(QUERY_ATTRIBUTES, name);
}

function numberOf(field: QueryField, text: string): number {
  const value = Number(text);
  if (text === "" || !Number.isFinite(value)) throw wrong(field, text, "expected a number");
  return value;
}

function instantOf(field: QueryField, text: string): QueryOperand {
  const ago = /^-(\d{1,6})([smhd])$/.exec(text);
  if (ago) return { kind: "ago", ms: Number(ago[1]) * (UNIT_MS[ago[2] ?? ""] ?? 0) };
  const utcMs = /^\d{4}-\d{2}-\d{2}(T[\d:.]{5,12}Z)?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(utcMs)) throw wrong(field, text, "expected -24h, 2026-03-01 or 2026-03-01T12:00:00Z");
  return { kind: "instant", utcMs };
}

function wrong(field: QueryField, value: string, why: string): UsageError {
  const name = field.kind === "attribute" ? field.name : field.path;
  return new UsageError("QUERY_VALUE", `${name}: ${why}, not "${value}"`, { field: name, value });
}
