/** Sensor measurement lists in JSON, format 110 (RFC 8428 §5, LwM2M Core 1.2 §7.4.4). */
import { encodeUtf8 } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { type Context, DEFAULT_MAX_ENTRIES, type Entry } from "./entry.ts";
import { formatJsonObject, isJsonObject, type JsonValue, parseJson } from "./json.ts";
import { fromRecords, type SenmlRecord, toRecords } from "./senml.ts";

/** @throws {UsageError} PATH, VALUE_TYPE, VALUE */
export function encodeSenmlJson(entries: readonly Entry[], context: Context): Uint8Array {
  return encodeSenmlJsonRecords(toRecords(entries, context));
}

/** @throws {UsageError} VALUE */
export function encodeSenmlJsonRecords(records: readonly SenmlRecord[]): Uint8Array {
  return encodeUtf8(`[${records.map(formatRecord).join(",")}]`);
}

function formatRecord({ vd, ...record }: SenmlRecord): string {
  return formatJsonObject({ ...record, vd: vd && encodeBase64(vd, "url") });
}

/** @throws {PeerError} JSON, SENML, VALUE, PATH, DUPLICATE, TOO_MANY */
export function decodeSenmlJson(payload: Uint8Array, context: Context): Entry[] {
  return fromRecords(decodeSenmlJsonRecords(payload, context.maxEntries), context);
}

/** The records themselves, which may lack a value. @throws {PeerError} JSON, SENML, TOO_MANY */
export function decodeSenmlJsonRecords(payload: Uint8Array, maxEntries = DEFAULT_MAX_ENTRIES): SenmlRecord[] {
  const list = parseJson(payload, 2);
  if (!Array.isArray(list)) throw new PeerError("SENML", "not a list of records");
  if (list.length > maxEntries) throw new PeerError("TOO_MANY", "too many records", { maxEntries });
  return (list as readonly JsonValue[]).map(readRecord);
}

function readRecord(item: JsonValue): SenmlRecord {
  if (!isJsonObject(item)) throw new PeerError("SENML", "a record is an object");
  const record: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(item)) {
    const read = READERS.get(name);
    if (read === undefined) checkOther(name, value);
    else record[name] = read(value) ?? refuse(name);
  }
  return record;
}

const readText = (value: JsonValue) => (typeof value === "string" ? value : undefined);
const readNumber = (value: JsonValue) => (typeof value === "number" ? value : undefined);

type Reader = (value: JsonValue) => SenmlRecord[keyof SenmlRecord];

const READERS = new Map<string, Reader>([
  ["bn", readText],
  ["n", readText],
  ["vs", readText],
  ["vlo", readText],
  ["bt", readNumber],
  ["t", readNumber],
  ["v", (value) => (typeof value === "number" || typeof value === "bigint" ? value : undefined)],
  ["vb", (value) => (typeof value === "boolean" ? value : undefined)],
  ["vd", (value) => (typeof value === "string" ? decodeBase64(value, "url") : undefined)],
]);

function refuse(field: string): never {
  throw new PeerError("SENML", `${field} has the wrong type`, { field });
}

/** Units may be ignored; other fields may not when they say so or change what a value means (RFC 8428 §4.4). */
function checkOther(name: string, value: JsonValue): void {
  const isOurVersion = name === "bver" && value === 10;
  if (!isOurVersion && (name.endsWith("_") || ["bver", "bv", "bs", "s"].includes(name)))
    throw new PeerError("SENML", "a field that LwM2M does not use", { field: name.slice(0, 64) });
}
