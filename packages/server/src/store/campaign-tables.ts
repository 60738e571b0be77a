/** The tables of campaigns as kysely sees them. */
import type { CampaignSpec } from "@airlift/protocol/api/campaign";
import type { CampaignState } from "@airlift/protocol/update/campaign";
import type { FailureKind, UpdateState } from "@airlift/protocol/update/device-update";
import type { ColumnType, Generated } from "kysely";
import type { Campaign } from "../campaign/campaign.ts";
import type { CampaignPolicy } from "../campaign/policy.ts";
import type { Target, TargetOrder } from "../campaign/target.ts";
import type { Instant, Json, MaybeInstant } from "./columns.ts";

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
