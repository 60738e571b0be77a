/** One value as one CBOR item, format 60 (LwM2M Core 1.2 §7.4.5), and how the CBOR formats hold each data type. */
import { PeerError } from "../lib/errors.ts";
import { type CborValue, decodeItem, encodeItem, epochTime, secondsOf } from "./cbor-item.ts";
import { assertSingleBase, type Context, type Entry, singleEntry } from "./entry.ts";
import { resourceAt, typeForEncoding } from "./model.ts";
import {
  assertValueOf,
  formatObjectLink,
  isValueOf,
  type ObjectLink,
  parseObjectLink,
  type ResourceType,
  type ResourceValue,
} from "./value.ts";

/** A value, an epoch time or a decimal fraction, the last with its two numbers. */
const BOUNDS = { maxDepth: 2, maxItems: 4 };

/** @throws {UsageError} PATH, VALUE_TYPE */
export function encodeCbor(entries: readonly Entry[], { base, models }: Context): Uint8Array {
  const { path, value } = singleEntry(entries, base);
  return encodeItem(toCbor(typeForEncoding(models, path, value), value));
}

/** @throws {PeerError} CBOR, VALUE, PATH */
export function decodeCbor(payload: Uint8Array, { base, models }: Context): Entry[] {
  assertSingleBase(base);
  return [{ path: base, value: fromCbor(resourceAt(models, base)?.type, decodeItem(payload, BOUNDS)) }];
}

/** @throws {UsageError} VALUE_TYPE */
export function toCbor(type: ResourceType, value: ResourceValue): CborValue {
  assertValueOf(type, value);
  if (type === "objlnk") return formatObjectLink(value as ObjectLink);
  return type === "time" ? epochTime(value as number | bigint) : (value as CborValue);
}

/**
 * The value of an item; without a type, the one it has by itself.
 *
 * @throws {PeerError} VALUE
 */
export function fromCbor(type: ResourceType | undefined, item: CborValue): ResourceValue {
  const plain = secondsOf(item) ?? item;
  if (type === "objlnk" && typeof plain === "string") return parseObjectLink(plain);
  if (type === "float" && typeof plain === "bigint") return Number(plain);
  const value = isScalar(plain) ? plain : undefined;
  if (value === undefined || (type !== undefined && !isValueOf(type, value)))
    throw new PeerError("VALUE", `not a value of type ${type ?? "any"}`, { type });
  return value;
}

function isScalar(item: CborValue): item is string | number | bigint | boolean | Uint8Array {
  return ["string", "number", "bigint", "boolean"].includes(typeof item) || item instanceof Uint8Array;
}
