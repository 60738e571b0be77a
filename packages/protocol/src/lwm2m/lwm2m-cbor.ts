/** LwM2M CBOR, format 11544: nested maps by id (LwM2M Core 1.2 §7.4.6). */
import { PeerError } from "../lib/errors.ts";
import { fromCbor, toCbor } from "./cbor.ts";
import { type CborValue, decodeItem, encodeItem } from "./cbor-item.ts";
import { assertEntry, type Context, DEFAULT_MAX_ENTRIES, type Entry, EntryList } from "./entry.ts";
import { resourceAt, typeForEncoding } from "./model.ts";
import { isPath, type Path } from "./path.ts";

type Tree = Map<CborValue, CborValue>;

/** One map a level, from the object down, whatever the base. @throws {UsageError} PATH, VALUE_TYPE */
export function encodeLwm2mCbor(entries: readonly Entry[], { base, models }: Context): Uint8Array {
  const tree: Tree = new Map();
  for (const { path, value } of entries) {
    assertEntry(path, base);
    place(tree, path, toCbor(typeForEncoding(models, path, value), value));
  }
  return encodeItem(tree);
}

function place(tree: Tree, path: Path, value: CborValue): void {
  let map = tree;
  for (const id of path.slice(0, -1)) {
    const inside = map.get(id);
    const next = inside instanceof Map ? inside : new Map<CborValue, CborValue>();
    map.set(id, next);
    map = next;
  }
  map.set(path.at(-1) ?? 0, value);
}

/** Keys are ids or arrays of several. @throws {PeerError} CBOR, VALUE, PATH, DUPLICATE, TOO_MANY */
export function decodeLwm2mCbor(payload: Uint8Array, context: Context): Entry[] {
  const { maxEntries = DEFAULT_MAX_ENTRIES } = context;
  // Four maps with a decimal fraction inside, or with an array as the key of the last.
  const tree = decodeItem(payload, { maxDepth: 6, maxItems: 16 + 12 * maxEntries });
  if (!(tree instanceof Map)) throw new PeerError("CBOR", "not a map");
  const list = new EntryList(context);
  walk(tree, [], (path, item) => {
    list.add({ path, value: fromCbor(resourceAt(context.models, path)?.type, item) });
  });
  return list.entries;
}

function walk(
  tree: ReadonlyMap<CborValue, CborValue>,
  above: Path,
  found: (path: Path, item: CborValue) => void,
): void {
  for (const [key, item] of tree) {
    const ids = Array.isArray(key) ? (key as readonly CborValue[]) : [key as CborValue];
    const path = [...above, ...(ids as readonly number[])];
    if (ids.length === 0 || !ids.every((id) => typeof id === "number") || !isPath(path))
      throw new PeerError("PATH", "not a path", { depth: path.length });
    if (item instanceof Map) walk(item, path, found);
    else found(path, item);
  }
}
