/** What a written campaign comes to: its images found, its policy compiled, and what undoes it prepared along with it. */
import { CampaignPlan, type CampaignSpec } from "@airlift/protocol/api/campaign";
import { readCampaignSpec } from "@airlift/protocol/api/campaign-file";
import type { Image } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import { offsetAt } from "@airlift/runtime/zone-offset";
import { CampaignPlanner, type PlannedAirtime } from "../campaign/plan.ts";
import { type CampaignPolicy, compilePolicy, rollbackSpec } from "../campaign/policy.ts";
import type { CampaignOrder } from "../store/campaign-rows.ts";
import type { Stores } from "../store/ports.ts";
import type { MeshCommands } from "./ports.ts";

/**
 * Reads a spec into what is kept of a campaign.
 *
 * @throws {UsageError} CAMPAIGN_SPEC (422) with the place in the spec in `facts.path`.
 */
export async function readOrder(
  stores: Pick<Stores, "images">,
  spec: CampaignSpec,
  author: Pick<CampaignOrder, "createdBy" | "creatorId">,
): Promise<CampaignOrder> {
  const images = await findImages(stores, spec);
  const find = (id: string) => images.get(id);
  const policy = compilePolicy(spec, find, offsetAt);
  const undoing = rollbackSpec(spec);
  if (undoing === undefined) return { spec, policy, ...author };
  const rollback = { spec: undoing, policy: compilePolicy(undoing, find, offsetAt) };
  refuseOtherModel(policy, rollback.policy);
  return { spec, policy, ...author, rollback };
}

/** A spec with members replaced; null takes one away. @throws {UsageError} CAMPAIGN_SPEC (422) */
export function editSpec(spec: CampaignSpec, edit: Readonly<Record<string, unknown>>): CampaignSpec {
  const merged: Record<string, unknown> = { ...spec, ...edit };
  for (const [name, value] of Object.entries(edit)) if (value === null) delete merged[name];
  return readCampaignSpec(merged);
}

/** What a campaign would do with its own devices, or with those that its query finds now. Reads all of them, a page at a time. */
export async function planOf(
  { stores: { campaigns }, mesh }: PlanParts,
  { spec, policy }: Pick<CampaignOrder, "spec" | "policy">,
  campaignId?: string,
): Promise<CampaignPlan> {
  const utcMs = Date.now();
  const planner = new CampaignPlanner({ spec, policy, offsetAt, utcMs });
  const devices = campaigns.planned(campaignId === undefined ? { query: policy.query } : { campaignId }, utcMs);
  const onAir: string[] = [];
  for await (const { wave, isMesh, ...planned } of devices)
    if (planner.add(planned, wave) && isMesh) onAir.push(planned.device.endpoint);
  return CampaignPlan.parse(planner.finish(await airtimeOf(mesh, policy.image.id, onAir)));
}

/** What a plan is made from. */
export interface PlanParts {
  readonly stores: { readonly campaigns: Pick<Stores["campaigns"], "planned"> };
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
  const count = `${endpoints.length} device${endpoints.length === 1 ? "" : "s"} behind gateways`;
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

/** What undoes nothing is worse than nothing: it would be trusted. */
function refuseOtherModel({ image }: CampaignPolicy, { image: back }: CampaignPolicy): void {
  if (image.manufacturer === back.manufacturer && image.model === back.model && image.id !== back.id) return;
  const why =
    image.id === back.id
      ? "the rollback has the campaign's own image"
      : `the rollback's image is for ${back.manufacturer} ${back.model}, the campaign's for ${image.manufacturer} ${image.model}`;
  throw new UsageError("CAMPAIGN_SPEC", `rollback.image: ${why}`, { path: "rollback.image", why: "ROLLBACK_IMAGE" });
}
