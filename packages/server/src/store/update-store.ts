/** The updates: each change and the event that tells of it are one transaction. */
import type { Update } from "@airlift/protocol/api/schemas";
import { type Kysely, type RawBuilder, sql } from "kysely";
import { BatchWriter, type BatchWriterOptions } from "./batch-writer.ts";
import { decodeNumberCursor, toPage } from "./cursor.ts";
import { isRowFault, storableText } from "./database.ts";
import type { Journal } from "./journal.ts";
import { isFree } from "./node-store.ts";
import type {
  CampaignAttempt,
  CampaignUpdateOrder,
  Page,
  PageRequest,
  UnfinishedUpdate,
  UpdateChange,
  UpdateFilter,
  UpdateOrder,
  UpdateStore,
} from "./ports.ts";
import type { Tables } from "./tables.ts";
import { changeUpdate, reopenUpdate } from "./update-changes.ts";
import { insertCancelled, insertUpdate } from "./update-creation.ts";
import { attemptOf, toUpdate, type UpdateRow } from "./update-rows.ts";

interface Progress {
  readonly updateId: string;
  readonly acknowledgedBytes: number;
}

export interface UpdateStoreParts {
  readonly tables: Kysely<Tables>;
  readonly journal: Journal;
  /** The server that this one is. */
  readonly nodeId: string;
}

export class PostgresUpdateStore implements UpdateStore {
  readonly #tables: Kysely<Tables>;
  readonly #journal: Journal;
  readonly #progress: BatchWriter<Progress>;
  readonly #nodeId: string;

  constructor({ tables, journal, nodeId }: UpdateStoreParts, options: BatchWriterOptions = {}) {
    this.#tables = tables;
    this.#journal = journal;
    this.#nodeId = nodeId;
    this.#progress = new BatchWriter((rows) => this.#writeProgress(rows), {
      isPermanent: isRowFault,
      ...options,
    });
  }

  async create(order: UpdateOrder): Promise<Update> {
    const { result } = await this.#journal.write((transaction) => insertUpdate(transaction, order, this.#nodeId), {
      endpoints: [order.endpoint],
      ...(order.campaign && { campaignIds: [order.campaign.id] }),
    });
    return result;
  }

  async transition(updateId: string, change: UpdateChange): Promise<Update> {
    // The change knows at least as much as what waits, and must not be overwritten by it.
    this.#progress.drop(updateId);
    const { result } = await this.#journal.write(
      (transaction) => changeUpdate(transaction, { updateId, nodeId: this.#nodeId }, change),
      { updateIds: [updateId], ...(change.permit !== undefined && { steeredIds: [updateId] }) },
    );
    return result;
  }

  async ofAttempt(attempt: CampaignAttempt): Promise<Update | undefined> {
    const row = await attemptOf(this.#tables, attempt);
    return row && toUpdate(row);
  }

  async createCancelled(order: CampaignUpdateOrder, sentence: string): Promise<Update> {
    const { result } = await this.#journal.write(
      (transaction) => insertCancelled(transaction, { order, sentence, nodeId: this.#nodeId }),
      { endpoints: [order.endpoint] },
    );
    return result;
  }

  async reopen(updateId: string): Promise<Update> {
    this.#progress.drop(updateId);
    const { result } = await this.#journal.write((transaction) => reopenUpdate(transaction, updateId), {
      updateIds: [updateId],
    });
    return result;
  }

  async setPackageUri(updateId: string, packageUri: string): Promise<void> {
    await this.#tables
      .updateTable("updates")
      .set({ package_uri: storableText(packageUri) })
      .where("id", "=", updateId)
      .execute();
  }

  queueProgress(updateId: string, acknowledgedBytes: number): void {
    this.#progress.put(updateId, { updateId, acknowledgedBytes });
  }

  flush(): Promise<void> {
    return this.#progress.flush();
  }

  close(): Promise<void> {
    return this.#progress.close();
  }

  async get(updateId: string): Promise<Update | undefined> {
    const row = await this.#tables
      .selectFrom("updates")
      .selectAll()
      .where("id", "=", storableText(updateId))
      .executeTakeFirst();
    return row && toUpdate(row);
  }

  async list(filter: UpdateFilter, page: PageRequest): Promise<Page<Update>> {
    let query = this.#tables.selectFrom("updates").selectAll();
    if (filter.endpoint !== undefined) query = query.where("endpoint", "=", storableText(filter.endpoint));
    if (filter.states !== undefined) query = query.where("state", "in", filter.states);
    if (filter.imageId !== undefined) query = query.where("image_id", "=", filter.imageId);
    if (page.cursor !== undefined) query = query.where("seq", "<", decodeNumberCursor(page.cursor));
    const rows = await query
      .orderBy("seq", "desc")
      .limit(page.limit + 1)
      .execute();
    return toPage(rows, page.limit, { item: toUpdate, position: (row) => row.seq });
  }

  unfinished(): Promise<UnfinishedUpdate[]> {
    return this.#claim(sql`updates.node_id = ${this.#nodeId} or (${isFree("updates.node_id")} and ${this.#mayReach})`);
  }

  claimFree(limit: number): Promise<UnfinishedUpdate[]> {
    return this.#claim(sql`${isFree("updates.node_id")} and ${this.#mayReach}`, limit);
  }

  claimOf(endpoints: readonly string[]): Promise<UnfinishedUpdate[]> {
    return this.#claim(
      sql`endpoint = any(${endpoints.map(storableText)}::text[]) and node_id is distinct from ${this.#nodeId}`,
    );
  }

  claimOne(updateId: string): Promise<UnfinishedUpdate[]> {
    return this.#claim(sql`updates.id = ${updateId}
      and (updates.node_id = ${this.#nodeId} or (${isFree("updates.node_id")} and ${this.#mayReach}))`);
  }

  claimStray(limit: number): Promise<UnfinishedUpdate[]> {
    return this.#claim(
      sql`updates.node_id is distinct from ${this.#nodeId} and exists (
        select from devices where devices.endpoint = updates.endpoint and devices.node_id = ${this.#nodeId}
          and devices.presence = 'registered')`,
      limit,
    );
  }

  ordered(): Promise<UnfinishedUpdate[]> {
    return this.#claim(sql`node_id = ${this.#nodeId} and state = 'queued' and snapshot is null`);
  }

  /** Whether the device is here, or at nobody who is alive. */
  get #mayReach() {
    return sql<boolean>`not exists (
      select from devices join nodes on nodes.id = devices.node_id and nodes.lease_until > now()
      where devices.endpoint = updates.endpoint and devices.node_id <> ${this.#nodeId})`;
  }

  /** Rows that another server is changing now are left to it. */
  async #claim(condition: RawBuilder<unknown>, limit?: number): Promise<UnfinishedUpdate[]> {
    const { rows } = await sql<UpdateRow>`
      with mine as (
        select id from updates where finished_at is null and (${condition})
          and not exists (select from mesh_devices where mesh_devices.endpoint = updates.endpoint)
        order by seq ${limit === undefined ? sql`` : sql`limit ${limit}`} for update of updates skip locked)
      update updates set node_id = ${this.#nodeId} from mine where updates.id = mine.id
      returning updates.*`.execute(this.#tables);
    return rows.toSorted((a, b) => a.seq - b.seq).map((row) => ({ update: toUpdate(row), snapshot: row.snapshot }));
  }

  async #writeProgress(rows: readonly Progress[]): Promise<void> {
    const updateIds = rows.map((row) => row.updateId);
    const { result } = await this.#journal.write(
      async (transaction) => {
        const changed = await sql<UpdateRow>`
          update updates set acknowledged_bytes = bytes, updated_at = now()
          from unnest(${updateIds}::text[], ${rows.map((row) => row.acknowledgedBytes)}::bigint[])
            as progress(update_id, bytes)
          where id = update_id and state = 'transferring'
          returning updates.*`.execute(transaction);
        return { result: changed.rows, events: [] };
      },
      { updateIds },
    );
    for (const row of result)
      this.#journal.publishLive({
        kind: "update.progress",
        endpoint: row.endpoint,
        updateId: row.id,
        campaignId: row.campaign_id,
        sentence: row.sentence,
        facts: { state: row.state, acknowledgedBytes: row.acknowledged_bytes, totalBytes: row.total_bytes },
      });
  }
}
