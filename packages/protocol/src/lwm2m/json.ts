/** JSON (RFC 8259) with bounds and with exact integers. */
import { decodeUtf8 } from "../lib/bytes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";
import { narrowInteger } from "./value.ts";

export type JsonValue = string | number | bigint | boolean | null | readonly JsonValue[] | JsonObject;

export interface JsonObject {
  readonly [name: string]: JsonValue;
}

/** The parser hands the text of each number to its reviver, a part of the language the pure library does not declare. */
type Reviver = (this: unknown, key: string, value: unknown, context: { readonly source?: string }) => unknown;
const parse = JSON.parse as (text: string, reviver: Reviver) => JsonValue;

/**
 * Reads a text; integers beyond 2⁵³ come as bigint.
 *
 * @throws {PeerError} JSON when it is not UTF-8, not JSON, nested deeper than `maxDepth` or has a number out of range.
 */
export function parseJson(payload: Uint8Array, maxDepth: number): JsonValue {
  const text = decodeUtf8(payload);
  if (text === undefined) throw new PeerError("JSON", "not UTF-8", { sizeBytes: payload.length });
  // Before the parser sees it: its recursion is not ours to bound.
  if (depthOf(text) > maxDepth) throw new PeerError("JSON", "too deep", { maxDepth });
  try {
    return parse(text, (_key, value, { source }) => (typeof value === "number" ? exact(value, source ?? "") : value));
  } catch (cause) {
    if (cause instanceof PeerError) throw cause;
    throw new PeerError("JSON", "not JSON", { sizeBytes: payload.length }, { cause });
  }
}

function exact(value: number, source: string): number | bigint {
  if (!Number.isFinite(value)) throw new PeerError("JSON", "a number out of range", { source: source.slice(0, 64) });
  if (Number.isSafeInteger(value) || !/^-?[0-9]{1,20}$/.test(source)) return value;
  return narrowInteger(BigInt(source));
}

function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at];
    if (inString) {
      if (letter === "\\") at += 1;
      else if (letter === '"') inString = false;
    } else if (letter === '"') inString = true;
    else if (letter === "[" || letter === "{") deepest = Math.max(deepest, ++depth);
    else if (letter === "]" || letter === "}") depth -= 1;
  }
  return deepest;
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `{"name":value,…}` of the fields that are there. @throws {UsageError} VALUE for a number JSON cannot write. */
export function formatJsonObject(
  fields: Readonly<Record<string, string | number | bigint | boolean | undefined>>,
): string {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  return `{${present.map(([name, value]) => `${JSON.stringify(name)}:${formatScalar(value)}`).join(",")}}`;
}

function formatScalar(value: string | number | bigint | boolean | undefined): string {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number" && !Number.isFinite(value))
    throw new UsageError("VALUE", "JSON has no word for this number", { value });
  return JSON.stringify(value);
}
