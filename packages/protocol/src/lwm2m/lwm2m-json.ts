/** LwM2M JSON, format 11543, which LwM2M 1.0 devices speak (LwM2M TS 1.0.2 §6.4.4). */
import { encodeUtf8 } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";
import { assertEntry, type Context, DEFAULT_MAX_ENTRIES, type Entry, EntryList } from "./entry.ts";
import { formatJsonObject, isJsonObject, type JsonObject, type JsonValue, parseJson } from "./json.ts";
import { resourceAt, typeForEncoding } from "./model.ts";
import { formatPath, parsePath } from "./path.ts";
import { formatValue, parseValue } from "./text.ts";
import { assertValueOf, isValueOf, parseObjectLink, type ResourceType, type ResourceValue } from "./value.ts";

/** @throws {UsageError} PATH, VALUE_TYPE, VALUE */
export function encodeLwm2mJson(entries: readonly Entry[], { base, models }: Context): Uint8Array {
  const elements = entries.map(({ path, value, timeS }) => {
    assertEntry(path, base);
    const name = path.slice(base.length).join("/");
    return formatJsonObject({ n: name, t: timeS, ...toField(typeForEncoding(models, path, value), value) });
  });
  // A base name ends in a slash unless it is the whole name, so that names can simply be put behind it.
  const isWhole = base.length === 0 || entries.some(({ path }) => path.length === base.length);
  const baseName = isWhole ? formatPath(base) : `${formatPath(base)}/`;
  return encodeUtf8(`{"bn":${JSON.stringify(baseName)},"e":[${elements.join(",")}]}`);
}

function toField(type: ResourceType, value: ResourceValue): Record<string, string | number | bigint | boolean> {
  assertValueOf(type, value);
  if (typeof value === "number" || typeof value === "bigint") return { v: value };
  if (typeof value === "boolean") return { bv: value };
  return { [type === "objlnk" ? "ov" : "sv"]: formatValue(type, value) };
}

/** Without a base name, names start at the path of the request. @throws {PeerError} JSON, VALUE, PATH, DUPLICATE, TOO_MANY */
export function decodeLwm2mJson(payload: Uint8Array, context: Context): Entry[] {
  const { maxEntries = DEFAULT_MAX_ENTRIES, base } = context;
  const root = parseJson(payload, 3);
  const elements = isJsonObject(root) ? root["e"] : undefined;
  if (!isJsonObject(root) || !Array.isArray(elements)) throw new PeerError("JSON", "not a list of elements");
  if (elements.length > maxEntries) throw new PeerError("TOO_MANY", "too many elements", { maxEntries });
  const baseName = optional(root, "bn", "string") ?? formatPath(base);
  const baseTimeS = optional(root, "bt", "number");
  const list = new EntryList(context);
  for (const element of elements as readonly JsonValue[]) {
    if (!isJsonObject(element)) throw new PeerError("JSON", "an element is an object");
    const path = parsePath(join(baseName, optional(element, "n", "string") ?? ""));
    const value = readField(element, resourceAt(context.models, path)?.type);
    const ownTimeS = optional(element, "t", "number");
    const timeS = ownTimeS === undefined ? baseTimeS : (baseTimeS ?? 0) + ownTimeS;
    list.add(timeS === undefined ? { path, value } : { path, value, timeS });
  }
  return list.entries;
}

/** Devices differ in which of the two carries the slash. */
function join(baseName: string, name: string): string {
  if (name === "") return baseName.length > 1 && baseName.endsWith("/") ? baseName.slice(0, -1) : baseName;
  return baseName.endsWith("/") || name.startsWith("/") ? baseName + name : `${baseName}/${name}`;
}

function optional(object: JsonObject, name: string, type: "string"): string | undefined;
function optional(object: JsonObject, name: string, type: "number"): number | undefined;
function optional(object: JsonObject, name: string, type: string): unknown {
  const value = Object.hasOwn(object, name) ? object[name] : undefined;
  if (value !== undefined && typeof value !== type) throw new PeerError("JSON", `${name} has the wrong type`, { name });
  return value;
}

function readField(element: JsonObject, type: ResourceType | undefined): ResourceValue {
  const present = ["v", "bv", "sv", "ov"].filter((field) => Object.hasOwn(element, field));
  const [field = ""] = present;
  const raw = element[field];
  if (present.length !== 1 || raw === undefined) throw new PeerError("JSON", "an element has exactly one value");
  const value = fitting(field, raw, type);
  if (value === undefined || (type !== undefined && !isValueOf(type, value)))
    throw new PeerError("VALUE", `not a value of type ${type ?? "any"}`, { type, field });
  return value;
}

function fitting(field: string, raw: JsonValue, type: ResourceType | undefined): ResourceValue | undefined {
  switch (field) {
    case "v":
      if (typeof raw === "bigint") return type === "float" ? Number(raw) : raw;
      return typeof raw === "number" ? raw : undefined;
    case "bv":
      return typeof raw === "boolean" ? raw : undefined;
    case "ov":
      return typeof raw === "string" ? parseObjectLink(raw) : undefined;
    default:
      if (typeof raw !== "string") return undefined;
      return type === "opaque" ? parseValue(type, raw) : raw;
  }
}
