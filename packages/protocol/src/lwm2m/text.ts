/** Plain text, format 0, and opaque, format 42: one value without a frame (LwM2M Core 1.2 §7.4.1, §7.4.2). */
import { decodeUtf8, encodeUtf8 } from "../lib/bytes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { assertSingleBase, type Context, type Entry, singleEntry } from "./entry.ts";
import { resourceAt, typeForEncoding } from "./model.ts";
import {
  assertValueOf,
  formatObjectLink,
  isValueOf,
  narrowInteger,
  type ObjectLink,
  parseObjectLink,
  type ResourceType,
  type ResourceValue,
} from "./value.ts";

/** @throws {UsageError} PATH, VALUE_TYPE, VALUE for a float that is no number. */
export function encodeText(entries: readonly Entry[], { base, models }: Context): Uint8Array {
  const { path, value } = singleEntry(entries, base);
  return encodeUtf8(formatValue(typeForEncoding(models, path, value), value));
}

/**
 * The value of a text; a resource that no model knows is a string.
 *
 * @throws {PeerError} TEXT for octets that are no UTF-8, VALUE for a text that is no value of the resource's type, PATH
 */
export function decodeText(payload: Uint8Array, { base, models }: Context): Entry[] {
  assertSingleBase(base);
  const text = decodeUtf8(payload);
  if (text === undefined) throw new PeerError("TEXT", "not UTF-8", { sizeBytes: payload.length });
  return [{ path: base, value: parseValue(resourceAt(models, base)?.type ?? "string", text) }];
}

/** The octets of an opaque value, not copied. @throws {UsageError} PATH, VALUE_TYPE */
export function encodeOpaque(entries: readonly Entry[], { base }: Context): Uint8Array {
  const { value } = singleEntry(entries, base);
  assertValueOf("opaque", value);
  return value as Uint8Array;
}

/** The payload itself, not copied. @throws {PeerError} VALUE for a resource that is not opaque, PATH */
export function decodeOpaque(payload: Uint8Array, { base, models }: Context): Entry[] {
  assertSingleBase(base);
  const type = resourceAt(models, base)?.type ?? "opaque";
  if (type !== "opaque") throw new PeerError("VALUE", `octets for a value of type ${type}`, { type });
  return [{ path: base, value: payload }];
}

/** A value as text: numbers in decimal, booleans `1` and `0`, octets in base64. @throws {UsageError} VALUE_TYPE, VALUE */
export function formatValue(type: ResourceType, value: ResourceValue): string {
  assertValueOf(type, value);
  switch (type) {
    case "boolean":
      return value === true ? "1" : "0";
    case "opaque":
      return encodeBase64(value as Uint8Array, "standard");
    case "objlnk":
      return formatObjectLink(value as ObjectLink);
    case "float":
      if (!Number.isFinite(value)) throw new UsageError("VALUE", "text has no word for this number", { value });
      return String(value);
    default:
      return String(value);
  }
}

/** @throws {PeerError} VALUE */
export function parseValue(type: ResourceType, text: string): ResourceValue {
  const value = readValue(type, text);
  if (value === undefined || !isValueOf(type, value))
    throw new PeerError("VALUE", `not a value of type ${type}`, { type, text: text.slice(0, 64) });
  return value;
}

function readValue(type: ResourceType, text: string): ResourceValue | undefined {
  switch (type) {
    case "integer":
    case "unsigned":
    case "time":
      return /^[+-]?[0-9]{1,20}$/.test(text) ? narrowInteger(BigInt(text.replace("+", ""))) : undefined;
    case "float":
      return /^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$/.test(text) ? finite(Number(text)) : undefined;
    case "boolean":
      return text === "1" ? true : text === "0" ? false : undefined;
    case "opaque":
      return decodeBase64(text, "standard");
    case "objlnk":
      return parseObjectLink(text);
    case "none":
      return undefined;
    default:
      return text;
  }
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}
