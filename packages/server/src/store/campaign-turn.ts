/** One campaign's turn as a transaction: what it reads of its devices, and all that it changes, written at its end. */
import { type Kysely, sql } from "kysely";
import { type Campaign, openWaves } from "../campaign/campaign.ts";
import type { CampaignPolicy } from "../campaign/policy.ts";
import type { CampaignChange, CampaignTransaction, DueQuery, PermitQuery } from "../campaign/store-ports.ts";
import type { Target } from "../campaign/target.ts";
import { revisionOf } from "./campaign-drafts.ts";
import { storableJson, storableText } from "./database.ts";
import type { NewEvent } from "./ports.ts";
import type { Tables } from "./tables.ts";
import { readCandidates, readTargets, writeTargets } from "./target-rows.ts";

/** The campaign's row is locked, and was this. */
export class CampaignTurn implements CampaignTransaction {
  readonly campaign: Campaign;
  readonly policy: CampaignPolicy;
  /** What `save` left to be told. */
  events: NewEvent[] = [];
  readonly #transaction: Kysely<Tables>;

  constructor(
    transaction: Kysely<Tables>,
    { campaign, policy }: { readonly campaign: Campaign; readonly policy: CampaignPolicy },
  ) {
    this.#transaction = transaction;
    this.campaign = campaign;
    this.policy = policy;
  }

  async revision(): Promise<string> {
    const row = await this.#transaction
      .selectFrom("campaigns")
      .select(["spec", "value"])
      .where("id", "=", this.campaign.id)
      .executeTakeFirstOrThrow();
    return revisionOf(row);
  }

  due({ waves, phase, utcMs, limit }: DueQuery) {
    return readCandidates(
      this.#transaction,
      sql`where t.campaign_id = ${this.campaign.id} and t.phase = ${sql.lit(phase)} and t.wave = any(${waves}::integer[])
        and (t.not_before_ms is null or t.not_before_ms <= ${utcMs})
        order by t.wave, t.order_key, t.endpoint limit ${limit}`,
    );
  }

  async overpermitted({ openWaves: open, utcMs, limit }: PermitQuery) {
    return await readCandidates(
      this.#transaction,
      sql`where t.campaign_id = ${this.campaign.id} and t.is_apply_permitted
        and coalesce(t.waiting_order ->> 'kind', '') <> 'cancel'
        and (t.wave <> all(${open}::integer[]) or t.not_before_ms <= ${utcMs})
        limit ${limit}`,
    );
  }

  async nextDueAtMs(waves: readonly number[], utcMs: number): Promise<number | null> {
    const { rows } = await sql<{ at_ms: number | null }>`
      select least(
        (select min(not_before_ms) from campaign_targets
          where campaign_id = ${this.campaign.id} and phase in ('pending', 'held') and wave = any(${waves}::integer[])
            and not_before_ms > ${utcMs}),
        (select min(not_before_ms) from campaign_targets
          where campaign_id = ${this.campaign.id} and is_apply_permitted and wave = any(${waves}::integer[])
            and not_before_ms > ${utcMs})) as at_ms`.execute(this.#transaction);
    return rows[0]?.at_ms ?? null;
  }

  async stoppable(limit: number): Promise<Target[]> {
    const stoppable = (phase: string, order: string, most: number) =>
      readTargets(
        this.#transaction,
        sql`where t.campaign_id = ${this.campaign.id} and t.phase = ${sql.lit(phase)}
          and t.state not in ('applying', 'confirming') and coalesce(t.waiting_order ->> 'kind', '') <> 'cancel'
          order by ${sql.raw(order)} limit ${most}`,
      );
    const targets = await stoppable("active", "t.endpoint", limit);
    // An index each, the devices under way first.
    for (const phase of ["held", "pending"])
      targets.push(...(await stoppable(phase, "t.wave, t.order_key", limit - targets.length)));
    return targets;
  }

  retryable(after: string | null, limit: number): Promise<Target[]> {
    return readTargets(
      this.#transaction,
      sql`where t.campaign_id = ${this.campaign.id} and t.state in ('failed', 'silent', 'fellBack', 'cancelled')
        and t.endpoint > ${storableText(after ?? "")}
        order by t.endpoint limit ${limit}`,
    );
  }

  async candidate(endpoint: string) {
    const [candidate] = await readCandidates(
      this.#transaction,
      sql`where t.campaign_id = ${this.campaign.id} and t.endpoint = ${storableText(endpoint)}`,
    );
    return candidate;
  }

  candidates(endpoints: readonly string[]) {
    return readCandidates(
      this.#transaction,
      sql`where t.campaign_id = ${this.campaign.id} and t.endpoint = any(${endpoints.map(storableText)}::text[])`,
    );
  }

  async save({ campaign, targets, joined, outputs }: CampaignChange): Promise<void> {
    const { wakeAtMs } = campaign;
    await this.#transaction
      .updateTable("campaigns")
      .set({
        state: campaign.state,
        value: storableJson(campaign),
        open_waves: openWaves(campaign),
        wake_at_ms: wakeAtMs === null ? null : Math.round(wakeAtMs),
        taken_until: null,
        updated_at: new Date(),
      })
      .where("id", "=", campaign.id)
      .execute();
    await writeTargets(this.#transaction, [...targets.map(({ after }) => after), ...joined]);
    this.events = eventsOf({ campaign, targets, joined, outputs });
  }
}

function eventsOf({ campaign, targets, outputs }: CampaignChange): NewEvent[] {
  const campaignId = campaign.id;
  const devices = targets
    .filter(({ before, after }) => before.sentence !== after.sentence)
    .map(({ after: { endpoint, wave, sentence, state, failure, attempt } }) => {
      const facts = { wave, state, attempt, ...(failure !== null && { failure }) };
      return { kind: "campaign.note" as const, campaignId, endpoint, sentence, facts };
    });
  const own = outputs.map(({ wave, sentence }): NewEvent => {
    if (wave === null) return { kind: "campaign.transition", campaignId, sentence, facts: { state: campaign.state } };
    return { kind: "wave.transition", campaignId, sentence, facts: { wave, state: campaign.waves[wave]?.state } };
  });
  return [...devices, ...own];
}
