/** The tables as kysely sees them. Their SQL is in migrations/. */
import type { CampaignSpec } from "@airlift/protocol/api/campaign";
import type { CredentialKind, CredentialPurpose, Role } from "@airlift/protocol/api/credentials";
import type { Device, Event, Exchange, FirmwareReport, Image } from "@airlift/protocol/api/schemas";
import type { RegisteredObjects } from "@airlift/protocol/lwm2m/registered-objects";
import type { CampaignState } from "@airlift/protocol/update/campaign";
import type { DeliveryMethod, FailureKind, UpdateState } from "@airlift/protocol/update/device-update";
import type { ColumnType, Generated } from "kysely";
import type { Campaign } from "../campaign/campaign.ts";
import type { PersonId } from "../campaign/person.ts";
import type { CampaignPolicy } from "../campaign/policy.ts";
import type { Target, TargetOrder } from "../campaign/target.ts";
import type { UpdateSnapshot } from "../delivery/driver-messages.ts";
import type { QueueOutcome, QueueState, RequestContent } from "../fleet/queued-request.ts";
import type { Transport } from "../fleet/sender.ts";
import type { MeshTables } from "./mesh-tables.ts";
import type { QueueAnswer } from "./request-queue-store.ts";

/** A timestamptz: read as a Date, written as one or left to its default. */
type Instant = ColumnType<Date, Date | string | undefined, Date | string>;
type MaybeInstant = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
/** A jsonb column: read as the value, written as its JSON text. */
type Json<Value> = ColumnType<Value, string | undefined, string>;

export interface ImageTable {
  id: string;
  seq: Generated<number>;
  manufacturer: string;
  model: string;
  version: string;
  hardware: Json<string[]>;
  size_bytes: number;
  sha256: string;
  format: Image["format"];
  signature: Json<Image["signature"]> | null;
  security_counter: number | null;
  created_at: Instant;
}

export interface DeltaTable {
  id: string;
  seq: Generated<number>;
  image_id: string;
  base_id: string;
  size_bytes: number;
  sha256: string;
  created_at: Instant;
}

export interface DeviceTable {
  endpoint: string;
  registration_id: string;
  presence: Device["presence"];
  /** "zmesh": a device behind gateways, which never registers. */
  transport: Transport | "zmesh";
  address: string;
  lwm2m_version: string;
  binding: string;
  queue_mode: boolean;
  lifetime_s: number;
  objects: Json<RegisteredObjects>;
  registered_at: Instant;
  last_seen_at: Instant;
  expires_at: Instant;
  /** Since when it may register with a proof alone; null = it never had one, or an operator forgave it. */
  secured_at: OptionalInstant;
  manufacturer: string | null;
  model: string | null;
  version: string | null;
  hardware: string | null;
  firmware: Json<FirmwareReport> | null;
  tags: ColumnType<string[], string[] | undefined, string[]>;
  note: Generated<string>;
  /** Counts the operators' edits, for ETags. */
  revision: Generated<number>;
  /** What was reported of other resources, by path: "/3/0/9" to its value. */
  resources: Json<Record<string, unknown>>;
  cell: string | null;
  /** dBm. */
  signal: number | null;
  /** Percent. */
  battery: number | null;
  /** /3/0/14, "+02:00". */
  utc_offset: string | null;
  /** /3/0/15, "Europe/Oslo". */
  timezone: string | null;
  /** Updates that failed since one succeeded. */
  failure_count: Generated<number>;
  last_failure: string | null;
  last_failure_at: MaybeInstant;
  /** Versions that campaigns replaced, the newest first. */
  left_versions: ColumnType<string[], string[] | undefined, string[]>;
  /** The server that the device registered at. */
  node_id: string | null;
}

export interface NodeTable {
  id: string;
  /** Counts the starts under this name: only the newest renews the lease. */
  run: Generated<number>;
  address: string | null;
  started_at: Instant;
  lease_until: Instant;
}

export interface UpdateTable {
  id: string;
  seq: Generated<number>;
  endpoint: string;
  image_id: string;
  target: Generated<string>;
  /** A delta may be sent in place of the image. */
  delta: Generated<boolean>;
  attempt: Generated<number>;
  by: DeliveryMethod;
  apply: boolean;
  state: UpdateState;
  failure: FailureKind | null;
  sentence: string;
  said_at: Instant;
  method: "push" | "pull" | "broadcast" | null;
  package_uri: string | null;
  acknowledged_bytes: number;
  total_bytes: number;
  snapshot: Json<UpdateSnapshot> | null;
  created_at: Instant;
  updated_at: Instant;
  finished_at: MaybeInstant;
  /** The server that drives it. */
  node_id: string | null;
  campaign_id: string | null;
  wave: number | null;
  /** The broadcast by which a mesh device gets it. */
  mesh_session_id: string | null;
  broadcast_count: Generated<number>;
  /** False when its exchanges were deleted for their age. */
  has_exchanges: Generated<boolean>;
}

export interface CampaignTable {
  id: string;
  seq: Generated<number>;
  name: string;
  state: CampaignState;
  spec: Json<CampaignSpec>;
  policy: Json<CampaignPolicy>;
  value: Json<Campaign>;
  open_waves: ColumnType<number[], number[] | undefined, number[]>;
  priority: Generated<number>;
  wake_at_ms: number | null;
  taken_until: MaybeInstant;
  /** The campaign that this one is prepared to undo. */
  rollback_of: string | null;
  created_at: Instant;
  updated_at: Instant;
}

export interface CampaignTargetTable {
  campaign_id: string;
  endpoint: string;
  wave: number;
  order_key: number;
  phase: Generated<"pending" | "active" | "held" | "ended">;
  state: Generated<UpdateState>;
  failure: FailureKind | null;
  attempt: Generated<number>;
  is_under_way: Generated<boolean>;
  is_apply_permitted: Generated<boolean>;
  waiting_order: Json<TargetOrder> | null;
  order_until: MaybeInstant;
  image_id: string | null;
  cell: string | null;
  delivered_bytes: Generated<number>;
  failures: Json<Target["failures"]>;
  not_before_ms: number | null;
  sentence: Generated<string>;
}

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

/** An instant that may be missing. */
type OptionalInstant = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;

export interface DeviceCredentialTable {
  id: string;
  endpoint: string;
  kind: CredentialKind;
  purpose: CredentialPurpose;
  identity: string;
  /** A sealed pre-shared key. */
  secret: Buffer | null;
  /** The master key that it is sealed under. */
  key_version: string | null;
  public_pem: string | null;
  /** The credential that takes its place. */
  successor: string | null;
  created_at: Instant;
  last_used_at: OptionalInstant;
  ends_at: OptionalInstant;
  withdrawn_at: OptionalInstant;
}

export interface CertificateAuthorityTable {
  fingerprint: string;
  subject: string;
  pem: string;
  valid_until: Instant;
  created_at: Instant;
}

export interface ApiTokenTable {
  id: string;
  seq: Generated<number>;
  /** SHA-256 of the token's text, hex. */
  hash: string;
  name: string;
  role: Role;
  /** Who signed in with an account at a provider; null = the token speaks for itself. */
  account: PersonId | null;
  created_at: Instant;
  expires_at: OptionalInstant;
  last_used_at: OptionalInstant;
  revoked_at: OptionalInstant;
}

export interface ApiSessionTable {
  /** SHA-256 of the cookie, hex. */
  hash: string;
  token_id: string;
  created_at: Instant;
  expires_at: Instant;
}

export interface DeviceRequestTable {
  id: string;
  seq: Generated<number>;
  endpoint: string;
  content: Json<RequestContent>;
  state: QueueState;
  attempts: number;
  submitted_at: Instant;
  expires_at: Instant;
  finished_at: ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
  outcome: QueueOutcome | null;
  answer: Json<QueueAnswer> | null;
  /** The server that sends it; null = the one that its device is registered at takes it. */
  node_id: string | null;
}

export interface ObservationTable {
  id: string;
  endpoint: string;
  /** "/3/0/9"; several are observed as one. */
  paths: Json<string[]>;
  /** Null: the one that suits. */
  format: number | null;
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

export interface MigrationTable {
  number: number;
  name: string;
  applied_at: Instant;
}

export interface Tables extends MeshTables {
  images: ImageTable;
  deltas: DeltaTable;
  devices: DeviceTable;
  updates: UpdateTable;
  events: EventTable;
  exchanges: ExchangeTable;
  kept_answers: KeptAnswerTable;
  device_credentials: DeviceCredentialTable;
  certificate_authorities: CertificateAuthorityTable;
  api_tokens: ApiTokenTable;
  api_sessions: ApiSessionTable;
  device_requests: DeviceRequestTable;
  observations: ObservationTable;
  nodes: NodeTable;
  campaigns: CampaignTable;
  campaign_targets: CampaignTargetTable;
  audit: AuditTable;
  webhooks: WebhookTable;
  webhook_deliveries: WebhookDeliveryTable;
  applied_migrations: MigrationTable;
}
