/** The REST API's nouns of webhooks: who is told of events, and what became of it. */
import { z } from "zod";
import { EVENT_KINDS, LIVE_KINDS } from "./schemas.ts";

const instant = z.iso.datetime({ precision: 3 });
const url = z
  .url({ protocol: /^https?$/, error: "has to be an address that begins with https:// (or http://)" })
  .max(2048);
/** Those that are only told live are not stored, and so not sent. */
const kinds = z
  .array(z.enum(EVENT_KINDS).refine((kind) => !LIVE_KINDS.has(kind), "is told to live listeners only"))
  .max(100);
const campaignId = z.string().min(1).max(64).nullable();
const note = z.string().max(256);

export const Webhook = z.object({
  id: z.string(),
  url: z.string(),
  /** Kinds of events that are sent; empty = all. */
  kinds: z.array(z.string()),
  /** Only events of this campaign; null = all. */
  campaignId,
  isEnabled: z.boolean(),
  /** Why it was disabled when nobody asked for that: its receiver is gone. Null once it is enabled again. */
  disabledReason: z.string().nullable(),
  note: z.string(),
  createdAt: instant,
  /** Deliveries that wait, for their turn or for their next attempt. */
  waitingCount: z.int().nonnegative(),
  /** Deliveries that were given up. */
  deadCount: z.int().nonnegative(),
});
export type Webhook = z.infer<typeof Webhook>;

/** The body of `POST /api/v1/webhooks`. */
export const NewWebhook = z.strictObject({
  url,
  kinds: kinds.default([]),
  campaignId: campaignId.default(null),
  note: note.default(""),
});
export type NewWebhook = z.input<typeof NewWebhook>;

/** The answer to its creation, the only one that holds the secret: "whsec_" and 32 octets in Base64. */
export const CreatedWebhook = Webhook.extend({ secret: z.string() });
export type CreatedWebhook = z.infer<typeof CreatedWebhook>;

/** The body of `PATCH /api/v1/webhooks/{id}`; what is absent stays. One that is enabled again hears of what happens from then on. */
export const WebhookEdit = z.strictObject({
  url: url.optional(),
  kinds: kinds.optional(),
  campaignId: campaignId.optional(),
  note: note.optional(),
  isEnabled: z.boolean().optional(),
});
export type WebhookEdit = z.infer<typeof WebhookEdit>;

export const DELIVERY_STATES = ["waiting", "delivered", "dead"] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** One event on its way to one webhook. */
export const WebhookDelivery = z.object({
  /** The same in every attempt: the header `webhook-id`. */
  id: z.string(),
  /** null = a test. */
  eventId: z.int().positive().nullable(),
  kind: z.string(),
  state: z.enum(DELIVERY_STATES),
  attempts: z.int().nonnegative(),
  createdAt: instant,
  /** When it is tried next; null when it has ended. */
  nextAt: instant.nullable(),
  /** The status of the last answer; null = there was none. */
  status: z.int().nullable(),
  /** Why the last attempt failed. */
  problem: z.string().nullable(),
});
export type WebhookDelivery = z.infer<typeof WebhookDelivery>;

/** The body of `POST /api/v1/webhooks/{id}/replay`: these deliveries, or all that were given up. */
export const WebhookReplay = z.strictObject({ deliveryIds: z.array(z.string().min(1).max(128)).max(1000).optional() });

export const WebhookReplayOutcome = z.object({ count: z.int().nonnegative() });
