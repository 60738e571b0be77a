/** Paths as people write them: "/3/0/Reboot", "/Device/0/Manufacturer", "/3/0/4". */
import { UsageError } from "../lib/errors.ts";
import type { Models, ObjectModel } from "./model.ts";
import { isId, type Path } from "./path.ts";

/**
 * The path of ids behind `text`. Objects and resources may go by their names in the object models: letters and digits
 * count, their case and all else does not.
 *
 * @throws {UsageError} PATH for what is no path, UNKNOWN_NAME for a name that no model has, AMBIGUOUS_NAME for one of
 *   several.
 */
export function resolvePath(text: string, models: Models): Path {
  const trimmed = text.replace(/^\/|\/$/g, "");
  if (trimmed === "") return [];
  const segments = trimmed.split("/");
  if (segments.length > 4)
    throw new UsageError("PATH", `${text.slice(0, 64)} has more than four parts`, { text: text.slice(0, 64) });
  const path: number[] = [];
  for (const [level, segment] of segments.entries()) path.push(resolveSegment(segment, { level, path, models }));
  return path;
}

interface Place {
  readonly level: number;
  readonly path: Path;
  readonly models: Models;
}

function resolveSegment(segment: string, { level, path, models }: Place): number {
  if (/^[0-9]+$/.test(segment)) return idOf(segment);
  if (level === 0) return only(segment, named(segment, models.all()));
  const [objectId = -1] = path;
  if (level === 2) return only(segment, named(segment, models.object(objectId)?.resources.values() ?? []));
  throw new UsageError("PATH", `${segment.slice(0, 64)} is no number of an instance`, {
    segment: segment.slice(0, 64),
  });
}

function idOf(segment: string): number {
  const id = Number(segment);
  if (!isId(id)) throw new UsageError("PATH", "an id is a number from 0 to 65534", { segment: segment.slice(0, 64) });
  return id;
}

function named(segment: string, of: Iterable<Pick<ObjectModel, "id" | "name">>): number[] {
  const wanted = plain(segment);
  return [...of].filter(({ name }) => wanted !== "" && plain(name) === wanted).map(({ id }) => id);
}

function only(segment: string, ids: readonly number[]): number {
  const [id] = ids;
  const name = segment.slice(0, 64);
  if (id === undefined) throw new UsageError("UNKNOWN_NAME", `no object model has the name ${name}`, { name });
  if (ids.length > 1)
    throw new UsageError("AMBIGUOUS_NAME", `${name} is the name of several: ${ids.join(", ")}`, { name, ids });
  return id;
}

const plain = (name: string): string => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

/** "Device/Reboot" for `/3/0/4`: the names of what a path names, as far as the models know; `undefined` where they do not. */
export function nameOfPath(path: Path, models: Models): string | undefined {
  const [objectId = -1, , resourceId] = path;
  const object = models.object(objectId);
  if (object === undefined || resourceId === undefined) return object?.name;
  return object.resources.get(resourceId)?.name;
}
