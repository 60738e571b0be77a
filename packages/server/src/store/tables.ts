/** The tables as kysely sees them. Their SQL is in migrations/. */
import type { Device, FirmwareReport, Image } from "@airlift/protocol/api/schemas";
import type { RegisteredObjects } from "@airlift/protocol/lwm2m/registered-objects";
import type { DeliveryMethod, FailureKind, UpdateState } from "@airlift/protocol/update/device-update";
import type { ColumnType, Generated } from "kysely";
import type { UpdateSnapshot } from "../delivery/driver-messages.ts";
import type { QueueOutcome, QueueState, RequestContent } from "../fleet/queued-request.ts";
import type { Transport } from "../fleet/sender.ts";
import type {
  ApiSessionTable,
  ApiTokenTable,
  CertificateAuthorityTable,
  DeviceCredentialTable,
} from "./access-tables.ts";
import type { CampaignTable, CampaignTargetTable } from "./campaign-tables.ts";
import type { Instant, Json, MaybeInstant } from "./columns.ts";
import type { MeshTables } from "./mesh-tables.ts";
import type {
  AuditTable,
  EventTable,
  ExchangeTable,
  KeptAnswerTable,
  WebhookDeliveryTable,
  WebhookTable,
} from "./record-tables.ts";
import type { QueueAnswer } from "./request-queue-store.ts";

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
  secured_at: MaybeInstant;
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
  /** The server that has its registration. */
  node_id: string | null;
  /** The server that it spoke to last; another one stands in for it while `node_id` differs. */
  home_id: string | null;
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
