/** The devices: how each is registered and what it last said of itself. Written in batches, read at once. */
import { type Kysely, type Selectable, sql } from "kysely";
import { expiresAtMs } from "../fleet/registration.ts";
import { isSecure, type Transport } from "../fleet/sender.ts";
import { BatchWriter, type BatchWriterOptions } from "./batch-writer.ts";
import { decodeCursor, toPage } from "./cursor.ts";
import { isRowFault, storableJson, storableText } from "./database.ts";
import { isFree } from "./node-store.ts";
import type { DeviceReport, DeviceStore, KeptRegistration, Page, PageRequest, StoredDevice } from "./ports.ts";
import type { DeviceTable, Tables } from "./tables.ts";

/** What waits for one endpoint. */
interface Pending {
  readonly registration?: KeptRegistration;
  readonly report?: DeviceReport;
}

/** Registrations that are read at once: a restart's memory does not grow with the fleet by more than what is kept of it. */
const PAGE_ROWS = 5_000;

/** What a registration is made of. */
const REGISTRATION_COLUMNS = [
  "endpoint",
  "registration_id",
  "presence",
  "transport",
  "address",
  "lwm2m_version",
  "binding",
  "queue_mode",
  "lifetime_s",
  "objects",
  "registered_at",
  "last_seen_at",
  "resources",
] as const;
type RegistrationRow = Pick<Selectable<DeviceTable>, (typeof REGISTRATION_COLUMNS)[number]>;

/** A lifetime may reach behind what a calendar can show. */
const LAST_INSTANT_MS = Date.UTC(9999, 11, 31);

export class PostgresDeviceStore implements DeviceStore {
  readonly #tables: Kysely<Tables>;
  readonly #writer: BatchWriter<Pending>;

  readonly #nodeId: string;

  /** @param nodeId The server that this one is. */
  constructor(tables: Kysely<Tables>, nodeId: string, options: BatchWriterOptions = {}) {
    this.#tables = tables;
    this.#nodeId = nodeId;
    this.#writer = new BatchWriter((rows) => this.#write(rows), {
      isPermanent: isRowFault,
      ...options,
      merge: (older, newer) => ({
        ...older,
        ...newer,
        ...(older.report && newer.report && { report: mergeReports(older.report, newer.report) }),
      }),
    });
  }

  /** How many endpoints wait to be written. */
  get waitingRows(): number {
    return this.#writer.waitingRows;
  }

  async loadRegistrations(): Promise<KeptRegistration[]> {
    await this.claimFree();
    return await this.#tables.transaction().execute(async (transaction) => {
      await sql`declare kept no scroll cursor for
        select ${sql.join(REGISTRATION_COLUMNS.map((name) => sql.ref(name)))} from devices
        where node_id = ${this.#nodeId} and transport <> 'zmesh'`.execute(transaction);
      const fetchNext = () => sql<RegistrationRow>`fetch ${sql.raw(`${PAGE_ROWS}`)} from kept`.execute(transaction);
      const kept: KeptRegistration[] = [];
      for (let rows = (await fetchNext()).rows; rows.length > 0; rows = (await fetchNext()).rows)
        for (const row of rows) kept.push(toRegistration(row));
      return kept;
    });
  }

  async claimFree(limit?: number): Promise<KeptRegistration[]> {
    const { rows } = await sql<Selectable<DeviceTable>>`
      with mine as (
        select endpoint from devices where node_id is distinct from ${this.#nodeId} and transport <> 'zmesh'
          and ${isFree("devices.node_id")}
        ${limit === undefined ? sql`` : sql`limit ${limit}`} for update skip locked)
      update devices set node_id = ${this.#nodeId} from mine where devices.endpoint = mine.endpoint
      returning devices.*`.execute(this.#tables);
    return rows.map(toRegistration);
  }

  queueSave(registrations: readonly KeptRegistration[]): boolean {
    let isComplete = true;
    for (const registration of registrations)
      isComplete = this.#writer.put(storableText(registration.endpoint), { registration }) && isComplete;
    return isComplete;
  }

  queueReport(report: DeviceReport): boolean {
    return this.#writer.put(storableText(report.endpoint), { report });
  }

  flush(): Promise<void> {
    return this.#writer.flush();
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  async get(endpoint: string): Promise<StoredDevice | undefined> {
    const row = await selectDevices(this.#tables).where("endpoint", "=", storableText(endpoint)).executeTakeFirst();
    return row && toDevice(row);
  }

  async registrationOf(endpoint: string): Promise<KeptRegistration | undefined> {
    const row = await this.#tables
      .selectFrom("devices")
      .select(REGISTRATION_COLUMNS)
      .where("endpoint", "=", storableText(endpoint))
      .where("presence", "=", "registered")
      .where("transport", "<>", "zmesh")
      .executeTakeFirst();
    return row && toRegistration(row);
  }

  async getMany(endpoints: readonly string[]): Promise<ReadonlyMap<string, StoredDevice>> {
    if (endpoints.length === 0) return new Map();
    const rows = await selectDevices(this.#tables).where("endpoint", "in", endpoints.map(storableText)).execute();
    return new Map(rows.map((row) => [row.endpoint, toDevice(row)]));
  }

  async securedAmong(endpoints: readonly string[]): Promise<ReadonlySet<string>> {
    if (endpoints.length === 0) return new Set();
    const { rows } = await sql<{ endpoint: string }>`select endpoint from devices
      where endpoint = any(${endpoints.map(storableText)}) and secured_at is not null`.execute(this.#tables);
    return new Set(rows.map(({ endpoint }) => endpoint));
  }

  async allowPlain(endpoint: string): Promise<boolean> {
    await this.flush();
    const { numUpdatedRows } = await this.#tables
      .updateTable("devices")
      .set({ secured_at: null })
      .where("endpoint", "=", storableText(endpoint))
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  }

  async list(page: PageRequest): Promise<Page<StoredDevice>> {
    let query = selectDevices(this.#tables);
    if (page.cursor !== undefined) query = query.where("endpoint", ">", decodeCursor(page.cursor));
    const rows = await query
      .orderBy("endpoint")
      .limit(page.limit + 1)
      .execute();
    return toPage(rows, page.limit, { item: toDevice, position: (row) => row.endpoint });
  }

  async #write(rows: readonly Pending[]): Promise<void> {
    const registrations = rows.flatMap(({ registration }) => registration ?? []);
    const reports = rows.flatMap(({ report }) => report ?? []);
    const isHere = ({ presence }: KeptRegistration): boolean => presence === "registered";
    const here = registrations.filter(isHere);
    const gone = registrations.filter((registration) => !isHere(registration));
    if (here.length > 0) await saveRegistrations(this.#tables, here, this.#nodeId);
    if (gone.length > 0) await endRegistrations(this.#tables, gone, this.#nodeId);
    if (reports.length > 0) await saveReports(this.#tables, reports);
  }
}

/** Every device with its newest update. */
export const selectDevices = (tables: Kysely<Tables>) =>
  tables
    .selectFrom("devices")
    .selectAll("devices")
    .select((select) =>
      select
        .selectFrom("updates")
        .select("updates.id")
        .whereRef("updates.endpoint", "=", "devices.endpoint")
        .orderBy("updates.seq", "desc")
        .limit(1)
        .as("update_id"),
    );

/** Columns of a registration: the type of its array and the value of one row, in the order of the statement. */
const COLUMNS: readonly (readonly [string, string, (registration: KeptRegistration) => unknown])[] = [
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
];

// Once secured, always secured. An Update of a registration that was forgiven meanwhile changes nothing.
const SECURED_AT = `case when devices.registered_at is distinct from excluded.registered_at
  then coalesce(excluded.secured_at, devices.secured_at) else devices.secured_at end`;

const UPSERT_HEAD = `insert into devices (${COLUMNS.map(([name]) => name).join(", ")}, node_id) select new.*, `;
// What one server has to say late must not undo that the device has registered at another since.
const UPSERT_TAIL = `) as new(${COLUMNS.map(([name]) => name).join(", ")})
  order by new.endpoint collate "C" on conflict (endpoint) do update set ${COLUMNS.slice(1)
    .map(([name]) => `${name} = ${name === "secured_at" ? SECURED_AT : `excluded.${name}`}`)
    .join(", ")}, node_id = excluded.node_id
  where devices.node_id is not distinct from excluded.node_id
    or devices.registration_id = excluded.registration_id
    or excluded.last_seen_at >= devices.last_seen_at`;

async function saveRegistrations(
  tables: Kysely<Tables>,
  registrations: readonly KeptRegistration[],
  nodeId: string,
): Promise<void> {
  const arrays = COLUMNS.map(([, type, read]) => sql`${registrations.map(read)}::${sql.raw(type)}[]`);
  const from = sql`${nodeId}::text from unnest(${sql.join(arrays)}`;
  await sql`${sql.raw(UPSERT_HEAD)}${from}${sql.raw(UPSERT_TAIL)}`.execute(tables);
}

/**
 * A fleet that expires at once: of what is on record only the presence and times change, so only they are sent. One that came and
 * went within a batch is not on record yet.
 */
async function endRegistrations(
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
    returning devices.endpoint`.execute(tables);
  if (rows.length === registrations.length) return;
  const known = new Set(rows.map(({ endpoint }) => endpoint));
  const unknown = registrations.filter(({ endpoint }) => !known.has(storableText(endpoint)));
  await saveRegistrations(tables, unknown, nodeId);
}

async function saveReports(tables: Kysely<Tables>, reports: readonly DeviceReport[]): Promise<void> {
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

function mergeReports(older: DeviceReport, newer: DeviceReport): DeviceReport {
  const given = Object.entries(newer).filter(([, value]) => value !== undefined);
  const resources = older.resources && newer.resources && { ...older.resources, ...newer.resources };
  return { ...older, ...Object.fromEntries(given), ...(resources && { resources }) };
}

const instantOf = (atMs: number): string => new Date(Math.min(atMs, LAST_INSTANT_MS)).toISOString();

function toRegistration(row: RegistrationRow): KeptRegistration {
  return {
    endpoint: row.endpoint,
    id: row.registration_id,
    presence: row.presence,
    // Rows of mesh devices are never read as registrations.
    transport: row.transport as Transport,
    address: row.address,
    lwm2mVersion: row.lwm2m_version,
    binding: row.binding,
    queueMode: row.queue_mode,
    lifetimeS: row.lifetime_s,
    objects: row.objects,
    registeredAtMs: row.registered_at.getTime(),
    lastSeenAtMs: row.last_seen_at.getTime(),
    ...(Object.keys(row.resources).length > 0 && { resources: row.resources }),
  };
}

/** A row of `selectDevices` as the API shows it. */
export function toDevice(row: Selectable<DeviceTable> & { update_id: string | null }): StoredDevice {
  return {
    endpoint: row.endpoint,
    presence: row.presence,
    transport: row.transport,
    address: row.address,
    lwm2mVersion: row.lwm2m_version,
    binding: row.binding,
    lifetimeS: row.lifetime_s,
    registeredAt: row.registered_at.toISOString(),
    lastSeenAt: row.last_seen_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    manufacturer: row.manufacturer,
    model: row.model,
    version: row.version,
    hardware: row.hardware,
    firmware: row.firmware,
    objects: objectPaths(row.objects),
    updateId: row.update_id,
    tags: row.tags,
    note: row.note,
    revision: row.revision,
    cell: row.cell,
    signal: row.signal,
    battery: row.battery,
    utcOffset: row.utc_offset,
    timezone: row.timezone,
    resources: row.resources,
    failureCount: row.failure_count,
    node: row.node_id,
  };
}

/** Objects and instances as paths; an object without instances stands for itself. */
function objectPaths({ objects }: KeptRegistration["objects"]): string[] {
  return objects.flatMap(({ objectId, instances }) =>
    instances.length === 0 ? [`/${objectId}`] : instances.map((instance) => `/${objectId}/${instance}`),
  );
}
