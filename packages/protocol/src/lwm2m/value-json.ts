/** Values in JSON, typed by the object models: what programs and people write and read. */
import { UsageError } from "../lib/errors.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import type { Entry } from "./entry.ts";
import { type Models, type ResourceModel, resourceAt } from "./model.ts";
import { formatPath, type Path } from "./path.ts";
import { resolvePath } from "./path-names.ts";
import {
  formatObjectLink,
  INT64_MAX,
  INT64_MIN,
  isObjectLink,
  isValueOf,
  narrowInteger,
  naturalType,
  type ResourceType,
  type ResourceValue,
} from "./value.ts";

/**
 * A value in JSON: integers beyond ±(2⁵³−1) are decimal strings, times ISO 8601 ("2026-03-01T12:00:00Z") or seconds, octets
 * base64, object links "3:0".
 */
export type JsonScalar = string | number | boolean;

/** @param type The model's, or `naturalType` where there is none. */
export function toJsonScalar(type: ResourceType, value: ResourceValue): JsonScalar {
  if (value instanceof Uint8Array) return encodeBase64(value, "standard");
  if (isObjectLink(value)) return formatObjectLink(value);
  if (type === "time" && typeof value === "number" && Math.abs(value) <= LAST_DAY_S)
    return new Date(value * 1000).toISOString();
  if (typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value))) return String(value);
  return value as JsonScalar;
}
/** The last instant that ISO 8601 has four digits of the year for; beyond it the seconds are told. */
const LAST_DAY_S = 253_402_300_799;

/**
 * The value that `json` is for a resource of `type`; `undefined` type (no model): what JSON itself says.
 *
 * @throws {UsageError} VALUE_TYPE
 */
export function fromJsonScalar(type: ResourceType | undefined, json: unknown): ResourceValue {
  const value = type === undefined ? natural(json) : readScalar(type, json);
  if (value === undefined || !isValueOf(type ?? naturalType(value), value)) {
    const expected = type ?? "text, number or boolean";
    throw new UsageError("VALUE_TYPE", `not a value of type ${expected}`, { type: expected, got: shown(json) });
  }
  return value;
}

/** As `fromJsonScalar`, of what a person typed: "true", "42", "0x2a" is no number. @throws {UsageError} VALUE_TYPE */
export function fromTypedText(type: ResourceType | undefined, text: string): ResourceValue {
  if (type === "boolean")
    return fromJsonScalar(type, { true: true, "1": true, false: false, "0": false }[text] ?? text);
  if (type === "float") return fromJsonScalar(type, text.trim() === "" ? text : Number(text));
  return fromJsonScalar(type, text);
}

const natural = (json: unknown): ResourceValue | undefined =>
  typeof json === "string" || typeof json === "boolean" || (typeof json === "number" && Number.isFinite(json))
    ? json
    : undefined;

function readScalar(type: ResourceType, json: unknown): ResourceValue | undefined {
  switch (type) {
    case "integer":
    case "unsigned":
      return readInteger(json);
    case "time":
      return readInteger(json) ?? readInstant(json);
    case "opaque":
      return typeof json === "string" ? decodeBase64(json, "standard") : undefined;
    case "objlnk":
      return typeof json === "string" ? readLink(json) : undefined;
    case "float":
      return typeof json === "number" && Number.isFinite(json) ? json : undefined;
    default:
      return natural(json);
  }
}

function readInteger(json: unknown): number | bigint | undefined {
  if (typeof json === "number") return Number.isSafeInteger(json) ? json : undefined;
  return typeof json === "string" && /^[+-]?[0-9]{1,20}$/.test(json)
    ? narrowInteger(BigInt(json.replace("+", "")))
    : undefined;
}

function readInstant(json: unknown): number | undefined {
  if (typeof json !== "string" || !/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(json))
    return undefined;
  const ms = Date.parse(json);
  return Number.isFinite(ms) ? Math.floor(ms / 1000) : undefined;
}

function readLink(json: string) {
  const ids = /^([0-9]{1,5}):([0-9]{1,5})$/.exec(json);
  const link = { objectId: Number(ids?.[1]), instanceId: Number(ids?.[2]) };
  return isObjectLink(link) ? link : undefined;
}

/** How values in JSON are to be read. */
export interface JsonReading {
  readonly models: Models;
  /** Whether each value is a text as a person types it, "true" or "2.5", whatever its type. */
  readonly typed?: boolean | undefined;
}

/**
 * The entries that `json` stands for at `path`: one value at a resource instance; at a resource one value, or for a multiple
 * one an object of them by number; at an instance an object of resources by id or name.
 *
 * @throws {UsageError} VALUE_TYPE, VALUE_RANGE, NOT_WRITABLE, VALUES, UNKNOWN_NAME, AMBIGUOUS_NAME, PATH
 */
export function entriesOfJson(path: Path, json: unknown, reading: JsonReading): Entry[] {
  if (path.length < 2)
    throw new UsageError("PATH", "a value belongs to an instance or a resource", { path: formatPath(path) });
  const model = resourceAt(reading.models, path);
  assertWritable(path, model);
  if (path.length === 2 || (path.length === 3 && (model?.multiple ?? isMembers(json)))) {
    const inside = (name: string): Path => resolvePath(`${formatPath(path)}/${name}`, reading.models);
    return members(json, path).flatMap(([name, value]) => entriesOfJson(inside(name), value, reading));
  }
  const isText = reading.typed === true && typeof json === "string";
  const value = readAt(path, model, () =>
    isText ? fromTypedText(model?.type, json) : fromJsonScalar(model?.type, json),
  );
  assertRange(path, value, model);
  return [{ path, value }];
}

/** What is wrong with one value of several is told by its place. */
function readAt(path: Path, model: ResourceModel | undefined, read: () => ResourceValue): ResourceValue {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof UsageError) || error.code !== "VALUE_TYPE") throw error;
    const { type, got } = error.facts;
    const facts = { path: formatPath(path), ...error.facts };
    throw new UsageError("VALUE_TYPE", `${nameOf(path, model)}: ${got} is not a value of type ${type}`, facts);
  }
}

const nameOf = (path: Path, model: ResourceModel | undefined): string =>
  model === undefined ? formatPath(path) : `${formatPath(path)} (${model.name})`;

const isMembers = (json: unknown): json is Record<string, unknown> =>
  typeof json === "object" && json !== null && !Array.isArray(json);

function members(json: unknown, path: Path): [string, unknown][] {
  if (!isMembers(json))
    throw new UsageError("VALUES", `values by name or number belong to ${formatPath(path)}`, {
      path: formatPath(path),
    });
  const all = Object.entries(json);
  if (all.length === 0) throw new UsageError("VALUES", `no value for ${formatPath(path)}`, { path: formatPath(path) });
  return all;
}

/** What is executed or only read cannot be written, whatever the device thinks. @throws {UsageError} NOT_WRITABLE */
function assertWritable(path: Path, model: ResourceModel | undefined): void {
  if (model !== undefined && model.type === "none")
    throw new UsageError("NOT_WRITABLE", `${formatPath(path)} (${model.name}) is executed, not written`, {
      path: formatPath(path),
    });
}

/** @throws {UsageError} VALUE_RANGE for a number outside `0..255`, or a text that is longer or shorter than that. */
export function assertRange(path: Path, value: ResourceValue, model: ResourceModel | undefined): void {
  const bounds = /^(-?[0-9]+)\.\.(-?[0-9]+)$/.exec(model?.range ?? "");
  if (bounds === null || (typeof value !== "number" && typeof value !== "bigint")) return;
  const [least, most] = [clamp(bounds[1]), clamp(bounds[2])];
  if (
    typeof value === "bigint" || Number.isInteger(value)
      ? BigInt(value) >= least && BigInt(value) <= most
      : value >= Number(least) && value <= Number(most)
  )
    return;
  throw new UsageError("VALUE_RANGE", `${nameOf(path, model)} takes ${least} to ${most}, and not ${value}`, {
    path: formatPath(path),
    range: model?.range,
  });
}

const clamp = (text: string | undefined): bigint => {
  const bound = BigInt(text ?? 0);
  return bound < INT64_MIN ? INT64_MIN : bound > INT64_MAX ? INT64_MAX : bound;
};

const shown = (json: unknown): string => (JSON.stringify(json) ?? String(json)).slice(0, 64);
