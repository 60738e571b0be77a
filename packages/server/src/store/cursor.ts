/** Cursors of lists: where the next page starts, opaque to the client. */
import { UsageError } from "@airlift/protocol/lib/errors";
import type { Page } from "./ports.ts";

export function encodeCursor(position: string | number): string {
  return Buffer.from(`${position}`, "utf8").toString("base64url");
}

/** @throws {UsageError} CURSOR when no list gave this cursor. */
export function decodeCursor(cursor: string): string {
  const position = Buffer.from(cursor, "base64url").toString("utf8");
  if (position === "" || position.includes("\0") || encodeCursor(position) !== cursor)
    throw new UsageError("CURSOR", "no list gave this cursor");
  return position;
}

/** As `decodeCursor`, for a list by number. */
export function decodeNumberCursor(cursor: string): number {
  const position = Number(decodeCursor(cursor));
  if (!Number.isSafeInteger(position)) throw new UsageError("CURSOR", "no list gave this cursor");
  return position;
}

/** A page of at most `limit` from rows that were asked for with one more. */
export function toPage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  mapping: { item: (row: Row) => Item; position: (row: Row) => string | number },
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const next = rows.length > limit && last !== undefined ? encodeCursor(mapping.position(last)) : null;
  return { items: shown.map(mapping.item), next };
}
