/** The binary type-length-value format, 11542 (LwM2M Core 1.2 §7.4.3). */
import { concat } from "../lib/bytes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";
import { assertEntry, type Context, type Entry, EntryList } from "./entry.ts";
import { resourceAt, typeForEncoding } from "./model.ts";
import { formatPath, isId, type Path } from "./path.ts";
import { decodeTlvValue, encodeTlvValue } from "./tlv-value.ts";

/** Bits 7–6 of the type octet. */
const INSTANCE = 0;
const RESOURCE_INSTANCE = 1;
const MULTIPLE_RESOURCE = 2;
const RESOURCE = 3;

/**
 * `entries` as TLV, in their order, grouped by container. Below an object each instance has its own container.
 *
 * @throws {UsageError} PATH, VALUE_TYPE
 */
export function encodeTlv(entries: readonly Entry[], context: Context): Uint8Array {
  const { base } = context;
  if (base.length === 0) throw new UsageError("PATH", "TLV cannot carry several objects");
  for (const { path } of entries) assertEntry(path, base);
  if (base.length > 1) return encodeResources(entries, context);
  const instances = groupBy(entries, 1);
  return concat([...instances].map(([id, inside]) => item(INSTANCE, id, encodeResources(inside, context))));
}

function encodeResources(entries: readonly Entry[], context: Context): Uint8Array {
  return concat([...groupBy(entries, 2)].map(([id, inside]) => encodeResource(id, inside, context)));
}

function encodeResource(id: number, entries: readonly Entry[], context: Context): Uint8Array {
  const value = ({ path, value: of }: Entry) => encodeTlvValue(typeForEncoding(context.models, path, of), of);
  const [first] = entries;
  if (first?.path.length === 3 && entries.length === 1) return item(RESOURCE, id, value(first));
  if (entries.some(({ path }) => path.length === 3))
    throw new UsageError("PATH", "a resource has one value or resource instances", { resourceId: id });
  const inside = entries.map((entry) => item(RESOURCE_INSTANCE, entry.path[3] ?? 0, value(entry)));
  return item(MULTIPLE_RESOURCE, id, concat(inside));
}

function groupBy(entries: readonly Entry[], level: number): Map<number, Entry[]> {
  const groups = new Map<number, Entry[]>();
  for (const entry of entries) {
    const id = entry.path[level] ?? 0;
    const group = groups.get(id);
    if (group) group.push(entry);
    else groups.set(id, [entry]);
  }
  return groups;
}

function item(kind: number, id: number, value: Uint8Array): Uint8Array {
  const { length } = value;
  if (length > 0xff_ffff) throw new UsageError("VALUE_SIZE", "TLV holds values up to 16 MiB", { sizeBytes: length });
  const lengthBytes = length < 8 ? 0 : length <= 0xff ? 1 : length <= 0xffff ? 2 : 3;
  const wideId = id > 0xff;
  const head = [(kind << 6) | (wideId ? 0x20 : 0) | (lengthBytes << 3) | (lengthBytes === 0 ? length : 0)];
  if (wideId) head.push(id >> 8);
  head.push(id & 0xff);
  for (let shift = 8 * (lengthBytes - 1); shift >= 0; shift -= 8) head.push((length >> shift) & 0xff);
  return concat([Uint8Array.from(head), value]);
}

/**
 * The values in a TLV payload. Values of resources that no model knows come as octets. A single-instance object may
 * send its resources with or without the instance around them; a resource instance may come inside its resource or bare.
 *
 * @throws {PeerError} TLV for broken structure.
 * @throws {PeerError} VALUE for octets that are no value of the resource's type.
 * @throws {PeerError} PATH, DUPLICATE, TOO_MANY
 */
export function decodeTlv(payload: Uint8Array, context: Context): Entry[] {
  const { base } = context;
  if (base.length === 0) throw new PeerError("TLV", "TLV cannot carry several objects");
  const list = new EntryList(context);
  for (const read of readItems(payload)) decodeTop(read, context, list);
  return list.entries;
}

interface Item {
  readonly kind: number;
  readonly id: number;
  readonly value: Uint8Array;
}

function decodeTop(read: Item, context: Context, list: EntryList): void {
  const [objectId = 0, instanceId, resourceId] = context.base;
  if (read.kind === INSTANCE) {
    for (const inside of readItems(read.value)) decodeResource(inside, [objectId, read.id], { context, list });
  } else if (read.kind === RESOURCE_INSTANCE) {
    if (instanceId === undefined || resourceId === undefined)
      throw new PeerError("TLV", "a resource instance outside a resource", { base: formatPath(context.base) });
    addValue(read, [objectId, instanceId, resourceId, read.id], { context, list });
  } else {
    if (instanceId === undefined && context.models.object(objectId)?.multiple)
      throw new PeerError("TLV", "resources without their instance", { base: formatPath(context.base) });
    decodeResource(read, [objectId, instanceId ?? 0], { context, list });
  }
}

interface Target {
  readonly context: Context;
  readonly list: EntryList;
}

function decodeResource(read: Item, instance: Path, target: Target): void {
  const path = [...instance, read.id];
  if (read.kind === RESOURCE) {
    addValue(read, path, target);
    return;
  }
  if (read.kind !== MULTIPLE_RESOURCE) throw new PeerError("TLV", "not a resource", { path: formatPath(path) });
  for (const inside of readItems(read.value)) {
    if (inside.kind !== RESOURCE_INSTANCE)
      throw new PeerError("TLV", "not a resource instance", { path: formatPath(path) });
    addValue(inside, [...path, inside.id], target);
  }
}

function addValue(read: Item, path: Path, { context, list }: Target): void {
  const type = resourceAt(context.models, path)?.type ?? "opaque";
  list.add({ path, value: decodeTlvValue(type, read.value) });
}

function* readItems(bytes: Uint8Array): Generator<Item> {
  let offset = 0;
  const take = (count: number): number => {
    if (offset + count > bytes.length) throw new PeerError("TLV", "the payload ends inside an item", { offset });
    let value = 0;
    for (const end = offset + count; offset < end; offset += 1) value = value * 256 + (bytes[offset] ?? 0);
    return value;
  };
  while (offset < bytes.length) {
    const type = take(1);
    const id = take(type & 0x20 ? 2 : 1);
    if (!isId(id)) throw new PeerError("TLV", "65535 is no id", { offset });
    const lengthBytes = (type >> 3) & 3;
    const length = lengthBytes === 0 ? type & 7 : take(lengthBytes);
    if (offset + length > bytes.length)
      throw new PeerError("TLV", "an item longer than the payload", { offset, length });
    yield { kind: type >> 6, id, value: bytes.subarray(offset, offset + length) };
    offset += length;
  }
}
