/** The updates of mesh devices, many at a time: each change and its event are one transaction, as with any update. */
import type { Update } from "@airlift/protocol/api/schemas";
import { type FailureKind, FINAL_UPDATE_STATES, type UpdateState } from "@airlift/protocol/update/device-update";
import { type Kysely, sql } from "kysely";
import { storableText } from "./database.ts";
import type { NewEvent } from "./ports.ts";
import type { Tables } from "./tables.ts";

/** An update of a mesh device that has not ended. */
export interface MeshUpdate {
  readonly updateId: string;
  readonly endpoint: string;
  readonly imageId: string;
  readonly campaignId: string | null;
  readonly attempt: number;
  readonly state: UpdateState;
  /** It may install now: it was permitted, and its campaign and wave go on. */
  readonly mayApply: boolean;
  /** Its campaign was stopped or aborted. */
  readonly isCampaignOver: boolean;
  readonly sessionId: string | null;
  readonly groupId: string;
  readonly hasGroupKey: boolean;
  readonly cell: string | null;
  readonly gatewayId: string | null;
  readonly askCount: number;
  /** It was part of so many. */
  readonly broadcastCount: number;
  /** Since the network last spoke to the device alone; null = never. */
  readonly askedAgoMs: number | null;
  /** Where its windows are; null = it never said. */
  readonly timeZone: string | null;
  readonly utcOffset: string | null;
}

export interface MeshChange {
  readonly updateId: string;
  readonly state: UpdateState;
  readonly failure: FailureKind | null;
  readonly sentence: string;
  /** Undefined = as it was. */
  readonly acknowledgedBytes?: number | undefined;
  readonly sessionId?: string | undefined;
}

/** What an update came to, for its campaign. */
export type MeshReport = Pick<Update, "endpoint" | "attempt" | "state" | "failure" | "sentence"> & {
  readonly campaignId: string | null;
};

/** What changed, and the events to be written with it. */
export interface MeshChanged {
  readonly reports: readonly MeshReport[];
  readonly events: readonly NewEvent[];
}

const SELECT = sql`select u.id as "updateId", u.endpoint, u.image_id as "imageId", u.campaign_id as "campaignId", u.attempt, u.state,
  u.apply and (u.campaign_id is null or (c.state = 'running' and u.wave = any(c.open_waves))) as "mayApply",
  coalesce(c.state in ('stopped', 'aborted'), false) as "isCampaignOver",
  u.mesh_session_id as "sessionId", d.group_id as "groupId", d.joined_generation = g.generation as "hasGroupKey", d.cell,
  d.gateway_id as "gatewayId", d.ask_count as "askCount", u.broadcast_count as "broadcastCount",
  (extract(epoch from now() - d.asked_at) * 1000)::double precision as "askedAgoMs",
  own.timezone as "timeZone", own.utc_offset as "utcOffset"
  from updates u join mesh_devices d on d.endpoint = u.endpoint join mesh_groups g on g.id = d.group_id
  join devices own on own.endpoint = u.endpoint left join campaigns c on c.id = u.campaign_id`;

/** Unfinished ones for which `condition` holds, in the order of their creation. `u` is the update, `d` the mesh device. */
export async function readMeshUpdates(
  tables: Kysely<Tables>,
  condition: ReturnType<typeof sql>,
  limit = 100_000,
): Promise<MeshUpdate[]> {
  const { rows } =
    await sql<MeshUpdate>`${SELECT} where u.finished_at is null and ${condition} order by u.seq limit ${limit}`.execute(
      tables,
    );
  return rows;
}

interface ChangedRow extends MeshReport {
  readonly id: string;
  readonly old_state: UpdateState;
  readonly acknowledged_bytes: number;
  readonly total_bytes: number;
}

/** Changes those that have not ended; what changed neither state nor sentence leaves no event. */
export async function changeMeshUpdates(
  transaction: Kysely<Tables>,
  changes: readonly MeshChange[],
): Promise<MeshChanged> {
  if (changes.length === 0) return { reports: [], events: [] };
  const { rows } = await sql<ChangedRow>`
    with new as (
      select * from unnest(
        ${changes.map(({ updateId }) => updateId)}::text[], ${changes.map(({ state }) => state)}::text[],
        ${changes.map(({ failure }) => failure)}::text[], ${changes.map(({ sentence }) => storableText(sentence))}::text[],
        ${changes.map(({ acknowledgedBytes }) => acknowledgedBytes ?? null)}::bigint[],
        ${changes.map(({ sessionId }) => sessionId ?? null)}::text[]
      ) as new(update_id, state, failure, sentence, bytes, session_id)),
    old as (select u.id, u.state, u.sentence from updates u join new on new.update_id = u.id where u.finished_at is null for update of u)
    update updates u set state = new.state, failure = new.failure, sentence = new.sentence, method = 'broadcast',
      said_at = case when u.sentence = new.sentence then u.said_at else now() end, updated_at = now(),
      acknowledged_bytes = least(u.total_bytes, coalesce(new.bytes, u.acknowledged_bytes)),
      mesh_session_id = coalesce(new.session_id, u.mesh_session_id),
      broadcast_count = u.broadcast_count + (new.session_id is not null)::integer,
      finished_at = case when new.state = any(${[...FINAL_UPDATE_STATES]}::text[]) then now() end
    from new, old where u.id = new.update_id and old.id = u.id
      and (old.state <> new.state or old.sentence <> new.sentence)
    returning u.id, u.endpoint, u.campaign_id as "campaignId", u.attempt, u.state, u.failure, u.sentence, old.state as old_state,
      u.acknowledged_bytes, u.total_bytes`.execute(transaction);
  await remember(transaction, rows);
  return { reports: rows, events: rows.map(eventOf) };
}

/** Says of an update that it waits; one that was told to install may be doing so, and tells itself. */
export async function sayHeld(
  transaction: Kysely<Tables>,
  { updateId, endpoint, campaignId, attempt, state }: MeshUpdate,
): Promise<{ readonly result: readonly MeshReport[]; readonly events: readonly NewEvent[] }> {
  if (state !== "waitingToApply") return { result: [], events: [] };
  const sentence = "waiting: the device is not told to install before its campaign says so";
  const { events } = await changeMeshUpdates(transaction, [{ updateId, state, failure: null, sentence }]);
  return { result: [{ endpoint, campaignId, attempt, state, failure: null, sentence }], events };
}

function eventOf(row: ChangedRow): NewEvent {
  return {
    kind: row.old_state === row.state ? "update.note" : "update.transition",
    endpoint: row.endpoint,
    updateId: row.id,
    campaignId: row.campaignId,
    sentence: row.sentence,
    facts: {
      state: row.state,
      ...(row.failure !== null && { failure: row.failure }),
      acknowledgedBytes: row.acknowledged_bytes,
      totalBytes: row.total_bytes,
    },
  };
}

/** What became of devices' updates goes on their own rows, for the campaigns' rules. */
async function remember(transaction: Kysely<Tables>, rows: readonly ChangedRow[]): Promise<void> {
  const of = (...states: UpdateState[]) => rows.filter(({ state }) => states.includes(state));
  const succeeded = of("succeeded").map(({ id }) => id);
  const failed = of("failed", "silent", "fellBack");
  if (succeeded.length > 0)
    await sql`update devices d set failure_count = 0, last_failure = null, version = i.version,
      left_versions = case when u.campaign_id is null or d.version is null or d.version = i.version then d.left_versions
        else (array_prepend(d.version, d.left_versions))[1:8] end
      from updates u join images i on i.id = u.image_id
      where u.id = any(${succeeded}::text[]) and d.endpoint = u.endpoint`.execute(transaction);
  if (failed.length > 0)
    await sql`update devices d set failure_count = failure_count + 1, last_failure = failed.reason, last_failure_at = now()
      from unnest(${failed.map(({ endpoint }) => endpoint)}::text[],
        ${failed.map(({ failure, state }) => failure ?? state)}::text[]) as failed(endpoint, reason)
      where d.endpoint = failed.endpoint`.execute(transaction);
}
