/** The updates: each change and the event that tells of it are one transaction. */
import { randomBytes } from "node:crypto";
import type { Update } from "@airlift/protocol/api/schemas";
import { BugError, UsageError } from "@airlift/protocol/lib/errors";
import { isFinalUpdateState, type UpdateState } from "@airlift/protocol/update/device-update";
import { type Kysely, type RawBuilder, type Selectable, sql, type Updateable } from "kysely";
import { BatchWriter, type BatchWriterOptions } from "./batch-writer.ts";
import { decodeNumberCursor, toPage } from "./cursor.ts";
import { isRowFault, storableJson, storableText } from "./database.ts";
import type { Journal, Written } from "./journal.ts";
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
import type { Tables, UpdateTable } from "./tables.ts";

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

/** Enough to see that a device goes round in a circle. */
const MOST_LEFT_VERSIONS = 8;

type UpdateRow = Selectable<UpdateTable>;

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
    const { result } = await this.#journal.write((transaction) => insertUpdate(transaction, order, this.#nodeId));
    return result;
  }

  async transition(updateId: string, change: UpdateChange): Promise<Update> {
    // The change knows at least as much as what waits, and must not be overwritten by it.
    this.#progress.drop(updateId);
    // The end of an update is remembered on its device's row.
    const isEnd = change.state !== undefined && isFinalUpdateState(change.state);
    const { result } = await this.#journal.write(
      (transaction) => changeUpdate(transaction, { updateId, nodeId: this.#nodeId }, change),
      isEnd ? { updateIds: [updateId] } : {},
    );
    return result;
  }

  async ofAttempt(attempt: CampaignAttempt): Promise<Update | undefined> {
    const row = await attemptOf(this.#tables, attempt);
    return row && toUpdate(row);
  }

  async createCancelled(order: CampaignUpdateOrder, sentence: string): Promise<Update> {
    const { result } = await this.#journal.write((transaction) =>
      insertCancelled(transaction, { order, sentence, nodeId: this.#nodeId }),
    );
    return result;
  }

  async reopen(updateId: string): Promise<Update> {
    this.#progress.drop(updateId);
    const { result } = await this.#journal.write((transaction) => reopenUpdate(transaction, updateId));
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
    const { result } = await this.#journal.write(async (transaction) => {
      const changed = await sql<UpdateRow>`
        update updates set acknowledged_bytes = bytes, updated_at = now()
        from unnest(
          ${rows.map((row) => row.updateId)}::text[], ${rows.map((row) => row.acknowledgedBytes)}::bigint[]
        ) as progress(update_id, bytes)
        where id = update_id and state = 'transferring'
        returning updates.*`.execute(transaction);
      return { result: changed.rows, events: [] };
    });
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

/** A cancelled update takes the attempt's place, so that whoever still holds the order to begin it finds it done. */
async function insertCancelled(
  transaction: Kysely<Tables>,
  { order, sentence, nodeId }: { order: CampaignUpdateOrder; sentence: string; nodeId: string },
): Promise<Written<Update>> {
  const { campaign, endpoint, imageId, by } = order;
  const row = await transaction
    .insertInto("updates")
    .values({
      id: randomBytes(8).toString("hex"),
      endpoint,
      image_id: imageId,
      by,
      apply: false,
      state: "cancelled",
      sentence,
      acknowledged_bytes: 0,
      total_bytes: 0,
      node_id: nodeId,
      campaign_id: campaign.id,
      wave: campaign.wave,
      attempt: campaign.attempt,
      finished_at: new Date(),
    })
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst();
  if (row !== undefined)
    return { result: toUpdate(row), events: [transitionEvent(row, { sentence, facts: { imageId } })] };
  const same = await attemptOf(transaction, { campaignId: campaign.id, endpoint, attempt: campaign.attempt });
  if (same === undefined) throw new BugError("NO_ATTEMPT", "an attempt is neither new nor known", { endpoint });
  return { result: toUpdate(same), events: [] };
}

async function insertUpdate(transaction: Kysely<Tables>, order: UpdateOrder, nodeId: string): Promise<Written<Update>> {
  const image = await transaction
    .selectFrom("images")
    .select(["size_bytes", "manufacturer", "model", "version"])
    .where("id", "=", order.imageId)
    .executeTakeFirst();
  if (image === undefined)
    throw new UsageError("UNKNOWN_IMAGE", `there is no image ${order.imageId}`, { imageId: order.imageId });
  const sentence = `queued: ${image.manufacturer} ${image.model} ${image.version}`;
  const row = await transaction
    .insertInto("updates")
    .values({
      id: randomBytes(8).toString("hex"),
      endpoint: order.endpoint,
      image_id: order.imageId,
      target: order.target ?? "firmware",
      by: order.by,
      apply: order.apply,
      state: "queued",
      sentence,
      acknowledged_bytes: 0,
      total_bytes: image.size_bytes,
      node_id: nodeOf(order.endpoint, nodeId),
      ...(order.campaign && {
        campaign_id: order.campaign.id,
        wave: order.campaign.wave,
        attempt: order.campaign.attempt,
      }),
    })
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst();
  if (row === undefined) {
    const { campaign, endpoint } = order;
    const same =
      campaign && (await attemptOf(transaction, { campaignId: campaign.id, endpoint, attempt: campaign.attempt }));
    if (same === undefined) throw await alreadyRunning(transaction, order.endpoint);
    return { result: toUpdate(same), events: [] };
  }
  // Behind the insert: an attempt that is there already is told as it is, whatever its campaign does now.
  if (order.campaign !== undefined) await refuseWhatStands(transaction, order.campaign);
  return { result: toUpdate(row), events: [transitionEvent(row, { sentence, facts: { imageId: order.imageId } })] };
}

/**
 * An order that a server took just before its campaign was paused or stopped begins nothing afterwards.
 *
 * @throws {UsageError} CAMPAIGN_STATE
 */
async function refuseWhatStands(
  transaction: Kysely<Tables>,
  { id, wave }: NonNullable<UpdateOrder["campaign"]>,
): Promise<void> {
  const { rows } = await sql`
    select from campaigns where id = ${id} and state = 'running' and ${wave}::integer = any(open_waves)`.execute(
    transaction,
  );
  if (rows.length > 0) return;
  throw new UsageError("CAMPAIGN_STATE", `wave ${wave} of campaign ${id} begins nothing now`, { campaignId: id });
}

/** The update that a campaign's attempt is. */
async function attemptOf(
  tables: Kysely<Tables>,
  { campaignId, endpoint, attempt }: CampaignAttempt,
): Promise<UpdateRow | undefined> {
  return await tables
    .selectFrom("updates")
    .selectAll()
    .where("campaign_id", "=", campaignId)
    .where("endpoint", "=", storableText(endpoint))
    .where("attempt", "=", attempt)
    .executeTakeFirst();
}

/** The server that the device is registered at while that one is alive, else `otherwise`. */
export const nodeOf = (endpoint: string, otherwise: string) =>
  sql<string>`coalesce((
    select nodes.id from devices join nodes on nodes.id = devices.node_id and nodes.lease_until > now()
    where devices.endpoint = ${storableText(endpoint)}), ${otherwise})`;

async function alreadyRunning(transaction: Kysely<Tables>, endpoint: string): Promise<UsageError> {
  const running = await transaction
    .selectFrom("updates")
    .select(["id", "state"])
    .where("endpoint", "=", endpoint)
    .where("finished_at", "is", null)
    .executeTakeFirst();
  return new UsageError("UPDATE_RUNNING", `${endpoint} has an update that is not finished`, {
    updateId: running?.id,
    state: running?.state,
  });
}

/** What an attempt that ended so may be followed by another one. */
const MAY_BE_REOPENED: ReadonlySet<UpdateState> = new Set(["failed", "silent", "fellBack", "cancelled"]);

async function reopenUpdate(transaction: Kysely<Tables>, updateId: string): Promise<Written<Update>> {
  const old = await transaction
    .selectFrom("updates")
    .select(["state", "attempt", "endpoint", "campaign_id"])
    .where("id", "=", storableText(updateId))
    .forUpdate()
    .executeTakeFirst();
  if (old === undefined) throw new UsageError("UNKNOWN_UPDATE", `there is no update ${updateId}`, { updateId });
  if (old.campaign_id !== null)
    throw new UsageError("CAMPAIGN_UPDATE", "an update of a campaign is tried again by its campaign", {
      updateId,
      campaignId: old.campaign_id,
    });
  if (!MAY_BE_REOPENED.has(old.state))
    throw new UsageError("UPDATE_STATE", `an update that is ${old.state} needs no other attempt`, {
      updateId,
      state: old.state,
    });
  const other = await transaction
    .selectFrom("updates")
    .select("id")
    .where("endpoint", "=", old.endpoint)
    .where("finished_at", "is", null)
    .executeTakeFirst();
  if (other !== undefined) throw await alreadyRunning(transaction, old.endpoint);
  const attempt = old.attempt + 1;
  const sentence = `queued: attempt ${attempt}`;
  const now = new Date();
  const row = await transaction
    .updateTable("updates")
    .set({
      state: "queued",
      failure: null,
      sentence,
      said_at: now,
      attempt,
      method: null,
      package_uri: null,
      acknowledged_bytes: 0,
      snapshot: null,
      has_exchanges: true,
      updated_at: now,
      finished_at: null,
    })
    .where("id", "=", updateId)
    .returningAll()
    .executeTakeFirstOrThrow();
  return { result: toUpdate(row), events: [transitionEvent(row, { sentence, facts: { attempt } })] };
}

async function changeUpdate(
  transaction: Kysely<Tables>,
  { updateId, nodeId }: { readonly updateId: string; readonly nodeId: string },
  change: UpdateChange,
): Promise<Written<Update>> {
  const old = await transaction
    .selectFrom("updates")
    .select(["state", "finished_at", "sentence", "node_id"])
    .where("id", "=", updateId)
    .forUpdate()
    .executeTakeFirst();
  if (old === undefined) throw new UsageError("UNKNOWN_UPDATE", `there is no update ${updateId}`, { updateId });
  if (old.finished_at !== null)
    throw new UsageError("UPDATE_FINISHED", `update ${updateId} has ended: ${old.state}`, {
      updateId,
      state: old.state,
    });
  // Who was thought dead and is not, hears of it before anything follows from its decision.
  if (old.node_id !== null && old.node_id !== nodeId)
    throw new UsageError("UPDATE_TAKEN", `update ${updateId} is driven by ${old.node_id}`, {
      updateId,
      node: old.node_id,
    });
  const row = await transaction
    .updateTable("updates")
    .set({ ...columnsOf(change), ...(change.sentence !== old.sentence && { said_at: new Date() }) })
    .where("id", "=", updateId)
    .returningAll()
    .executeTakeFirstOrThrow();
  if (row.finished_at !== null) await remember(transaction, row);
  const event = transitionEvent(row, change);
  return { result: toUpdate(row), events: [old.state === row.state ? { ...event, kind: "update.note" } : event] };
}

/** What became of a device's updates goes on its own row, for the campaigns' rules. */
async function remember(transaction: Kysely<Tables>, row: UpdateRow): Promise<void> {
  const left = row.campaign_id === null ? null : (row.snapshot?.versionBefore ?? null);
  if (row.state === "succeeded")
    await sql`update devices set failure_count = 0, last_failure = null,
      left_versions = case when ${left}::text is null then left_versions
        else (array_prepend(${left}::text, left_versions))[1:${MOST_LEFT_VERSIONS}] end
      where endpoint = ${row.endpoint}`.execute(transaction);
  else if (row.state === "failed" || row.state === "silent" || row.state === "fellBack")
    await sql`update devices set failure_count = failure_count + 1,
      last_failure = ${row.failure ?? row.state}, last_failure_at = now()
      where endpoint = ${row.endpoint}`.execute(transaction);
}

/** The columns that a change names; undefined leaves a column as it is. */
function columnsOf(change: UpdateChange): Updateable<UpdateTable> {
  const now = new Date();
  return {
    sentence: storableText(change.sentence),
    state: change.state,
    failure: change.failure,
    method: change.method,
    package_uri: change.packageUri,
    acknowledged_bytes: change.acknowledgedBytes,
    total_bytes: change.totalBytes,
    apply: change.apply,
    snapshot: change.snapshot && storableJson(change.snapshot),
    updated_at: now,
    finished_at: change.state !== undefined && isFinalUpdateState(change.state) ? now : undefined,
  };
}

const transitionEvent = (row: UpdateRow, { sentence, facts }: Pick<UpdateChange, "sentence" | "facts">) => ({
  kind: "update.transition" as const,
  endpoint: row.endpoint,
  updateId: row.id,
  ...(row.campaign_id !== null && { campaignId: row.campaign_id }),
  sentence,
  facts: {
    ...facts,
    state: row.state,
    ...(row.failure !== null && { failure: row.failure }),
    acknowledgedBytes: row.acknowledged_bytes,
    totalBytes: row.total_bytes,
  },
});

function toUpdate(row: UpdateRow): Update {
  return {
    id: row.id,
    endpoint: row.endpoint,
    imageId: row.image_id,
    target: row.target,
    attempt: row.attempt,
    by: row.by,
    campaignId: row.campaign_id,
    apply: row.apply,
    state: row.state,
    failure: row.failure,
    sentence: row.sentence,
    since: row.said_at.toISOString(),
    method: row.method,
    packageUri: row.package_uri,
    acknowledgedBytes: row.acknowledged_bytes,
    totalBytes: row.total_bytes,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
    finishedAt: row.finished_at?.toISOString() ?? null,
  };
}
