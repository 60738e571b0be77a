/** Addresses in a device's data: object, instance, resource, resource instance (LwM2M Core 1.2 §7.1). */
import { PeerError, UsageError } from "../lib/errors.ts";

/** Zero to four ids, outermost first, each 0..65534: `[]` is the root, `[5, 0, 3]` the resource `/5/0/3`. */
export type Path = readonly number[];

/** The largest id; 65535 means "none" and never names anything. */
export const MAX_ID = 65_534;

/** What a path of each length names. */
export const PATH_LEVELS = ["root", "object", "instance", "resource", "resourceInstance"] as const;

export type PathLevel = (typeof PATH_LEVELS)[number];

export const ROOT: Path = [];

/** @throws {UsageError} PATH for more than four ids or one outside 0..65534. */
export function pathOf(...ids: number[]): Path {
  if (!isPath(ids)) throw new UsageError("PATH", "not a path", { ids });
  return ids;
}

/** Whether `ids` are at most four, each 0..65534. */
export function isPath(ids: readonly number[]): boolean {
  return ids.length <= 4 && ids.every(isId);
}

export function isId(id: number): boolean {
  return Number.isInteger(id) && id >= 0 && id <= MAX_ID;
}

/**
 * Reads `/5/0/3`; `/` is the root.
 *
 * @throws {PeerError} PATH for anything but a slash before each id, and ids in plain decimal without leading zeros.
 */
export function parsePath(text: string): Path {
  if (text === "/") return ROOT;
  if (!text.startsWith("/")) throw new PeerError("PATH", "a path starts with a slash", { text: text.slice(0, 64) });
  return pathOfSegments(text.slice(1).split("/"));
}

/** The path of a request's Uri-Path options. @throws {PeerError} PATH */
export function pathOfSegments(segments: readonly string[]): Path {
  if (segments.length > 4) throw new PeerError("PATH", "a path has at most four ids", { count: segments.length });
  return segments.map(parseId);
}

/** @throws {PeerError} PATH */
export function parseId(text: string): number {
  const id = /^(0|[1-9][0-9]{0,4})$/.test(text) ? Number(text) : Number.NaN;
  if (!isId(id)) throw new PeerError("PATH", "an id is a number from 0 to 65534", { text: text.slice(0, 64) });
  return id;
}

export function formatPath(path: Path): string {
  return `/${path.join("/")}`;
}

/** The Uri-Path options that carry `path`. */
export function segmentsOf(path: Path): string[] {
  return path.map(String);
}

export function levelOf(path: Path): PathLevel {
  return PATH_LEVELS[path.length] ?? "root";
}

export function equalPaths(a: Path, b: Path): boolean {
  return a.length === b.length && isWithin(a, b);
}

/** Whether `path` is `base` or lies below it. */
export function isWithin(base: Path, path: Path): boolean {
  return base.length <= path.length && base.every((id, i) => path[i] === id);
}

/** Order by ids, a path before everything below it: for sorting. */
export function comparePaths(a: Path, b: Path): number {
  for (const [i, id] of a.entries()) {
    const other = b[i];
    if (other === undefined) return 1;
    if (id !== other) return id - other;
  }
  return a.length - b.length;
}
