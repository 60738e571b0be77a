/** What a written campaign comes to: its images found, its policy compiled, and what undoes it prepared along with it. */

import { CampaignPlan, type CampaignSpec } from "@airlift/protocol/api/campaign";
import { readCampaign } from "@airlift/protocol/api/campaign-file";
import type { Image } from "@airlift/protocol/api/schemas";
import { countText } from "@airlift/protocol/lib/count-text";
import { UsageError } from "@airlift/protocol/lib/errors";
import { offsetAt } from "@airlift/runtime/zone-offset";
import type { Person } from "../campaign/person.ts";
import { CampaignPlanner, type PlannedAirtime, WHOLE_FLEET_COUNT } from "../campaign/plan.ts";
import { compilePolicy, policyMistakes, rollbackSpec, specRefused } from "../campaign/policy.ts";
import type { CampaignOrder } from "../store/campaign-rows.ts";
import type { Stores } from "../store/ports.ts";
import type { MeshCommands } from "./ports.ts";

/**
 * Reads a written spec into what is kept of a campaign.
 *
 * @throws {UsageError} CAMPAIGN_SPEC (422) with every mistake in `facts.problems`.
 */
export async function readOrder(
  stores: Pick<Stores, "images">,
  written: unknown,
  author: Person,
): Promise<CampaignOrder> {
  const { spec, mistakes, unread } = readCampaign(written);
  const images = await findImages(stores, spec);
  const findImage = (id: string) => images.get(id);
  const all = [...mistakes, ...policyMistakes(spec, { findImage, offsetAt }, unread)];
  if (all.length > 0) throw specRefused(all);
  const policy = compilePolicy(spec, findImage, offsetAt);
  const undoing = rollbackSpec(spec);
  if (undoing === undefined) return { spec, policy, author };
  return { spec, policy, author, rollback: { spec: undoing, policy: compilePolicy(undoing, findImage, offsetAt) } };
}

/** A spec with members replaced, as it was written; null takes one away. */
export function editSpec(
  spec: CampaignSpec,
  edit: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const merged: Record<string, unknown> = { ...spec, ...edit };
  for (const [name, value] of Object.entries(edit)) if (value === null) delete merged[name];
  return merged;
}

/**
 * What a campaign would do with its own devices, or with those that its query finds now. Reads all of them, a page at a time.
 *
 * @param kept The campaign whose devices they are; absent = it is not kept.
 */
export async function planOf(
  { stores: { campaigns, inventory }, mesh }: PlanParts,
  { spec, policy }: Pick<CampaignOrder, "spec" | "policy">,
  kept?: PlannedCampaign,
): Promise<CampaignPlan> {
  const utcMs = Date.now();
  const planner = new CampaignPlanner({ spec, policy, offsetAt, utcMs, isApproved: kept?.isApproved ?? false });
  const { query } = policy;
  const onAir: string[] = [];
  for await (const { wave, isMesh, ...planned } of campaigns.planned(kept ?? { query }, utcMs))
    if (planner.add(planned, wave) && isMesh) onAir.push(planned.device.endpoint);
  // What undoes another campaign gets its devices from that one.
  const isByQuery = kept === undefined || kept.rollbackOf === null;
  if (kept !== undefined && isByQuery)
    for await (const outsider of campaigns.outsiders({ ...kept, query }, utcMs)) planner.addOutsider(outsider);
  const mayBeAll = isByQuery && planner.matchedCount >= WHOLE_FLEET_COUNT;
  const isWholeFleet = mayBeAll && (await inventory.isEveryDevice({ query, utcMs }));
  return CampaignPlan.parse(planner.finish(await airtimeOf(mesh, policy.image.id, onAir), isWholeFleet));
}

/** A campaign that is kept, to be planned with the devices that it has. */
export interface PlannedCampaign {
  readonly campaignId: string;
  readonly rollbackOf: string | null;
  readonly isApproved: boolean;
}

/** What a plan is made from. */
export interface PlanParts {
  readonly stores: {
    readonly campaigns: Pick<Stores["campaigns"], "planned" | "outsiders">;
    readonly inventory: Pick<Stores["inventory"], "isEveryDevice">;
  };
  readonly mesh?: Pick<MeshCommands, "preview"> | undefined;
}

/** A broadcast that waits for the law may take so long. */
const LONGEST_BROADCAST_MS = 24 * 3_600_000;

/** What the law or the gateways do not allow is a word of warning: it is the plan that was asked for. */
async function airtimeOf(
  mesh: PlanParts["mesh"],
  imageId: string,
  endpoints: readonly string[],
): Promise<PlannedAirtime> {
  if (endpoints.length === 0) return { airtimeMs: null, warnings: [] };
  const count = `${countText(endpoints.length, "device")} behind gateways`;
  if (mesh === undefined) return { airtimeMs: null, warnings: [`${count}: this server speaks to no gateways`] };
  try {
    const { airtimeMs } = await mesh.preview(imageId, endpoints, LONGEST_BROADCAST_MS);
    return { airtimeMs, warnings: [] };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { airtimeMs: null, warnings: [`${count}: ${error.message}`] };
  }
}

async function findImages({ images }: Pick<Stores, "images">, spec: CampaignSpec): Promise<Map<string, Image>> {
  const ids = [spec.image, ...spec.steppingStones.map(({ image }) => image), spec.rollback?.image];
  const found = await Promise.all([...new Set(ids)].map((id) => (id === undefined ? undefined : images.get(id))));
  return new Map(found.flatMap((image) => (image === undefined ? [] : [[image.id, image]])));
}
