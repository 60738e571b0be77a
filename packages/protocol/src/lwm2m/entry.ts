/** What every content format is read into and written from: a flat list of values with their full paths. */
import { PeerError, UsageError } from "../lib/errors.ts";
import type { Models } from "./model.ts";
import { formatPath, isWithin, type Path } from "./path.ts";
import type { ResourceValue } from "./value.ts";

/** One value at a resource or a resource instance. Containers without a value below them leave no entry. */
export interface Entry {
  readonly path: Path;
  readonly value: ResourceValue;
  /** When it was measured, seconds since 1970 (below 2²⁸: relative to now); only SenML and LwM2M JSON carry it. */
  readonly timeS?: number;
}

/** What a codec needs to know beside the bytes. */
export interface Context {
  /** The path of the request: everything in the payload lies at it or below. */
  readonly base: Path;
  readonly models: Models;
  /** How many entries a peer may send in one payload; `DEFAULT_MAX_ENTRIES` unless told. */
  readonly maxEntries?: number;
}

/** Ample for the largest object of the registry, and no foothold for flooding. */
export const DEFAULT_MAX_ENTRIES = 4_096;

/** Collects what a decoder finds. */
export class EntryList {
  readonly entries: Entry[] = [];
  readonly #context: Context;
  readonly #seen = new Set<string>();

  constructor(context: Context) {
    this.#context = context;
  }

  /**
   * @throws {PeerError} PATH for a path outside the base, or one that is neither a resource nor a resource instance.
   * @throws {PeerError} DUPLICATE for a second value of the same path and time.
   * @throws {PeerError} TOO_MANY
   */
  add(entry: Entry): void {
    const { path } = entry;
    const { base, maxEntries = DEFAULT_MAX_ENTRIES } = this.#context;
    const facts = { path: formatPath(path), base: formatPath(base) };
    if (path.length < 3) throw new PeerError("PATH", "a value belongs to a resource", facts);
    if (!isWithin(base, path)) throw new PeerError("PATH", "a value outside the path of the request", facts);
    if (this.entries.length >= maxEntries) throw new PeerError("TOO_MANY", "too many values", { maxEntries });
    const key = `${facts.path} ${entry.timeS ?? ""}`;
    if (this.#seen.has(key)) throw new PeerError("DUPLICATE", "two values for one path", facts);
    this.#seen.add(key);
    this.entries.push(entry);
  }
}

/** @throws {UsageError} PATH for an entry that is not a resource's value or lies outside the base. */
export function assertEntry(path: Path, base: Path): void {
  if (path.length < 3 || path.length > 4 || !isWithin(base, path))
    throw new UsageError("PATH", "a value that does not belong into this payload", {
      path: formatPath(path),
      base: formatPath(base),
    });
}

/** The only entry of a format that holds one value. @throws {UsageError} PATH unless there is one, exactly at the base. */
export function singleEntry(entries: readonly Entry[], base: Path): Entry {
  const [entry] = entries;
  if (entry === undefined || entries.length !== 1 || entry.path.length !== base.length)
    throw new UsageError("PATH", "this format holds exactly one value", { count: entries.length });
  assertEntry(entry.path, base);
  return entry;
}

/** @throws {PeerError} PATH when a single value cannot stand for `base`, which is no resource. */
export function assertSingleBase(base: Path): void {
  if (base.length < 3)
    throw new PeerError("PATH", "this format cannot hold more than one value", { base: formatPath(base) });
}
