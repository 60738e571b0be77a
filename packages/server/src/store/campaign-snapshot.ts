/** Dealing a fleet out into a campaign's waves, in the database: a million devices never leave it. */
import { type Kysely, sql } from "kysely";
import type { CampaignPolicy } from "../campaign/policy.ts";
import { waveSizes } from "../campaign/waves.ts";
import { compileQuery } from "./device-query.ts";
import type { Tables } from "./tables.ts";

/** A million devices are sorted in memory; the setting ends with the transaction. */
const MEMORY_FOR_SORTING = sql`set local work_mem = '256MB'`;
const ROWS_WORTH_ANALYSING = 10_000;

export interface SnapshotOrder {
  readonly campaignId: string;
  readonly policy: CampaignPolicy;
  /** The moment that "-24h" counts from. */
  readonly utcMs: number;
}

/**
 * Makes a target of each device that the campaign's query finds: in the first wave whose own query finds it too, else
 * dealt out by its turn in the sizes of `waveSizes`. Turns are spread by a hash, different for each campaign.
 *
 * @param transaction Sees one state of the table from its first statement to its last.
 * @returns Devices of each wave.
 */
export async function joinTargets(
  transaction: Kysely<Tables>,
  { campaignId, policy, utcMs }: SnapshotOrder,
): Promise<number[]> {
  await MEMORY_FOR_SORTING.execute(transaction);
  const chosen = await chosenDevices(transaction, { campaignId, policy, utcMs });
  const { rows } = await sql<{ wave: number | null; count: number }>`
    select wave, count(*) as count from (${chosen}) as chosen group by wave`.execute(transaction);
  const queried = policy.waves.map((_, i) => rows.find(({ wave }) => wave === i)?.count ?? 0);
  const total = rows.reduce((sum, { count }) => sum + count, 0);
  const sizes = waveSizes(policy.waves, queried, total);
  await sql`
    insert into campaign_targets (campaign_id, endpoint, wave, order_key)
    select ${campaignId}, endpoint, coalesce(wave, ${waveByPlace(policy, sizes)}), order_key
    from (
      select *, row_number() over (partition by wave is null order by order_key, endpoint) as place
      from (${chosen}) as chosen) as placed
    order by endpoint`.execute(transaction);
  // A planner that knows nothing of the new rows would walk through all of them for one.
  if (total >= ROWS_WORTH_ANALYSING) await sql`analyze campaign_targets`.execute(transaction);
  return sizes;
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
  return sql`select endpoint, ${wave} as wave,
    ${hashedOrderKey(campaignId)} as order_key
    from devices where ${condition}`;
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
