/** Targets as rows: what a campaign's turn reads of its devices and writes back. */
import { isFinalUpdateState } from "@airlift/protocol/update/device-update";
import { type Kysely, type RawBuilder, type Selectable, sql } from "kysely";
import type { Candidate, Rival } from "../campaign/device.ts";
import { placeOf, type Target } from "../campaign/target.ts";
import type { CampaignTargetTable } from "./campaign-tables.ts";
import { storableJson, storableText } from "./database.ts";
import type { DeviceTable, Tables } from "./tables.ts";

type TargetRow = Selectable<CampaignTargetTable>;

/** What the rules ask of a device, as a row. */
export type FactsRow = Pick<
  Selectable<DeviceTable>,
  | "manufacturer"
  | "model"
  | "version"
  | "hardware"
  | "tags"
  | "presence"
  | "cell"
  | "signal"
  | "resources"
  | "timezone"
  | "utc_offset"
  | "failure_count"
  | "left_versions"
> & { readonly last_seen_ms: number; readonly last_failure_ms: number | null };

/** The columns of the device come prefixed; all of them null when it has never registered. */
type CandidateRow = TargetRow & { readonly device: FactsRow; readonly rival: Rival | null };

/** Which targets, in which order and how many of them: the end of a statement over `campaign_targets t`. */
export async function readTargets(transaction: Kysely<Tables>, which: RawBuilder<unknown>): Promise<Target[]> {
  const { rows } = await sql<TargetRow>`select t.* from campaign_targets t ${which}`.execute(transaction);
  return rows.map(toTarget);
}

/** As `readTargets`, with what is known of each device. */
export async function readCandidates(transaction: Kysely<Tables>, which: RawBuilder<unknown>): Promise<Candidate[]> {
  const { rows } = await sql<CandidateRow>`
    select t.*, to_jsonb(d) || jsonb_build_object(
        'last_seen_ms', (extract(epoch from d.last_seen_at) * 1000)::bigint,
        'last_failure_ms', (extract(epoch from d.last_failure_at) * 1000)::bigint) as device,
      (select jsonb_build_object('campaignId', c.id, 'name', c.name, 'priority', c.priority, 'isUnderWay', r.is_under_way)
        from campaign_targets r join campaigns c on c.id = r.campaign_id
        where r.endpoint = t.endpoint and r.phase <> 'ended' and r.campaign_id <> t.campaign_id
          and (r.is_under_way or c.state = 'running')
        order by r.is_under_way desc, c.priority desc, c.seq limit 1) as rival
    from (select t.* from campaign_targets t ${which}) t
    join devices d on d.endpoint = t.endpoint
    order by t.wave, t.order_key, t.endpoint`.execute(transaction);
  return rows.map(toCandidate);
}

/** Writes targets that exist, or that join. */
export async function writeTargets(transaction: Kysely<Tables>, targets: readonly Target[]): Promise<void> {
  if (targets.length === 0) return;
  const arrays = COLUMNS.map(([, type, read]) => sql`${targets.map(read)}::${sql.raw(type)}[]`);
  await sql`insert into campaign_targets (${sql.raw(NAMES.join(", "))}) select * from unnest(${sql.join(arrays)})
    on conflict (campaign_id, endpoint) do update set ${sql.raw(SETS)},
      order_until = case when campaign_targets.waiting_order is not distinct from excluded.waiting_order
        then campaign_targets.order_until end`.execute(transaction);
}

const COLUMNS: readonly (readonly [string, string, (target: Target) => unknown])[] = [
  ["campaign_id", "text", (it) => it.campaignId],
  ["endpoint", "text", (it) => storableText(it.endpoint)],
  ["wave", "integer", (it) => it.wave],
  ["order_key", "bigint", (it) => it.orderKey],
  ["phase", "text", phaseOf],
  ["state", "text", (it) => it.state],
  ["failure", "text", (it) => it.failure],
  ["attempt", "integer", (it) => it.attempt],
  ["is_under_way", "boolean", (it) => it.isUnderWay],
  ["is_apply_permitted", "boolean", (it) => it.isApplyPermitted],
  ["waiting_order", "jsonb", (it) => it.order && storableJson(it.order)],
  ["image_id", "text", (it) => it.imageId],
  ["cell", "text", (it) => it.cell],
  ["delivered_bytes", "bigint", (it) => it.deliveredBytes],
  ["failures", "jsonb", (it) => storableJson(it.failures)],
  ["not_before_ms", "bigint", (it) => (it.notBeforeMs === null ? null : Math.round(it.notBeforeMs))],
  ["sentence", "text", (it) => storableText(it.sentence)],
];
const NAMES = COLUMNS.map(([name]) => name);
const SETS = NAMES.slice(2)
  .map((name) => `${name} = excluded.${name}`)
  .join(", ");

function phaseOf(target: Target): TargetRow["phase"] {
  if (isFinalUpdateState(target.state)) return "ended";
  const { phase } = placeOf(target);
  return phase === "held" || phase === "pending" ? phase : "active";
}

export function toTarget(row: TargetRow): Target {
  return {
    campaignId: row.campaign_id,
    endpoint: row.endpoint,
    wave: row.wave,
    orderKey: row.order_key,
    state: row.state,
    failure: row.failure,
    attempt: row.attempt,
    isUnderWay: row.is_under_way,
    isApplyPermitted: row.is_apply_permitted,
    order: row.waiting_order,
    imageId: row.image_id,
    cell: row.cell,
    deliveredBytes: row.delivered_bytes,
    failures: row.failures,
    notBeforeMs: row.not_before_ms,
    sentence: row.sentence,
  };
}

/** A device as the rules see it, with what became of its updates. */
export function toFacts(endpoint: string, row: FactsRow): Pick<Candidate, "device" | "history"> {
  return {
    device: {
      endpoint,
      manufacturer: row.manufacturer,
      model: row.model,
      version: row.version,
      hardware: row.hardware,
      tags: row.tags,
      presence: row.presence,
      lastSeenAtMs: row.last_seen_ms,
      signalDbm: row.signal,
      cell: row.cell,
      resources: row.resources as Candidate["device"]["resources"],
      timeZone: row.timezone,
      utcOffset: row.utc_offset,
    },
    history: {
      failuresInRow: row.failure_count,
      lastFailureAtMs: row.last_failure_ms,
      leftVersions: row.left_versions,
    },
  };
}

const toCandidate = (row: CandidateRow): Candidate => ({
  target: toTarget(row),
  ...toFacts(row.endpoint, row.device),
  rival: row.rival,
});
