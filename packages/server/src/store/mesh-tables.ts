/** The tables of meshes as kysely sees them. Their SQL is in migrations/0010-mesh.ts. */
import type {
  AirWindow,
  GatewayOrder,
  GatewayState,
  SessionOutcome,
  SessionProgress,
} from "@airlift/protocol/api/gateway";
import type { ColumnType, Generated } from "kysely";
import type { PackedRelease } from "../mesh/packed-release.ts";
import type { Instant, Json, MaybeInstant } from "./columns.ts";

type MaybeJson<Value> = ColumnType<Value | null, string | null | undefined, string | null>;

/** Keys of devices, groups and releases, each sealed for its place. */
export interface MeshSecretTable {
  place: string;
  secret: Buffer;
  key_version: string;
}

export interface MeshGroupTable {
  id: string;
  manufacturer: string;
  model: string;
  name: string;
  generation: Generated<number>;
  /** The number of the network's next frame in the group's channel. */
  next_fseq: Generated<number>;
}

export interface MeshDeviceTable {
  endpoint: string;
  name: string;
  group_id: string;
  /** The generation of the group's key that the device has said it has; 0 = none. */
  joined_generation: Generated<number>;
  next_fseq: Generated<number>;
  /** Of the device's newest event that was taken. */
  last_fseq: Generated<number>;
  cell: string | null;
  gateway_id: string | null;
  heard_at: MaybeInstant;
  received_count: number | null;
  deficit: number | null;
  battery: number | null;
  /** When the network last spoke to it alone, and how often since it was heard. */
  asked_at: MaybeInstant;
  ask_count: Generated<number>;
}

export interface MeshReleaseTable {
  image_id: string;
  name: string;
  manifest_name: string;
  packed: Json<PackedRelease>;
}

export interface GatewayTable {
  id: string;
  cells: string[];
  band: string;
  rate_bps: number;
  loss: number;
  last_order: Generated<number>;
  last_report: Generated<number>;
  state: MaybeJson<GatewayState>;
  seen_at: MaybeInstant;
}

export interface GatewayOrderTable {
  gateway_id: string;
  number: number;
  content: Json<StoredOrder>;
  session_id: string | null;
  is_over: Generated<boolean>;
  created_at: Instant;
}

/** An order without the key of the channel that it polls in; that is put in when it leaves. */
export interface StoredOrder {
  readonly order: GatewayOrder["order"];
  /** Whose key, "group th-100 2"; null = the order needs none. */
  readonly channelPlace: string | null;
  /** When it is the word to install: for whom. */
  readonly apply?: ApplyOrder | undefined;
}

/** Whom a word to install is for: all of a group that have the image, or each by itself. */
export interface ApplyOrder {
  /** Null = each is told alone. */
  readonly groupId: string | null;
  readonly updateIds: readonly string[];
}

export interface MeshSessionTable {
  id: string;
  seq: Generated<number>;
  campaign_id: string | null;
  image_id: string;
  group_id: string;
  gateway_id: string;
  cells: string[];
  device_count: number;
  /** Update Time of the image. */
  update_at_ms: number;
  windows: Json<AirWindow[]>;
  planned_airtime_ms: number;
  progress: MaybeJson<SessionProgress>;
  outcome: SessionOutcome | null;
  detail: string | null;
  created_at: Instant;
  ended_at: MaybeInstant;
}

export interface GatewayAirtimeTable {
  gateway_id: string;
  band: string;
  minute: Instant;
  used_ms: number;
  budget_ms: number;
  window_ms: number;
}

export interface MeshTables {
  mesh_secrets: MeshSecretTable;
  mesh_groups: MeshGroupTable;
  mesh_devices: MeshDeviceTable;
  mesh_releases: MeshReleaseTable;
  gateways: GatewayTable;
  gateway_orders: GatewayOrderTable;
  mesh_sessions: MeshSessionTable;
  gateway_airtime: GatewayAirtimeTable;
}
