/** What a resource can hold, and the data types that decide how it travels (LwM2M Core 1.2 appendix C). */
import { PeerError, UsageError } from "../lib/errors.ts";

/** A data type of the object model; `none` is an executable resource. */
export const RESOURCE_TYPES = [
  "string",
  "integer",
  "unsigned",
  "float",
  "boolean",
  "opaque",
  "time",
  "objlnk",
  "corelnk",
  "none",
] as const;

export type ResourceType = (typeof RESOURCE_TYPES)[number];

/** A reference to an object instance; ids 0..65535, where 65535:65535 is the null link. */
export interface ObjectLink {
  readonly objectId: number;
  readonly instanceId: number;
}

/** The link that points nowhere. */
export const NULL_LINK: ObjectLink = { objectId: 65_535, instanceId: 65_535 };

/**
 * One value. Integers are numbers while they are exact (±2⁵³−1), bigint beyond; times are whole seconds since 1970
 * (negative before); opaque values may be views of the payload they came from.
 */
export type ResourceValue = string | number | bigint | boolean | Uint8Array | ObjectLink;

export const INT64_MIN = -(2n ** 63n);
export const INT64_MAX = 2n ** 63n - 1n;
export const UINT64_MAX = 2n ** 64n - 1n;

/** The integer as a number where that is exact, else as the bigint it is. */
export function narrowInteger(value: bigint): number | bigint {
  return value >= -MAX_SAFE && value <= MAX_SAFE ? Number(value) : value;
}
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

export function isObjectLink(value: unknown): value is ObjectLink {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return false;
  const { objectId, instanceId } = value as Partial<ObjectLink>;
  return isLinkId(objectId) && isLinkId(instanceId);
}
const isLinkId = (id: unknown): boolean => Number.isInteger(id) && (id as number) >= 0 && (id as number) <= 65_535;

/** Whether `value` is one that a resource of `type` can hold. */
export function isValueOf(type: ResourceType, value: ResourceValue): boolean {
  switch (type) {
    case "string":
    case "corelnk":
      return typeof value === "string";
    case "integer":
    case "time":
      return isIntegerWithin(value, INT64_MIN, INT64_MAX);
    case "unsigned":
      return isIntegerWithin(value, 0n, UINT64_MAX);
    case "float":
      return typeof value === "number";
    case "boolean":
      return typeof value === "boolean";
    case "opaque":
      return value instanceof Uint8Array;
    case "objlnk":
      return isObjectLink(value);
    case "none":
      return false;
  }
}

function isIntegerWithin(value: ResourceValue, min: bigint, max: bigint): boolean {
  if (typeof value === "number") return Number.isSafeInteger(value) && (min < 0n || value >= 0);
  return typeof value === "bigint" && value >= min && value <= max;
}

/** The type a value has by itself, for resources no model describes. */
export function naturalType(value: ResourceValue): ResourceType {
  switch (typeof value) {
    case "string":
      return "string";
    case "boolean":
      return "boolean";
    case "bigint":
      return value > INT64_MAX ? "unsigned" : "integer";
    case "number":
      return Number.isSafeInteger(value) ? "integer" : "float";
    default:
      return value instanceof Uint8Array ? "opaque" : "objlnk";
  }
}

/** @throws {UsageError} VALUE_TYPE when a resource of `type` cannot hold `value`. */
export function assertValueOf(type: ResourceType, value: ResourceValue): void {
  if (!isValueOf(type, value))
    throw new UsageError("VALUE_TYPE", `not a value of type ${type}`, { type, got: naturalType(value) });
}

/** Reads `3:0`. @throws {PeerError} VALUE */
export function parseObjectLink(text: string): ObjectLink {
  const ids = /^(0|[1-9][0-9]{0,4}):(0|[1-9][0-9]{0,4})$/.exec(text);
  const link = { objectId: Number(ids?.[1]), instanceId: Number(ids?.[2]) };
  if (!isObjectLink(link)) throw new PeerError("VALUE", "an object link reads 3:0", { text: text.slice(0, 64) });
  return link;
}

export function formatObjectLink(link: ObjectLink): string {
  return `${link.objectId}:${link.instanceId}`;
}
