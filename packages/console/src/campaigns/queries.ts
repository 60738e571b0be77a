/** What the campaign pages ask, and what they tell the server. */
import type {
  Campaign,
  CampaignPlan,
  CampaignRetry,
  CampaignSummary,
  CampaignTarget,
  NewCampaign,
  RetriedCount,
  TargetPreview,
} from "@airlift/protocol/api/campaign";
import type { Event } from "@airlift/protocol/api/schemas";
import type { CampaignCommand } from "@airlift/protocol/update/campaign";
import { queryOptions } from "@tanstack/react-query";
import { listOf, type Page, pathOf as withQuery } from "../api/queries.ts";
import { ask, askTagged } from "../api/request.ts";

const pathOf = (id: string, rest = ""): string => `campaigns/${encodeURIComponent(id)}${rest}`;

/** Not among what an event makes stale: `useCampaignList` keeps it in step, campaign by campaign. */
export const campaignsQuery = () => listOf<CampaignSummary>(["campaignList"], "campaigns");

export const campaignSummary = (id: string) => ask<CampaignSummary>(pathOf(id));

/** Those in one state: few, so that they are asked for again when something happens to any campaign. */
export const campaignsIn = (state: CampaignSummary["state"]) =>
  listOf<CampaignSummary>(["campaigns", "in", state], "campaigns", { state });

/** With its revision, for those who change it or say yes to it. */
export const campaignQuery = (id: string) =>
  queryOptions({
    queryKey: ["campaigns", "one", id],
    queryFn: ({ signal }) => askTagged<Campaign>(pathOf(id), { signal }),
  });

const TARGETS_AT_ONCE = 200;

export interface TargetFilter {
  readonly state?: CampaignTarget["state"];
  readonly wave?: number;
}

/** A page of the campaign's devices. */
export const targetsPage = (id: string, filter: TargetFilter, cursor: string | undefined) =>
  ask<Page<CampaignTarget>>(withQuery(pathOf(id, "/targets"), { ...filter, cursor, limit: TARGETS_AT_ONCE }));

/** Lines are put on top of it as they come; it is not asked for again. */
export const campaignEventsQuery = (id: string) =>
  listOf<Event>(["campaignEvents", id], pathOf(id, "/events"), { limit: 50 });

/** What a draft would do, or what a campaign would do with the devices that it has. */
export const planQuery = (id: string) =>
  queryOptions({
    queryKey: ["campaigns", "plan", id],
    queryFn: ({ signal }) => ask<CampaignPlan>(pathOf(id, "/plan"), { signal }),
  });

export const previewTargets = (query: string) =>
  ask<TargetPreview>("campaigns/preview", { method: "POST", body: { query }, isRepeatable: true });

/** How many devices a draft is for. */
export const targetCountQuery = (query: string) =>
  queryOptions({
    queryKey: ["targetCount", query],
    queryFn: async () => (await previewTargets(query)).count,
    // What is wrong with the query is told by the plan, and a proposal does not change under whoever looks at it.
    retry: false,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });

/** What a campaign would do that is not kept yet. It is worked out anew when the viewer asks, not when somebody else's campaign moves. */
export const dryRunQuery = (spec: NewCampaign) =>
  queryOptions({
    queryKey: ["dryRun", spec],
    queryFn: ({ signal }) =>
      ask<CampaignPlan>("campaigns/plan", { method: "POST", body: spec, isRepeatable: true, signal }),
    retry: false,
    // Another look at the step is another question; another look at the window is not.
    staleTime: 0,
    gcTime: 0,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });

export const createCampaign = (spec: NewCampaign) => ask<Campaign>("campaigns", { method: "POST", body: spec });

const ifMatch = (etag: string | null) => (etag === null ? {} : { headers: { "if-match": etag } });

/** @param etag What was seen when the editing began. @throws {ApiError} ETAG_MISMATCH when that is not there any more. */
export const changeDraft = (id: string, edit: Readonly<Record<string, unknown>>, etag: string | null) =>
  ask<Campaign>(pathOf(id), { method: "PATCH", body: edit, ...ifMatch(etag) });

export const deleteDraft = (id: string) => ask<undefined>(pathOf(id), { method: "DELETE" });

/** @param etag What was looked at, where the word is for that alone. @throws {ApiError} ETAG_MISMATCH when it was changed since. */
export const tellCampaign = (id: string, command: CampaignCommand, etag: string | null) =>
  ask<Campaign>(pathOf(id, `/${command}`), { method: "POST", ...ifMatch(etag) });

/** One device, or all of them, some thousands with each question and each of them once. */
export async function retryDevices(id: string, endpoint?: string): Promise<void> {
  for (let body: CampaignRetry | null = { ...(endpoint !== undefined && { endpoint }) }; body !== null; ) {
    const { next }: RetriedCount = await ask<RetriedCount>(pathOf(id, "/retry"), { method: "POST", body });
    body = next === null ? null : { cursor: next };
  }
}
