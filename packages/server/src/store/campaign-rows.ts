/** New campaigns as rows. */
import { randomBytes } from "node:crypto";
import type { CampaignSpec } from "@airlift/protocol/api/campaign";
import type { Kysely } from "kysely";
import { type Authorship, type Campaign, newRollback } from "../campaign/campaign.ts";
import type { Person } from "../campaign/person.ts";
import type { CampaignPolicy } from "../campaign/policy.ts";
import { encodePolicy } from "./campaign-policy.ts";
import { storableJson, storableText } from "./database.ts";
import type { Tables } from "./tables.ts";

/** What is to be kept: the spec as it was written, and what the rules made of it. */
export interface CampaignOrder {
  readonly spec: CampaignSpec;
  readonly policy: CampaignPolicy;
  /** Who creates the campaign with it, or changes a draft to it. */
  readonly author: Person;
  /** What undoes it, prepared along with it. */
  readonly rollback?: { readonly spec: CampaignSpec; readonly policy: CampaignPolicy } | undefined;
}

export const newCampaignId = (): string => randomBytes(8).toString("hex");

interface NewRow extends Pick<CampaignOrder, "spec" | "policy"> {
  readonly campaign: Campaign;
  readonly rollbackOf: string | null;
}

/** Keeps what undoes a campaign, if that is wanted. */
export async function insertRollback(
  transaction: Kysely<Tables>,
  of: Authorship,
  { rollback }: Pick<CampaignOrder, "rollback">,
): Promise<void> {
  if (rollback === undefined) return;
  const campaign = newRollback({ ...of, id: newCampaignId() }, rollback.policy);
  await insertCampaign(transaction, { ...rollback, campaign, rollbackOf: of.id });
}

export async function insertCampaign(
  transaction: Kysely<Tables>,
  { campaign, spec, policy, rollbackOf }: NewRow,
): Promise<void> {
  await transaction
    .insertInto("campaigns")
    .values({
      id: campaign.id,
      name: storableText(policy.name),
      state: campaign.state,
      spec: storableJson(spec),
      policy: encodePolicy(policy),
      value: storableJson(campaign),
      priority: policy.priority,
      wake_at_ms: campaign.wakeAtMs,
      rollback_of: rollbackOf,
    })
    .execute();
}
