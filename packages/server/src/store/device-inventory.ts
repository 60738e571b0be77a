/** The fleet as operators see it: found by query, counted, labelled, and carried in and out as a list. */
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Kysely, sql } from "kysely";
import type { Query } from "../campaign/query/ast.ts";
import { decodeCursor, toPage } from "./cursor.ts";
import { storableText } from "./database.ts";
import { type Condition, compileQuery } from "./device-query.ts";
import { selectDevices, toDevice } from "./device-rows.ts";
import type { Journal, Written } from "./journal.ts";
import type { Page, PageRequest, StoredDevice } from "./ports.ts";
import type { Tables } from "./tables.ts";

export interface DeviceSelection {
  /** Absent = every device. */
  readonly query?: Query | undefined;
  /** By endpoint, from the last to the first. */
  readonly isDescending?: boolean | undefined;
  /** The moment that "-24h" counts from. */
  readonly utcMs: number;
}

/** How many devices a query finds. */
export interface DeviceCount {
  readonly count: number;
  /** False when there are more than were to be counted: then `count` is the planner's estimate. */
  readonly isExact: boolean;
}

/** What an operator says of a device; what is undefined stays. */
export interface DeviceEdit {
  readonly tags?: readonly string[] | undefined;
  readonly note?: string | undefined;
}

/** Devices that are counted one by one before an estimate will do. */
export const DEFAULT_COUNT_LIMIT = 100_000;

export class DeviceInventory {
  readonly #tables: Kysely<Tables>;
  readonly #journal: Journal;

  constructor(tables: Kysely<Tables>, journal: Journal) {
    this.#tables = tables;
    this.#journal = journal;
  }

  /**
   * Devices by endpoint, a page at a time.
   *
   * @throws {UsageError} CURSOR, QUERY_TOO_BROAD
   */
  async list({ query, isDescending = false, utcMs }: DeviceSelection, page: PageRequest): Promise<Page<StoredDevice>> {
    let rows = selectDevices(this.#tables);
    if (query !== undefined) rows = rows.where(await this.#condition(query, utcMs));
    if (page.cursor !== undefined)
      rows = rows.where("devices.endpoint", isDescending ? "<" : ">", decodeCursor(page.cursor));
    const found = await rows
      .orderBy("devices.endpoint", isDescending ? "desc" : "asc")
      .limit(page.limit + 1)
      .execute();
    return toPage(found, page.limit, { item: toDevice, position: (row) => row.endpoint });
  }

  /**
   * Whether there is no device that a query does not find.
   *
   * @throws {UsageError} QUERY_TOO_BROAD
   */
  async isEveryDevice({ query, utcMs }: DeviceSelection): Promise<boolean> {
    if (query === undefined) return true;
    const condition = await this.#condition(query, utcMs);
    const { rows } = await sql<{ is_all: boolean }>`
      select not exists (select from devices where (${condition}) is not true) as is_all`.execute(this.#tables);
    return rows[0]?.is_all ?? true;
  }

  /**
   * How many devices a query finds: exactly up to `limit`, beyond it an estimate.
   *
   * @throws {UsageError} QUERY_TOO_BROAD
   */
  async count({ query, utcMs }: DeviceSelection, limit = DEFAULT_COUNT_LIMIT): Promise<DeviceCount> {
    const condition = query === undefined ? sql<boolean>`true` : await this.#condition(query, utcMs);
    const { rows } = await sql<{ count: number }>`
      select count(*) as count from (select from devices where ${condition} limit ${limit + 1}) as found`.execute(
      this.#tables,
    );
    const count = rows[0]?.count ?? 0;
    if (count <= limit) return { count, isExact: true };
    return { count: Math.max(count, await this.#estimate(condition)), isExact: false };
  }

  /**
   * Changes what operators say of a device.
   *
   * @param revision What the operator has seen; absent = whatever it is.
   * @throws {UsageError} UNKNOWN_DEVICE (404), ETAG_MISMATCH (412) when someone else has changed it since.
   */
  async edit(endpoint: string, edit: DeviceEdit, revision?: number): Promise<StoredDevice> {
    const name = storableText(endpoint);
    const change = async (transaction: Kysely<Tables>): Promise<Written<void>> => {
      const old = await transaction
        .selectFrom("devices")
        .select("revision")
        .where("endpoint", "=", name)
        .forUpdate()
        .executeTakeFirst();
      if (old === undefined)
        throw new UsageError("UNKNOWN_DEVICE", `no device ${endpoint} has registered`, { endpoint });
      if (revision !== undefined && revision !== old.revision)
        throw new UsageError("ETAG_MISMATCH", `${endpoint} has been changed by someone else`, { endpoint });
      await transaction
        .updateTable("devices")
        .set({
          ...(edit.tags !== undefined && { tags: normalTags(edit.tags) }),
          ...(edit.note !== undefined && { note: storableText(edit.note) }),
          revision: old.revision + 1,
        })
        .where("endpoint", "=", name)
        .execute();
      const facts = { ...edit };
      return {
        result: undefined,
        events: [{ kind: "device.edited", endpoint: name, sentence: sentenceOf(edit), facts }],
      };
    };
    await this.#journal.write(change, { endpoints: [name] });
    const row = await selectDevices(this.#tables).where("endpoint", "=", name).executeTakeFirstOrThrow();
    return toDevice(row);
  }

  /**
   * Writes tags and notes of many devices at once; the same lines again change nothing.
   *
   * @param lines At most 1000, each endpoint once.
   * @returns The endpoints that no device has.
   */
  async importLines(lines: readonly (DeviceEdit & { readonly endpoint: string })[]): Promise<string[]> {
    const endpoints = lines.map(({ endpoint }) => storableText(endpoint));
    const { rows } = await sql<{ endpoint: string }>`
      with new as (
        select * from unnest(
          ${endpoints}::text[],
          ${lines.map(({ tags }) => tags && JSON.stringify(normalTags(tags)))}::text[],
          ${lines.map(({ note }) => note && storableText(note))}::text[]) as line(endpoint, tags, note)),
      locked as (
        select endpoint from devices where endpoint = any(${endpoints}::text[]) order by endpoint for update),
      changed as (
        update devices set
          tags = case when new.tags is null then devices.tags
            else array(select jsonb_array_elements_text(new.tags::jsonb)) end,
          note = coalesce(new.note, devices.note),
          revision = revision + 1
        from new join locked using (endpoint) where devices.endpoint = new.endpoint)
      select new.endpoint from new where not exists (select from devices where devices.endpoint = new.endpoint)`.execute(
      this.#tables,
    );
    return rows.map(({ endpoint }) => endpoint);
  }

  #condition(query: Query, utcMs: number): Promise<Condition> {
    return compileQuery(this.#tables, query, utcMs);
  }

  async #estimate(condition: Condition): Promise<number> {
    const { rows } = await sql<{ "QUERY PLAN": readonly { Plan: { "Plan Rows": number } }[] }>`
      explain (format json) select from devices where ${condition}`.execute(this.#tables);
    return rows[0]?.["QUERY PLAN"][0]?.Plan["Plan Rows"] ?? 0;
  }
}

/** Each once and sorted, so that the same tags are the same value. */
const normalTags = (tags: readonly string[]): string[] => [...new Set(tags.map(storableText))].sort();

function sentenceOf({ tags, note }: DeviceEdit): string {
  const parts = [
    ...(tags === undefined ? [] : [`tags: ${tags.length === 0 ? "none" : tags.join(", ")}`]),
    ...(note === undefined ? [] : ["a new note"]),
  ];
  return `an operator changed the device: ${parts.join("; ") || "nothing"}`;
}
