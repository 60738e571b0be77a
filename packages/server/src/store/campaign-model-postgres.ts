/** PostgreSQL under the campaigns' model. What changed is read back after each step, in one question: most rows did not. For tests. */
import assert from "node:assert/strict";
import { CampaignSpec } from "@airlift/protocol/api/campaign";
import { BugError } from "@airlift/protocol/lib/errors";
import { type Kysely, type Selectable, sql } from "kysely";
import type { Campaign } from "../campaign/campaign.ts";
import type { Candidate } from "../campaign/device.ts";
import type { CampaignStore } from "../campaign/store-ports.ts";
import type { Target } from "../campaign/target.ts";
import type { ModelStore } from "./campaign-model-store.ts";
import { insertCampaign } from "./campaign-rows.ts";
import type { CampaignTable, CampaignTargetTable } from "./campaign-tables.ts";
import type { Tables } from "./tables.ts";
import { toTarget, writeTargets } from "./target-rows.ts";

/** The rules go by the policy alone. */
const SPEC = CampaignSpec.parse({ name: "model", image: "00000000000000aa", targets: { query: "endpoint==*" } });
/** After so many looks at what changed all of it is read, and must be the same. */
const LOOKS_BEFORE_ALL = 500;

export function postgresModel(campaigns: CampaignStore, tables: Kysely<Tables>): ModelStore {
  const mirror = new Mirror(tables);
  let mayBeLeased = true;
  return {
    store: telling(campaigns, (name) => {
      mirror.note();
      mayBeLeased ||= name === "takeDue" || name === "takeOrders";
    }),
    clear: async () => {
      await sql`truncate campaign_targets, campaigns, devices, events`.execute(tables);
      mirror.clear();
    },
    add: async (campaign, policy, targets) => {
      await insertCampaign(tables, { campaign, spec: SPEC, policy, rollbackOf: null });
      await writeTargets(tables, targets);
      mirror.note();
    },
    setDevice: (device) => saveDevice(tables, device),
    setHistory: async (endpoint, { failuresInRow, lastFailureAtMs, leftVersions }) => {
      const failedAt = lastFailureAtMs === null ? null : new Date(lastFailureAtMs).toISOString();
      await sql`update devices set failure_count = ${failuresInRow}, last_failure_at = ${failedAt}::timestamptz,
        left_versions = ${leftVersions}::text[] where endpoint = ${endpoint}`.execute(tables);
    },
    campaign: async (id) => (await mirror.look()).campaign(id),
    targets: async (id) => (await mirror.look()).targets(id),
    endLeases: async () => {
      if (!mayBeLeased) return;
      mayBeLeased = false;
      await sql`with orders as (update campaign_targets set order_until = null where order_until is not null)
        update campaigns set taken_until = null where taken_until is not null`.execute(tables);
      mirror.note();
    },
  };
}

/** What the tables held when they were last looked at. */
class Mirror {
  readonly #tables: Kysely<Tables>;
  #campaigns = new Map<string, Campaign>();
  #targets = new Map<string, Target>();
  /** Transactions from this one on have not been looked at. */
  #nextTransaction = "0";
  #mayHaveChanged = true;
  #lookCount = 0;

  constructor(tables: Kysely<Tables>) {
    this.#tables = tables;
  }

  note(): void {
    this.#mayHaveChanged = true;
  }

  clear(): void {
    this.#campaigns.clear();
    this.#targets.clear();
    this.#nextTransaction = "0";
    this.#mayHaveChanged = true;
  }

  campaign(id: string): Campaign {
    const found = this.#campaigns.get(id);
    if (found === undefined) throw new BugError("UNKNOWN_CAMPAIGN", `campaign ${id} is gone`);
    return found;
  }

  targets(id: string): Target[] {
    return [...this.#targets.values()].filter(({ campaignId }) => campaignId === id);
  }

  async look(): Promise<this> {
    if (!this.#mayHaveChanged) return this;
    this.#mayHaveChanged = false;
    await this.#readFrom(this.#nextTransaction);
    this.#lookCount += 1;
    if (this.#lookCount % LOOKS_BEFORE_ALL === 0) await this.#readAll();
    return this;
  }

  async #readAll(): Promise<void> {
    const [campaigns, targets] = [this.#campaigns, this.#targets];
    [this.#campaigns, this.#targets] = [new Map(), new Map()];
    await this.#readFrom("0");
    assert.deepEqual(this.#campaigns, campaigns, "campaigns as they were looked at and as they are");
    assert.deepEqual(new Map([...this.#targets].sort()), new Map([...targets].sort()), "devices as they were and are");
  }

  async #readFrom(transaction: string): Promise<void> {
    const { rows } = await sql<Changed>`
      select 'campaign' as kind, to_jsonb(c) - 'policy' - 'spec' as row from campaigns c where c.xmin::text::bigint >= ${transaction}::bigint
      union all
      select 'target', to_jsonb(t) from campaign_targets t where t.xmin::text::bigint >= ${transaction}::bigint
      union all
      select 'next', to_jsonb(pg_snapshot_xmax(pg_current_snapshot())::text)`.execute(this.#tables);
    for (const { kind, row } of rows) {
      if (kind === "next") this.#nextTransaction = row;
      else if (kind === "campaign") this.#campaigns.set(row.id, row.value);
      else this.#targets.set(`${row.campaign_id} ${row.endpoint}`, toTarget(row));
    }
  }
}

type Changed =
  | { readonly kind: "next"; readonly row: string }
  | { readonly kind: "campaign"; readonly row: Pick<Selectable<CampaignTable>, "id" | "value"> }
  | { readonly kind: "target"; readonly row: Selectable<CampaignTargetTable> };

/** `store`, which tells of each call when it has ended. */
function telling(store: CampaignStore, onCall: (name: PropertyKey) => void): CampaignStore {
  return new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...given: unknown[]) => Promise.resolve(value.apply(target, given)).finally(() => onCall(name));
    },
  });
}

async function saveDevice(tables: Kysely<Tables>, device: Candidate["device"]): Promise<void> {
  const { endpoint, presence, manufacturer, model, version, cell, utcOffset } = device;
  const seenAt = new Date(device.lastSeenAtMs ?? 0).toISOString();
  await sql`
    insert into devices (endpoint, registration_id, presence, transport, address, lwm2m_version, binding, queue_mode,
      lifetime_s, objects, registered_at, last_seen_at, expires_at, manufacturer, model, version, cell, utc_offset)
    values (${endpoint}, 'r', ${presence}, 'udp', '192.0.2.1:5683', '1.1', 'U', false, 300, '{}', ${seenAt}::timestamptz,
      ${seenAt}::timestamptz, ${seenAt}::timestamptz, ${manufacturer}, ${model}, ${version}, ${cell}, ${utcOffset})
    on conflict (endpoint) do update set presence = excluded.presence, last_seen_at = excluded.last_seen_at,
      model = excluded.model, version = excluded.version, cell = excluded.cell, utc_offset = excluded.utc_offset`.execute(
    tables,
  );
}
