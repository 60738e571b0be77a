/** The tables as kysely sees them. Their SQL is in migrations/. */
import type { CredentialKind, CredentialPurpose, Role } from "@airlift/protocol/api/credentials";
import type { Device, Event, Exchange, FirmwareReport, Image } from "@airlift/protocol/api/schemas";
import type { RegisteredObjects } from "@airlift/protocol/lwm2m/registered-objects";
import type { DeliveryMethod, FailureKind, UpdateState } from "@airlift/protocol/update/device-update";
import type { ColumnType, Generated } from "kysely";
import type { UpdateSnapshot } from "../delivery/driver-messages.ts";
import type { QueueOutcome, QueueState, RequestContent } from "../fleet/queued-request.ts";
import type { Transport } from "../fleet/sender.ts";
import type { QueueAnswer } from "./request-queue-store.ts";

/** A timestamptz: read as a Date, written as one or left to its default. */
type Instant = ColumnType<Date, Date | string | undefined, Date | string>;
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

export interface DeviceTable {
  endpoint: string;
  registration_id: string;
  presence: Device["presence"];
  transport: Transport;
  address: string;
  lwm2m_version: string;
  binding: string;
  queue_mode: boolean;
  lifetime_s: number;
  objects: Json<RegisteredObjects>;
  registered_at: Instant;
  last_seen_at: Instant;
  expires_at: Instant;
  manufacturer: string | null;
  model: string | null;
  version: string | null;
  hardware: string | null;
  firmware: Json<FirmwareReport> | null;
}

export interface UpdateTable {
  id: string;
  seq: Generated<number>;
  endpoint: string;
  image_id: string;
  target: Generated<string>;
  attempt: Generated<number>;
  by: DeliveryMethod;
  apply: boolean;
  state: UpdateState;
  failure: FailureKind | null;
  sentence: string;
  said_at: Instant;
  method: "push" | "pull" | null;
  package_uri: string | null;
  acknowledged_bytes: number;
  total_bytes: number;
  snapshot: Json<UpdateSnapshot> | null;
  created_at: Instant;
  updated_at: Instant;
  finished_at: ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
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
}

export interface KeptAnswerTable {
  key: string;
  fingerprint: string;
  /** Null while the request is running. */
  status: number | null;
  content_type: string | null;
  body: string | null;
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
}

export interface MigrationTable {
  number: number;
  name: string;
  applied_at: Instant;
}

export interface Tables {
  images: ImageTable;
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
  applied_migrations: MigrationTable;
}
