/** Sensor measurement lists as LwM2M uses them (RFC 8428, LwM2M Core 1.2 §7.4.4): records, apart from their notation. */
import { PeerError } from "../lib/errors.ts";
import { assertEntry, type Context, type Entry, EntryList } from "./entry.ts";
import { resourceAt, typeForEncoding } from "./model.ts";
import { formatPath, parsePath } from "./path.ts";
import {
  assertValueOf,
  formatObjectLink,
  isValueOf,
  type ObjectLink,
  parseObjectLink,
  type ResourceType,
  type ResourceValue,
} from "./value.ts";

/** The fields of one record that LwM2M knows, by their names in JSON. */
export interface SenmlRecord {
  /** Base name and base time: valid for this record and all after it. */
  readonly bn?: string;
  readonly bt?: number;
  readonly n?: string;
  readonly t?: number;
  readonly v?: number | bigint;
  readonly vs?: string;
  readonly vb?: boolean;
  readonly vd?: Uint8Array;
  readonly vlo?: string;
}

/** The field that carries a value of each type. */
const FIELD: Readonly<Record<ResourceType, "v" | "vs" | "vb" | "vd" | "vlo">> = {
  string: "vs",
  corelnk: "vs",
  integer: "v",
  unsigned: "v",
  float: "v",
  time: "v",
  boolean: "vb",
  opaque: "vd",
  objlnk: "vlo",
  none: "vs",
};

/** Records for `entries`, in their order; the first names the base, all others what lies below it. */
export function toRecords(entries: readonly Entry[], { base, models }: Context): SenmlRecord[] {
  const prefix = base.length === 0 ? "/" : formatPath(base);
  return entries.map(({ path, value, timeS }, index) => {
    assertEntry(path, base);
    const type = typeForEncoding(models, path, value);
    assertValueOf(type, value);
    const rest = path.slice(base.length).join("/");
    // A base name ends in a slash unless it is the whole name, so that names can simply be put behind it.
    const first = index === 0 ? { bn: rest === "" || prefix === "/" ? prefix : `${prefix}/` } : {};
    return {
      ...first,
      ...(rest === "" ? {} : { n: rest }),
      ...(timeS === undefined ? {} : { t: timeS }),
      [FIELD[type]]: type === "objlnk" ? formatObjectLink(value as ObjectLink) : value,
    };
  });
}

/**
 * The values of `records`. Types come from the models; a resource that none knows has the type of its field.
 *
 * @throws {PeerError} SENML for a name that is no path or a record without exactly one value.
 * @throws {PeerError} VALUE, PATH, DUPLICATE, TOO_MANY
 */
export function fromRecords(records: readonly SenmlRecord[], context: Context): Entry[] {
  const list = new EntryList(context);
  let baseName = "";
  let baseTimeS: number | undefined;
  for (const record of records) {
    baseName = record.bn ?? baseName;
    baseTimeS = record.bt ?? baseTimeS;
    const path = parsePath(baseName + (record.n ?? ""));
    const value = readValue(record, resourceAt(context.models, path)?.type);
    const timeS = record.t === undefined ? baseTimeS : (baseTimeS ?? 0) + record.t;
    list.add(timeS === undefined ? { path, value } : { path, value, timeS });
  }
  return list.entries;
}

function readValue(record: SenmlRecord, type: ResourceType | undefined): ResourceValue {
  const present = VALUE_FIELDS.filter((field) => record[field] !== undefined);
  const [field] = present;
  if (field === undefined || present.length > 1)
    throw new PeerError("SENML", "a record has exactly one value", { fields: present });
  const raw = record[field] as ResourceValue;
  const value = field === "vlo" ? parseObjectLink(raw as string) : raw;
  const fitting = type === "float" && typeof value === "bigint" ? Number(value) : value;
  if (type !== undefined && !isValueOf(type, fitting))
    throw new PeerError("VALUE", `not a value of type ${type}`, { type, field });
  return fitting;
}
const VALUE_FIELDS = ["v", "vs", "vb", "vd", "vlo"] as const;
