/** The devices: how each is registered and what it last said of itself. Written in batches, read at once. */
import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Registration } from "../fleet/registration.ts";
import { BatchWriter, type BatchWriterOptions } from "./batch-writer.ts";
import { decodeCursor, toPage } from "./cursor.ts";
import { isRowFault, storableText } from "./database.ts";
import { REGISTRATION_COLUMNS, type RegistrationRow, selectDevices, toDevice, toRegistration } from "./device-rows.ts";
import { endRegistrations, mergeReports, saveRegistrations, saveReports } from "./device-writes.ts";
import { isFree } from "./node-store.ts";
import type { DeviceReport, DeviceStore, KeptRegistration, Page, PageRequest, StoredDevice } from "./ports.ts";
import type { Tables } from "./tables.ts";

/** What waits for one endpoint. */
interface Pending {
  readonly registration?: KeptRegistration;
  readonly report?: DeviceReport;
}

/** Registrations that are read at once: a restart's memory does not grow with the fleet by more than what is kept of it. */
const PAGE_ROWS = 5_000;
/** Registrations that are claimed at once at a start: a statement's work, and what others wait for it, is bounded. */
const CLAIMED_AT_ONCE = 20_000;

const COLUMNS_OF_DEVICES = sql.join(REGISTRATION_COLUMNS.map((name) => sql.ref(`devices.${name}`)));

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
    while ((await this.#claim(sql`devices.endpoint`, CLAIMED_AT_ONCE)).length === CLAIMED_AT_ONCE);
    return await this.#tables.transaction().execute(async (transaction) => {
      await sql`declare kept no scroll cursor for
        select ${COLUMNS_OF_DEVICES} from devices
        where node_id = ${this.#nodeId} and transport <> 'zmesh'`.execute(transaction);
      const fetchNext = () => sql<RegistrationRow>`fetch ${sql.raw(`${PAGE_ROWS}`)} from kept`.execute(transaction);
      const kept: KeptRegistration[] = [];
      for (let rows = (await fetchNext()).rows; rows.length > 0; rows = (await fetchNext()).rows)
        for (const row of rows) kept.push(toRegistration(row));
      return kept;
    });
  }

  async claim(limit: number): Promise<KeptRegistration[]> {
    return (await this.#claim<RegistrationRow>(COLUMNS_OF_DEVICES, limit)).map(toRegistration);
  }

  async leftAmong(registrations: readonly Registration[]): Promise<string[]> {
    if (registrations.length === 0) return [];
    const { rows } = await sql<{ endpoint: string }>`
      select ours.endpoint from unnest(
        ${registrations.map(({ endpoint }) => endpoint)}::text[], ${registrations.map(({ endpoint }) => storableText(endpoint))}::text[],
        ${registrations.map(({ lastSeenAtMs }) => new Date(lastSeenAtMs).toISOString())}::timestamptz[],
        ${registrations.map(({ home }) => home !== undefined)}::boolean[]
      ) as ours(endpoint, name, seen_at, is_guest)
      join devices on devices.endpoint = ours.name
      join nodes on nodes.id = devices.node_id and nodes.lease_until > now()
      where devices.node_id <> ${this.#nodeId} and (ours.is_guest
        or devices.presence = 'registered' and (devices.last_seen_at > ours.seen_at
          or devices.last_seen_at = ours.seen_at and devices.home_id <> ${this.#nodeId}))`.execute(this.#tables);
    return rows.map(({ endpoint }) => endpoint);
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

  /** Whose home is alive is left to it; rows that another server is changing now are left to that one. */
  async #claim<Row>(returned: RawBuilder<unknown>, limit: number): Promise<Row[]> {
    const { rows } = await sql<Row>`
      with mine as (
        select endpoint from devices where node_id is distinct from ${this.#nodeId} and transport <> 'zmesh'
          and (home_id = ${this.#nodeId} and (presence = 'registered' or ${isFree("devices.node_id")})
            or ${isFree("devices.node_id")} and ${isFree("devices.home_id")})
        limit ${limit} for update skip locked)
      update devices set node_id = ${this.#nodeId} from mine where devices.endpoint = mine.endpoint
      returning ${returned}`.execute(this.#tables);
    return rows;
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
