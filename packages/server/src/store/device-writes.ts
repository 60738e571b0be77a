/** What is written of devices, many at a time: their registrations, how these ended, and what they said of themselves. */
import { type Kysely, sql } from "kysely";
import { expiresAtMs } from "../fleet/registration.ts";
import { isSecure } from "../fleet/sender.ts";
import { storableJson, storableText } from "./database.ts";
import type { DeviceReport, KeptRegistration } from "./ports.ts";
import type { Tables } from "./tables.ts";

/** A lifetime may reach behind what a calendar can show. */
const LAST_INSTANT_MS = Date.UTC(9999, 11, 31);

/** Columns of a registration: the type of its array and the value of one row, in the order of the statement. */
const COLUMNS: readonly (readonly [string, string, (registration: KeptRegistration, nodeId: string) => unknown])[] = [
  ["endpoint", "text", (it) => storableText(it.endpoint)],
  ["registration_id", "text", (it) => storableText(it.id)],
  ["presence", "text", (it) => it.presence],
  ["transport", "text", (it) => it.transport],
  ["address", "text", (it) => it.address],
  ["lwm2m_version", "text", (it) => storableText(it.lwm2mVersion)],
  ["binding", "text", (it) => storableText(it.binding)],
  ["queue_mode", "boolean", (it) => it.queueMode],
  ["lifetime_s", "bigint", (it) => Math.round(it.lifetimeS)],
  ["objects", "jsonb", (it) => storableJson(it.objects)],
  ["registered_at", "timestamptz", (it) => instantOf(it.registeredAtMs)],
  ["last_seen_at", "timestamptz", (it) => instantOf(it.lastSeenAtMs)],
  ["expires_at", "timestamptz", (it) => instantOf(expiresAtMs(it))],
  ["secured_at", "timestamptz", (it) => (isSecure(it.transport) ? instantOf(it.registeredAtMs) : null)],
  ["node_id", "text", (_, nodeId) => nodeId],
  ["home_id", "text", (it, nodeId) => it.home ?? nodeId],
];

// Once secured, always secured. An Update of a registration that was forgiven meanwhile changes nothing.
const SECURED_AT = `case when devices.registered_at is distinct from excluded.registered_at
  then coalesce(excluded.secured_at, devices.secured_at) else devices.secured_at end`;

const UPSERT_HEAD = `insert into devices (${COLUMNS.map(([name]) => name).join(", ")}) select new.* from unnest(`;
// What one server has to say late must not undo that the device has registered at another since.
const UPSERT_TAIL = `) as new(${COLUMNS.map(([name]) => name).join(", ")})
  order by new.endpoint collate "C" on conflict (endpoint) do update set ${COLUMNS.slice(1)
    .map(([name]) => `${name} = ${name === "secured_at" ? SECURED_AT : `excluded.${name}`}`)
    .join(", ")}
  where devices.node_id is not distinct from excluded.node_id or excluded.last_seen_at >= devices.last_seen_at`;

/** Registrations as they are now; each device is this server's from then on. */
export async function saveRegistrations(
  tables: Kysely<Tables>,
  registrations: readonly KeptRegistration[],
  nodeId: string,
): Promise<void> {
  const arrays = COLUMNS.map(
    ([, type, read]) => sql`${registrations.map((one) => read(one, nodeId))}::${sql.raw(type)}[]`,
  );
  await sql`${sql.raw(UPSERT_HEAD)}${sql.join(arrays)}${sql.raw(UPSERT_TAIL)}`.execute(tables);
}

/**
 * A fleet that expires at once: of what is on record only the presence and times change, so only they are sent. One that came and
 * went within a batch is not on record yet. Of one that another server has by now, it says whether it is here.
 */
export async function endRegistrations(
  tables: Kysely<Tables>,
  registrations: readonly KeptRegistration[],
  nodeId: string,
): Promise<void> {
  const column = (read: (registration: KeptRegistration) => string) => registrations.map(read);
  const { rows } = await sql<{ endpoint: string }>`
    with ${lockedDevices(column(({ endpoint }) => endpoint))}
    update devices set presence = ended.presence, last_seen_at = ended.last_seen_at, expires_at = ended.expires_at
    from unnest(
      ${column(({ endpoint }) => storableText(endpoint))}::text[],
      ${column(({ id }) => storableText(id))}::text[],
      ${column(({ presence }) => presence)}::text[],
      ${column((it) => instantOf(it.lastSeenAtMs))}::timestamptz[],
      ${column((it) => instantOf(expiresAtMs(it)))}::timestamptz[]
    ) as ended(name, registration_id, presence, last_seen_at, expires_at) join locked on locked.endpoint = ended.name
    where devices.endpoint = ended.name and devices.registration_id = ended.registration_id
      and devices.node_id is not distinct from ${nodeId}
    returning devices.endpoint`.execute(tables);
  if (rows.length === registrations.length) return;
  const known = new Set(rows.map(({ endpoint }) => endpoint));
  // A guest is on record; where it is not as ours, its home has it back.
  const unknown = registrations.filter(
    ({ endpoint, home }) => home === undefined && !known.has(storableText(endpoint)),
  );
  await saveRegistrations(tables, unknown, nodeId);
}

/** What devices said of themselves; of one that never registered it is dropped. */
export async function saveReports(tables: Kysely<Tables>, reports: readonly DeviceReport[]): Promise<void> {
  // A key that is absent keeps its column; JSON null clears it.
  await sql`
    with ${lockedDevices(reports.map(({ endpoint }) => endpoint))}
    update devices set
      manufacturer = case when patch ? 'manufacturer' then patch->>'manufacturer' else manufacturer end,
      model = case when patch ? 'model' then patch->>'model' else model end,
      version = case when patch ? 'version' then patch->>'version' else version end,
      hardware = case when patch ? 'hardware' then patch->>'hardware' else hardware end,
      firmware = case when patch ? 'firmware' then nullif(patch->'firmware', 'null') else firmware end,
      cell = case when patch ? 'cell' then patch->>'cell' else cell end,
      signal = case when patch ? 'signal' then (patch->>'signal')::numeric::integer else signal end,
      battery = case when patch ? 'battery' then (patch->>'battery')::numeric::integer else battery end,
      utc_offset = case when patch ? 'utcOffset' then patch->>'utcOffset' else utc_offset end,
      timezone = case when patch ? 'timezone' then patch->>'timezone' else timezone end,
      resources = case when patch ? 'resources' then jsonb_strip_nulls(resources || (patch->'resources')) else resources end
    from unnest(
      ${reports.map((report) => storableText(report.endpoint))}::text[],
      ${reports.map(storableJson)}::jsonb[]
    ) as reported(name, patch) join locked on locked.endpoint = reported.name
    where devices.endpoint = reported.name`.execute(tables);
}

/** Rows in the order in which everyone locks them: a statement that joins them takes them as it finds them. */
const lockedDevices = (endpoints: readonly string[]) => sql`locked as (
  select endpoint from devices where endpoint = any(${endpoints.map(storableText)}::text[]) order by endpoint for update)`;

/** One report of two: what the newer one does not name stays. */
export function mergeReports(older: DeviceReport, newer: DeviceReport): DeviceReport {
  const given = Object.entries(newer).filter(([, value]) => value !== undefined);
  const resources = older.resources && newer.resources && { ...older.resources, ...newer.resources };
  return { ...older, ...Object.fromEntries(given), ...(resources && { resources }) };
}

const instantOf = (atMs: number): string => new Date(Math.min(atMs, LAST_INSTANT_MS)).toISOString();
