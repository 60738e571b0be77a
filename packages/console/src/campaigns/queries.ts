/** What the campaign pages ask, and what they tell the server. */
import type {
  Campaign,
  CampaignPlan,
  CampaignSummary,
  CampaignTarget,
  NewCampaign,
} from "@airlift/protocol/api/campaign";
import type { DevicePreview, Event } from "@airlift/protocol/api/schemas";
import type { CampaignCommand } from "@airlift/protocol/update/campaign";
import { queryOptions } from "@tanstack/react-query";
import { listOf } from "../api/queries.ts";
import { ask, askTagged } from "../api/request.ts";

const pathOf = (id: string, rest = ""): string => `campaigns/${encodeURIComponent(id)}${rest}`;

export const campaignsQuery = () => listOf<CampaignSummary>(["campaigns", "list"], "campaigns");

/** With its revision, for those who change it or say yes to it. */
export const campaignQuery = (id: string) =>
  queryOptions({
    queryKey: ["campaigns", "one", id],
    queryFn: ({ signal }) => askTagged<Campaign>(pathOf(id), { signal }),
  });

export interface TargetFilter {
  readonly state?: CampaignTarget["state"];
  readonly wave?: number;
}

export const targetsQuery = (id: string, filter: TargetFilter) =>
  listOf<CampaignTarget>(["campaigns", "targets", id], pathOf(id, "/targets"), { ...filter });

export const campaignEventsQuery = (id: string) =>
  listOf<Event>(["campaigns", "events", id], pathOf(id, "/events"), { limit: 50 });

/** What a draft would do, or what a campaign would do with the devices that it has. */
export const planQuery = (id: string) =>
  queryOptions({
    queryKey: ["campaigns", "plan", id],
    queryFn: ({ signal }) => ask<CampaignPlan>(pathOf(id, "/plan"), { signal }),
  });

export const previewTargets = (query: string) =>
  ask<DevicePreview>("campaigns/preview", { method: "POST", body: { query } });

export const planCampaign = (spec: NewCampaign) => ask<CampaignPlan>("campaigns/plan", { method: "POST", body: spec });

export const createCampaign = (spec: NewCampaign) => ask<Campaign>("campaigns", { method: "POST", body: spec });

const ifMatch = (etag: string | null) => (etag === null ? {} : { headers: { "if-match": etag } });

/** @param etag What was seen when the editing began. @throws {ApiError} ETAG_MISMATCH when that is not there any more. */
export const changeDraft = (id: string, edit: Readonly<Record<string, unknown>>, etag: string | null) =>
  ask<Campaign>(pathOf(id), { method: "PATCH", body: edit, ...ifMatch(etag) });

export const deleteDraft = (id: string) => ask<undefined>(pathOf(id), { method: "DELETE" });

/** @param etag What was looked at, where the word is for that alone. @throws {ApiError} ETAG_MISMATCH when it was changed since. */
export const tellCampaign = (id: string, command: CampaignCommand, etag: string | null) =>
  ask<Campaign>(pathOf(id, `/${command}`), { method: "POST", ...ifMatch(etag) });

export const retryDevices = (id: string, endpoint?: string) =>
  ask<{ count: number }>(pathOf(id, "/retry"), {
    method: "POST",
    body: { ...(endpoint !== undefined && { endpoint }) },
  });
