/** /api/v1/campaigns: written, looked at, changed while they are drafts. */
import {
  Campaign,
  CampaignEdit,
  CampaignPlan,
  CampaignPreview,
  CampaignSpec,
  CampaignSummary,
  CampaignTarget,
  TargetPreview,
} from "@airlift/protocol/api/campaign";
import { Event, pageOf } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import { CAMPAIGN_STATES } from "@airlift/protocol/update/campaign";
import { UPDATE_STATES } from "@airlift/protocol/update/device-update";
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import type { Person } from "../campaign/person.ts";
import { WHOLE_FLEET_COUNT } from "../campaign/plan.ts";
import { parseQuery } from "../campaign/query/parse-query.ts";
import type { KeptCampaign } from "../store/campaign-reading.ts";
import { editSpec, planOf, readOrder } from "./campaign-orders.ts";
import { showCampaign, showTargets, summarize } from "./campaign-view.ts";
import { PageQuery } from "./queries.ts";
import type { Api, ApiParts } from "./routes.ts";

export const OneCampaign = z.object({ id: z.string().min(1).max(64) });
const CampaignQuery = PageQuery.extend({ state: z.enum(CAMPAIGN_STATES).optional() });
const TargetQuery = PageQuery.extend({
  state: z.enum(UPDATE_STATES).optional(),
  wave: z.coerce.number().int().nonnegative().optional(),
});
export const Revision = z.object({ "if-match": z.string().max(64).optional() });

/** A hundred waves with their queries and criteria. */
const LARGEST_SPEC_BYTES = 2 ** 20;
/** Mistakes in a body's shape are told along with those in what it means. */
const TOLD_WITH_THE_REST = { attachValidation: true } as const;
/** Devices of a preview. */
const SAMPLE_ROWS = 10;
const tags = ["campaigns"];

/** Who a campaign counts as made or approved by. */
export const personOf = ({ principal }: FastifyRequest): string => principal?.name ?? "local";

const authorOf = (request: FastifyRequest): Person => ({ name: personOf(request), id: request.principal?.personId });

export const etagOf = ({ revision }: KeptCampaign): string => `"${revision}"`;

/** @throws {UsageError} UNKNOWN_CAMPAIGN (404) */
export async function requireCampaign({ stores }: Pick<ApiParts, "stores">, campaignId: string): Promise<KeptCampaign> {
  const kept = await stores.campaigns.get(campaignId);
  if (kept !== undefined) return kept;
  throw new UsageError("UNKNOWN_CAMPAIGN", `there is no campaign ${campaignId}`, { campaignId });
}

/** The revision that a request has seen: that of If-Match. @throws {UsageError} ETAG_MISMATCH (412) when no campaign ever had it. */
export function revisionOf({ "if-match": ifMatch }: z.infer<typeof Revision>): string | undefined {
  if (ifMatch === undefined || ifMatch === "*") return undefined;
  const revision = /^"([\w-]{22})"$/.exec(ifMatch)?.[1];
  if (revision === undefined) throw new UsageError("ETAG_MISMATCH", `no campaign has the ETag ${ifMatch}`);
  return revision;
}

/** A rollback lives with the campaign that it undoes: what is told to it alone would leave that one without. */
export function refusePreparedRollback({ campaign, rollbackOf }: KeptCampaign): void {
  if (rollbackOf === null || campaign.state !== "ready") return;
  const sentence = `this campaign is prepared to undo campaign ${rollbackOf}: tell that one to roll back`;
  throw new UsageError("ROLLBACK_PREPARED", sentence, { campaignId: campaign.id, rollbackOf });
}

export function campaignRoutes(app: Api, parts: ApiParts): void {
  const { campaigns } = parts.stores;

  app.get(
    "/campaigns",
    {
      schema: {
        tags,
        summary: "Campaigns, newest first",
        querystring: CampaignQuery,
        response: { 200: pageOf(CampaignSummary) },
      },
    },
    async ({ query: { state, ...page } }) => {
      const { items, next } = await campaigns.list(state, page);
      return { items: items.map(summarize), next };
    },
  );

  app.get(
    "/campaigns/:id",
    {
      schema: {
        tags,
        summary: "One campaign with its waves, and its criteria against their limits",
        params: OneCampaign,
        response: { 200: Campaign },
      },
    },
    async (request, reply) => {
      const kept = await requireCampaign(parts, request.params.id);
      const broadcast = await parts.stores.mesh.sessions.broadcastOf(kept.campaign.id);
      return await reply
        .header("etag", etagOf(kept))
        .send({ ...showCampaign(kept, Date.now()), ...(broadcast !== null && { broadcast }) });
    },
  );

  createRoute(app, parts);
  draftRoutes(app, parts);
  planRoutes(app, parts);
  targetRoutes(app, parts);
}

function createRoute(app: Api, { stores }: ApiParts): void {
  app.post(
    "/campaigns",
    {
      bodyLimit: LARGEST_SPEC_BYTES,
      ...TOLD_WITH_THE_REST,
      schema: {
        tags,
        summary: "A draft of a campaign, with the devices that its query finds now dealt out into its waves",
        body: CampaignSpec,
        response: { 201: Campaign },
      },
    },
    async (request, reply) => {
      const order = await readOrder(stores, request.body, authorOf(request));
      await stores.devices.flush();
      const kept = await stores.campaigns.create(order, Date.now());
      return await reply
        .status(201)
        .header("location", `/api/v1/campaigns/${kept.campaign.id}`)
        .header("etag", etagOf(kept))
        .send(showCampaign(kept, Date.now()));
    },
  );
}

function draftRoutes(app: Api, parts: ApiParts): void {
  const { stores } = parts;

  app.patch(
    "/campaigns/:id",
    {
      bodyLimit: LARGEST_SPEC_BYTES,
      schema: {
        tags,
        summary:
          "Change a draft: members of the spec replaced, its devices dealt out anew; If-Match guards against others' changes",
        params: OneCampaign,
        headers: Revision,
        body: CampaignEdit,
        response: { 200: Campaign },
      },
    },
    async (request, reply) => {
      const seen = await requireCampaign(parts, request.params.id);
      refusePreparedRollback(seen);
      const order = await readOrder(stores, editSpec(seen.spec, request.body), authorOf(request));
      // What the edit was laid over has to be what it replaces, whether or not the client asks for that.
      const revision = revisionOf(request.headers) ?? seen.revision;
      const kept = await stores.campaigns.revise({ campaignId: seen.campaign.id, revision, order }, Date.now());
      return await reply.header("etag", etagOf(kept)).send(showCampaign(kept, Date.now()));
    },
  );

  app.delete(
    "/campaigns/:id",
    {
      schema: {
        tags,
        summary: "Take a draft away; campaigns that were submitted stay",
        params: OneCampaign,
        headers: Revision,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const seen = await requireCampaign(parts, request.params.id);
      refusePreparedRollback(seen);
      const draft = { campaignId: seen.campaign.id, revision: revisionOf(request.headers) };
      await stores.campaigns.deleteDraft(draft, personOf(request));
      return await reply.status(204).send(null);
    },
  );
}

function planRoutes(app: Api, parts: ApiParts): void {
  const { stores, fleet } = parts;

  app.post(
    "/campaigns/preview",
    {
      schema: {
        tags,
        summary: "How many devices a target query finds, and some of them",
        body: CampaignPreview,
        response: { 200: TargetPreview },
      },
    },
    async (request) => {
      const selection = { query: parseQuery(request.body.query), utcMs: Date.now() };
      const { items } = await stores.inventory.list(selection, { limit: SAMPLE_ROWS });
      const sample = items.map((device) => ({ ...device, ...fleet.reachabilityOf(device.endpoint) }));
      const counted = await stores.inventory.count(selection);
      const isWholeFleet = counted.count >= WHOLE_FLEET_COUNT && (await stores.inventory.isEveryDevice(selection));
      return { ...counted, isWholeFleet, sample };
    },
  );

  app.post(
    "/campaigns/plan",
    {
      bodyLimit: LARGEST_SPEC_BYTES,
      ...TOLD_WITH_THE_REST,
      schema: {
        tags,
        summary: "What a campaign would do if it were created and started now; nothing is kept",
        body: CampaignSpec,
        response: { 200: CampaignPlan },
      },
    },
    async (request) => {
      const order = await readOrder(stores, request.body, authorOf(request));
      await stores.devices.flush();
      return await planOf(parts, order);
    },
  );

  app.get(
    "/campaigns/:id/plan",
    {
      schema: {
        tags,
        summary: "What a campaign would do with the devices that it has if it began now",
        params: OneCampaign,
        response: { 200: CampaignPlan },
      },
    },
    async (request) => {
      const kept = await requireCampaign(parts, request.params.id);
      const { id: campaignId, approvedBy } = kept.campaign;
      return await planOf(parts, kept, { campaignId, rollbackOf: kept.rollbackOf, isApproved: approvedBy !== null });
    },
  );
}

function targetRoutes(app: Api, parts: ApiParts): void {
  const { campaigns, events } = parts.stores;

  app.get(
    "/campaigns/:id/targets",
    {
      schema: {
        tags,
        summary: "The devices of a campaign by endpoint, each with why it stands where it stands",
        params: OneCampaign,
        querystring: TargetQuery,
        response: { 200: pageOf(CampaignTarget) },
      },
    },
    async ({ params: { id }, query: { state, wave, ...page } }) => {
      const kept = await requireCampaign(parts, id);
      const { items, next } = await campaigns.targets(id, { state, wave }, page);
      const begun = items.filter(({ attempt }) => attempt > 0).map(({ endpoint }) => endpoint);
      const updateIds = await campaigns.updateIds(id, begun);
      return { items: showTargets(kept, items, { updateIds, utcMs: Date.now() }), next };
    },
  );

  app.get(
    "/campaigns/:id/events",
    {
      schema: {
        tags,
        summary: "A campaign's timeline, newest first",
        params: OneCampaign,
        querystring: PageQuery,
        response: { 200: pageOf(Event) },
      },
    },
    async (request) => {
      const { campaign } = await requireCampaign(parts, request.params.id);
      return await events.list({ campaignId: campaign.id }, request.query);
    },
  );
}
