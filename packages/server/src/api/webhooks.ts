/** /api/v1/webhooks: who is told of events, and what became of each delivery. */
import { pageOf } from "@airlift/protocol/api/schemas";
import {
  CreatedWebhook,
  DELIVERY_STATES,
  NewWebhook,
  Webhook,
  WebhookDelivery,
  WebhookEdit,
  WebhookReplay,
  WebhookReplayOutcome,
} from "@airlift/protocol/api/webhooks";
import { UsageError } from "@airlift/protocol/lib/errors";
import { z } from "zod";
import { webhookRevision } from "../store/webhook-store.ts";
import { checkDestination } from "../webhooks/destination.ts";
import { requireCampaign } from "./campaigns.ts";
import { PageQuery } from "./queries.ts";
import type { Api, ApiParts } from "./routes.ts";

const etagOf = (webhook: Webhook): string => `"${webhookRevision(webhook)}"`;

/** @throws {UsageError} ETAG_MISMATCH for one that no webhook ever had. */
function revisionOf(ifMatch: string | undefined): string | undefined {
  if (ifMatch === undefined || ifMatch === "*") return undefined;
  const revision = /^"([\w-]{22})"$/.exec(ifMatch)?.[1];
  if (revision === undefined) throw new UsageError("ETAG_MISMATCH", `no webhook has the ETag ${ifMatch}`);
  return revision;
}

const Revision = z.object({ "if-match": z.string().max(64).optional() });
const OneWebhook = z.object({ id: z.string().min(1).max(64) });
const DeliveryQuery = PageQuery.extend({ state: z.enum(DELIVERY_STATES).optional() });
const tags = ["webhooks"];

export function webhookRoutes(app: Api, parts: ApiParts): void {
  const { webhooks } = parts.stores;
  const { allowHttpWebhooks: allowsHttp = false, allowPrivateWebhooks: allowsPrivate = false } = parts.config;
  const policy = { allowsHttp, allowsPrivate };

  /** One that waits for what can never happen would look as if all were well. */
  const requireTold = async (campaignId: string | null) => {
    if (campaignId !== null) await requireCampaign(parts, campaignId);
  };

  app.get(
    "/webhooks",
    { schema: { tags, summary: "Webhooks, oldest first", response: { 200: pageOf(Webhook) } } },
    async () => ({ items: await webhooks.list(), next: null }),
  );

  app.post(
    "/webhooks",
    {
      config: { answersSecret: true },
      schema: {
        tags,
        summary: "Add a webhook; its secret is told once",
        body: NewWebhook,
        response: { 201: CreatedWebhook },
      },
    },
    async ({ body }, reply) => {
      checkDestination(body.url, policy);
      await requireTold(body.campaignId);
      const created = await webhooks.add(body);
      return await reply
        .status(201)
        .header("location", `/api/v1/webhooks/${created.id}`)
        .header("etag", etagOf(created))
        .send(created);
    },
  );

  app.get(
    "/webhooks/:id",
    { schema: { tags, summary: "One webhook", params: OneWebhook, response: { 200: Webhook } } },
    async ({ params }, reply) => {
      const webhook = await webhooks.get(params.id);
      return await reply.header("etag", etagOf(webhook)).send(webhook);
    },
  );

  app.patch(
    "/webhooks/:id",
    {
      schema: {
        tags,
        summary: "Change a webhook, or have it rest; If-Match guards against others' changes",
        params: OneWebhook,
        headers: Revision,
        body: WebhookEdit,
        response: { 200: Webhook },
      },
    },
    async ({ params, body, headers }, reply) => {
      if (body.url !== undefined) checkDestination(body.url, policy);
      await requireTold(body.campaignId ?? null);
      const webhook = await webhooks.edit(params.id, body, revisionOf(headers["if-match"]));
      return await reply.header("etag", etagOf(webhook)).send(webhook);
    },
  );

  app.delete(
    "/webhooks/:id",
    { schema: { tags, summary: "Remove a webhook", params: OneWebhook, response: { 204: z.null() } } },
    async ({ params }, reply) => {
      await webhooks.remove(params.id);
      return await reply.status(204).send(null);
    },
  );
  deliveryRoutes(app, parts);
}

function deliveryRoutes(app: Api, { stores: { webhooks } }: ApiParts): void {
  app.get(
    "/webhooks/:id/deliveries",
    {
      schema: {
        tags,
        summary: "Deliveries, newest first; those that were given up with state=dead",
        params: OneWebhook,
        querystring: DeliveryQuery,
        response: { 200: pageOf(WebhookDelivery) },
      },
    },
    async ({ params, query: { state, ...page } }) => await webhooks.deliveries(params.id, state, page),
  );

  app.post(
    "/webhooks/:id/replay",
    {
      schema: {
        tags,
        summary: "Send deliveries once more: these, or all that were given up",
        params: OneWebhook,
        body: WebhookReplay,
        response: { 200: WebhookReplayOutcome },
      },
    },
    async ({ params, body }) => ({ count: await webhooks.replay(params.id, body.deliveryIds) }),
  );

  app.post(
    "/webhooks/:id/test",
    {
      schema: {
        tags,
        summary: "Send a test, which is tried once; see what became of it among the deliveries",
        params: OneWebhook,
        response: { 202: WebhookDelivery },
      },
    },
    async ({ params }, reply) => await reply.status(202).send(await webhooks.test(params.id)),
  );
}
