/** Dealing a fleet out into a campaign's waves, in the database: a million devices never leave it. */
import { countText } from "@airlift/protocol/lib/count-text";
import { UsageError } from "@airlift/protocol/lib/errors";
import { offsetAt } from "@airlift/runtime/zone-offset";
import { type Kysely, type RawBuilder, sql } from "kysely";
import { exclusionOf, isLoop } from "../campaign/exclusion.ts";
import { OpeningHours } from "../campaign/opening-hours.ts";
import type { CampaignPolicy } from "../campaign/policy.ts";
import { waveSizes } from "../campaign/waves.ts";
import { compileQuery } from "./device-query.ts";
import type { Tables } from "./tables.ts";

/** A million devices are sorted in memory; the setting ends with the transaction. */
const MEMORY_FOR_SORTING = sql`set local work_mem = '256MB'`;
const ROWS_WORTH_ANALYSING = 10_000;
/** Kinds of devices that are told apart when it is decided who is left out: models, versions and hardware as they go together. */
const MOST_KINDS = 100_000;
/** Versions that were left, and time zones: of devices with any beyond it is decided when their turn comes. */
const MOST_NAMES = 10_000;

export interface SnapshotOrder {
  readonly campaignId: string;
  readonly policy: CampaignPolicy;
  /** The moment that "-24h" counts from. */
  readonly utcMs: number;
}

export interface Snapshot {
  /** Devices of each wave. */
  readonly sizes: readonly number[];
  /** Devices that the query finds and that are not updated. */
  readonly excludedCount: number;
}

/** "19 devices; 1 that matches is left out". */
export function snapshotText({ sizes, excludedCount }: Snapshot): string {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const left = `${countText(excludedCount, "that matches is", "that match are")} left out, its plan says why`;
  return `${countText(total, "device")}${excludedCount > 0 ? `; ${left}` : ""}`;
}

/**
 * Makes a target of each device that the campaign's query finds and that is not left out: in the first wave whose own query finds it too, else
 * dealt out by its turn in the sizes of `waveSizes`. Turns are spread by a hash, different for each campaign.
 *
 * @param transaction Sees one state of the table from its first statement to its last.
 * @throws {UsageError} QUERY_TOO_BROAD
 */
export async function joinTargets(transaction: Kysely<Tables>, order: SnapshotOrder): Promise<Snapshot> {
  const { campaignId, policy } = order;
  await MEMORY_FOR_SORTING.execute(transaction);
  const chosen = await chosenDevices(transaction, order);
  const { queried, total, excludedKinds, excludedCount } = await sortOut(transaction, chosen, policy);
  const sizes = waveSizes(policy.waves, queried, total);
  const isLeftOut = sql`exists (select from unnest(${excludedKinds}::text[]) as excluded(kind) where excluded.kind = ${KIND})`;
  await sql`
    insert into campaign_targets (campaign_id, endpoint, wave, order_key)
    select ${campaignId}, endpoint, coalesce(wave, ${waveByPlace(policy, sizes)}), order_key
    from (
      select endpoint, wave, order_key,
        row_number() over (partition by wave is null order by order_key, endpoint) as place
      from (${chosen}) as chosen ${excludedKinds.length === 0 ? sql`` : sql`where not ${isLeftOut}`}) as placed
    order by endpoint`.execute(transaction);
  // A planner that knows nothing of the new rows would walk through all of them for one.
  if (total >= ROWS_WORTH_ANALYSING) await sql`analyze campaign_targets`.execute(transaction);
  return { sizes, excludedCount };
}

/** What it depends on whether a device is left out, as one text. */
const KIND = sql`row(manufacturer, model, hardware, version, is_loop, is_shut)::text`;

interface KindRow {
  readonly kind: string;
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly hardware: string | null;
  readonly version: string | null;
  readonly is_loop: boolean;
  readonly is_shut: boolean;
  readonly wave: number | null;
  readonly count: number;
}

/** Decides kind by kind who is left out: the rules' own words, asked as often as there are kinds. */
async function sortOut(transaction: Kysely<Tables>, chosen: RawBuilder<unknown>, policy: CampaignPolicy) {
  const { rows } = await sql<KindRow>`
    select ${KIND} as kind, manufacturer, model, hardware, version, is_loop, is_shut, wave, count(*) as count
    from (${chosen}) as chosen
    group by manufacturer, model, hardware, version, is_loop, is_shut, wave limit ${MOST_KINDS + 1}`.execute(
    transaction,
  );
  if (rows.length > MOST_KINDS)
    throw new UsageError(
      "QUERY_TOO_BROAD",
      `the query finds more than ${MOST_KINDS} kinds of devices; let it find one model`,
    );
  const queried = policy.waves.map(() => 0);
  const excludedKinds: string[] = [];
  let [total, excludedCount] = [0, 0];
  for (const { kind, wave, count, is_loop, is_shut, ...device } of rows) {
    const history = { leftVersions: is_loop ? [policy.image.version] : [] };
    if (exclusionOf({ device, history }, policy, is_shut) !== undefined) {
      excludedKinds.push(kind);
      excludedCount += count;
      continue;
    }
    total += count;
    if (wave !== null) queried[wave] = (queried[wave] ?? 0) + count;
  }
  return { queried, total, excludedKinds: [...new Set(excludedKinds)], excludedCount };
}

async function chosenDevices(transaction: Kysely<Tables>, { campaignId, policy, utcMs }: SnapshotOrder) {
  const condition = await compileQuery(transaction, policy.query, utcMs);
  const arms: Promise<ReturnType<typeof sql>>[] = policy.waves.flatMap(({ share }, wave) =>
    share.kind === "query"
      ? [compileQuery(transaction, share.query, utcMs).then((own) => sql`when ${own} then ${wave}::integer`)]
      : [],
  );
  const cases = await Promise.all(arms);
  const wave = cases.length === 0 ? sql`null::integer` : sql`case ${sql.join(cases, sql` `)} end`;
  return sql`select endpoint, ${wave} as wave, ${hashedOrderKey(campaignId)} as order_key,
    manufacturer, model, hardware, version,
    ${await loopCondition(transaction, policy)} as is_loop, ${await shutCondition(transaction, policy, utcMs)} as is_shut
    from devices where ${condition}`;
}

/** Whether a device has left the campaign's version before, however that was written. */
async function loopCondition(transaction: Kysely<Tables>, policy: CampaignPolicy): Promise<RawBuilder<unknown>> {
  if (policy.allowsDowngrade) return sql`false`;
  const { rows } = await sql<{ left: string }>`
    select distinct unnest(left_versions) as left from devices where left_versions <> '{}' limit ${MOST_NAMES}`.execute(
    transaction,
  );
  const written = rows.flatMap(({ left }) => (isLoop(left, policy) ? [left] : []));
  return written.length === 0 ? sql`false` : sql`left_versions && ${written}::text[]`;
}

/** Whether the download window never opens where a device says that it is. */
async function shutCondition(
  transaction: Kysely<Tables>,
  policy: CampaignPolicy,
  utcMs: number,
): Promise<RawBuilder<unknown>> {
  if (policy.download.windows.length === 0 && policy.download.blackouts.length === 0) return sql`false`;
  const { rows } = await sql<{ timezone: string | null; utc_offset: string | null }>`
    select distinct timezone, utc_offset from devices limit ${MOST_NAMES}`.execute(transaction);
  const hours = new OpeningHours(policy, offsetAt, utcMs);
  const shut = rows.filter(
    ({ timezone, utc_offset }) =>
      hours.next("download", { timeZone: timezone, utcOffset: utc_offset }).opening === undefined,
  );
  if (shut.length === 0) return sql`false`;
  const [zones, offsets] = [shut.map((one) => one.timezone ?? ""), shut.map((one) => one.utc_offset ?? "")];
  return sql`(coalesce(timezone, ''), coalesce(utc_offset, '')) in (select * from unnest(${zones}::text[], ${offsets}::text[]))`;
}

/** A device's turn, 0 … 2^32 - 1: spread evenly, and differently in each campaign. */
export const hashedOrderKey = (campaignId: string) =>
  sql<number>`hashtextextended(${`${campaignId}/`}::text || endpoint, 0) & 4294967295`;

/** Waves that are no query take their devices one after the other. */
function waveByPlace(policy: CampaignPolicy, sizes: readonly number[]) {
  let end = 0;
  const arms = policy.waves.flatMap(({ share }, wave) => {
    if (share.kind === "query") return [];
    end += sizes[wave] ?? 0;
    return [sql`when place <= ${end}::bigint then ${wave}::integer`];
  });
  return arms.length === 0 ? sql`0` : sql`case ${sql.join(arms, sql` `)} else 0 end`;
}
