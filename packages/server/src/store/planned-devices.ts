/** The devices of a plan: streamed by, so that a plan over a million of them holds a page. */
import { type Kysely, type RawBuilder, sql } from "kysely";
import type { PlannedDevice } from "../campaign/plan.ts";
import type { Query } from "../campaign/query/ast.ts";
import { compileQuery } from "./device-query.ts";
import type { Tables } from "./tables.ts";
import { type FactsRow, toFacts } from "./target-rows.ts";

/** A device with the wave that it has been dealt into; undefined = it has not. `isMesh`: it is reached by radio. */
export type PlannedTarget = PlannedDevice & { readonly wave: number | undefined; readonly isMesh: boolean };

const PAGE_ROWS = 2000;

/** The devices that a query finds, by endpoint. @param utcMs The moment that "-24h" counts from. */
export async function* queriedDevices(
  tables: Kysely<Tables>,
  { query, utcMs }: { readonly query: Query; readonly utcMs: number },
): AsyncGenerator<PlannedTarget> {
  const condition = await compileQuery(tables, query, utcMs);
  yield* pagesOf(
    tables,
    (after) => sql`null::integer as wave from devices
    where (${condition}) and devices.endpoint > ${after}`,
  );
}

/** The devices that a campaign has, by endpoint. */
export async function* campaignDevices(tables: Kysely<Tables>, campaignId: string): AsyncGenerator<PlannedTarget> {
  yield* pagesOf(
    tables,
    (after) => sql`t.wave from campaign_targets t join devices on devices.endpoint = t.endpoint
    where t.campaign_id = ${campaignId} and t.endpoint > ${after}`,
  );
}

/** The devices that a query finds and a campaign does not have, by endpoint. */
export async function* outsideDevices(
  tables: Kysely<Tables>,
  { campaignId, query, utcMs }: { readonly campaignId: string; readonly query: Query; readonly utcMs: number },
): AsyncGenerator<PlannedTarget> {
  const condition = await compileQuery(tables, query, utcMs);
  yield* pagesOf(
    tables,
    (after) => sql`null::integer as wave from devices
    where (${condition}) and devices.endpoint > ${after} and not exists (
      select from campaign_targets t where t.campaign_id = ${campaignId} and t.endpoint = devices.endpoint)`,
  );
}

type PlannedRow = FactsRow & { readonly endpoint: string; readonly wave: number | null; readonly is_mesh: boolean };

async function* pagesOf(
  tables: Kysely<Tables>,
  rowsAfter: (endpoint: string) => RawBuilder<unknown>,
): AsyncGenerator<PlannedTarget> {
  for (let after = "", isMore = true; isMore; ) {
    const { rows } = await sql<PlannedRow>`
      select devices.endpoint, devices.transport = 'zmesh' as is_mesh, manufacturer, model, version, hardware, tags, presence, devices.cell, signal, resources,
        timezone, utc_offset, failure_count, left_versions,
        (extract(epoch from last_seen_at) * 1000)::bigint as last_seen_ms,
        (extract(epoch from last_failure_at) * 1000)::bigint as last_failure_ms,
        ${rowsAfter(after)} order by devices.endpoint limit ${PAGE_ROWS}`.execute(tables);
    for (const row of rows) yield { ...toFacts(row.endpoint, row), wave: row.wave ?? undefined, isMesh: row.is_mesh };
    after = rows.at(-1)?.endpoint ?? after;
    isMore = rows.length === PAGE_ROWS;
  }
}
