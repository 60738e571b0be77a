/** Sensor measurement lists in CBOR, format 112 (RFC 8428 §6, LwM2M Core 1.2 §7.4.4). */
import { PeerError } from "../lib/errors.ts";
import { type CborValue, decodeItem, encodeItem, secondsOf } from "./cbor-item.ts";
import { type Context, DEFAULT_MAX_ENTRIES, type Entry } from "./entry.ts";
import { fromRecords, type SenmlRecord, toRecords } from "./senml.ts";

/** Map keys of the fields, in the order the encoder writes them; `vlo` is LwM2M's own and has no number. */
const LABELS = { bn: -2, bt: -3, n: 0, t: 6, v: 2, vs: 3, vb: 4, vd: 8, vlo: "vlo" } as const;

const FIELDS = new Map(Object.entries(LABELS).map(([field, label]) => [label, field] as const));

/** Fields that may be ignored: units, and the version when it is the one we read. */
const VERSION_LABEL = -1;
const IGNORED = new Set<CborValue>([-4, 1, 7]);

/** Fields of RFC 8428 that change what a value means and that LwM2M does not use. */
const REFUSED = new Set<CborValue>([-5, -6, 5]);

/** @throws {UsageError} PATH, VALUE_TYPE */
export function encodeSenmlCbor(entries: readonly Entry[], context: Context): Uint8Array {
  return encodeSenmlCborRecords(toRecords(entries, context));
}

export function encodeSenmlCborRecords(records: readonly SenmlRecord[]): Uint8Array {
  return encodeItem(
    records.map((record) => {
      const fields = Object.entries(LABELS) as [keyof SenmlRecord, CborValue][];
      const present = fields.filter(([field]) => record[field] !== undefined);
      return new Map(present.map(([field, label]) => [label, record[field]]));
    }),
  );
}

/** @throws {PeerError} CBOR, SENML, VALUE, PATH, DUPLICATE, TOO_MANY */
export function decodeSenmlCbor(payload: Uint8Array, context: Context): Entry[] {
  return fromRecords(decodeSenmlCborRecords(payload, context.maxEntries), context);
}

/** The records themselves, which may lack a value. @throws {PeerError} CBOR, SENML, TOO_MANY */
export function decodeSenmlCborRecords(payload: Uint8Array, maxEntries = DEFAULT_MAX_ENTRIES): SenmlRecord[] {
  const list = decodeItem(payload, { maxDepth: 5, maxItems: 16 + 24 * maxEntries });
  if (!Array.isArray(list)) throw new PeerError("SENML", "not a list of records");
  return list.map(readRecord);
}

function readRecord(item: CborValue): SenmlRecord {
  if (!(item instanceof Map)) throw new PeerError("SENML", "a record is a map");
  const record: Record<string, CborValue> = {};
  for (const [label, value] of item as ReadonlyMap<CborValue, CborValue>) {
    const field = FIELDS.get(label as never);
    if (field !== undefined) record[field] = readField(field, value);
    else checkOther(label, value);
  }
  return record;
}

/** `v` and the times may come as epoch times (tag 1); all else has one shape. */
function readField(field: string, value: CborValue): CborValue {
  const plain = field === "v" || field === "t" || field === "bt" ? (secondsOf(value) ?? value) : value;
  if (!SHAPES[field as keyof SenmlRecord](plain))
    throw new PeerError("SENML", `${field} has the wrong type`, { field });
  return plain;
}

const isText = (value: CborValue): boolean => typeof value === "string";
const isNumber = (value: CborValue): boolean => Number.isFinite(value);
const SHAPES: Readonly<Record<keyof SenmlRecord, (value: CborValue) => boolean>> = {
  bn: isText,
  n: isText,
  vs: isText,
  vlo: isText,
  bt: isNumber,
  t: isNumber,
  v: (value) => typeof value === "number" || typeof value === "bigint",
  vb: (value) => typeof value === "boolean",
  vd: (value) => value instanceof Uint8Array,
};

/** @throws {PeerError} SENML for a field that must be understood and is not (RFC 8428 §4.4). */
function checkOther(label: CborValue, value: CborValue): void {
  const known = IGNORED.has(label) || (label === VERSION_LABEL && value === 10);
  const mustUnderstand =
    typeof label === "string" ? label.endsWith("_") : REFUSED.has(label) || label === VERSION_LABEL;
  if (!known && mustUnderstand)
    throw new PeerError("SENML", "a field that LwM2M does not use", { label: String(label) });
}
