/** The tables of what happened, and of who is told of it, as kysely sees them. */
import type { Event, Exchange } from "@airlift/protocol/api/schemas";
import type { ColumnType, Generated } from "kysely";
import type { Instant, Json, MaybeInstant } from "./columns.ts";

export interface AuditTable {
  id: number;
  /** ISO 8601 as it was hashed. */
  at: string;
  who: string;
  role: string | null;
  peer: string;
  action: string;
  outcome: number;
  /** Whoever is behind `who`; null = nobody was asked. */
  person: string | null;
  hash: string;
}

export interface ExchangeTable {
  update_id: string;
  /** The place that an exchange shares with the older ones that it replaces. */
  slot: number;
  attempt: number;
  number: number;
  at: Instant;
  request: string;
  answer: string;
  took_ms: number;
  retransmission_count: number;
  transfer: Json<NonNullable<Exchange["transfer"]>> | null;
}

export interface EventTable {
  id: Generated<number>;
  at: Instant;
  kind: Event["kind"];
  endpoint: string | null;
  update_id: string | null;
  sentence: string;
  facts: Json<Record<string, unknown>>;
  campaign_id: string | null;
}

export interface KeptAnswerTable {
  key: string;
  fingerprint: string;
  /** Null while the request is running. */
  status: number | null;
  content_type: string | null;
  body: string | null;
  /** Those of the answer that mean something beside its content. */
  headers: ColumnType<Record<string, string>, string | undefined, string>;
  created_at: Instant;
}

export interface WebhookTable {
  id: string;
  seq: Generated<number>;
  url: string;
  /** Empty = all. */
  kinds: ColumnType<string[], string[] | undefined, string[]>;
  campaign_id: string | null;
  is_enabled: Generated<boolean>;
  /** Why it was disabled without anybody asking for that. */
  disabled_reason: string | null;
  note: Generated<string>;
  /** Sealed. */
  secret: Buffer;
  key_version: string;
  /** Events up to this one have been looked at. */
  position: number;
  created_at: Instant;
}

export interface WebhookDeliveryTable {
  id: string;
  seq: Generated<number>;
  webhook_id: string;
  /** null = a test. */
  event_id: number | null;
  kind: string;
  /** What is sent, octet for octet. */
  body: string;
  state: Generated<"waiting" | "delivered" | "dead">;
  attempts: Generated<number>;
  created_at: Instant;
  next_at: Instant;
  lease_until: MaybeInstant;
  status: number | null;
  problem: string | null;
  finished_at: MaybeInstant;
}
