/**
 * A campaign store in memory: what every store must do, in few words. For simulation and tests, where the rules run against 10⁵ devices in
 * seconds; a transaction that throws leaves nothing behind, and what is saved can be looked at.
 */
import { UsageError } from "@airlift/protocol/lib/errors";
import { isFinalUpdateState } from "@airlift/protocol/update/device-update";
import { approvedAlong, type Campaign, openWaves } from "./campaign.ts";
import { type CampaignOutput, stepCampaign } from "./campaign-step.ts";
import { type Candidate, type DeviceHistory, NO_HISTORY, type Rival } from "./device.ts";
import type { CampaignPolicy } from "./policy.ts";
import type { CampaignChange, CampaignStore, CampaignTransaction, DueQuery, LeasedOrder } from "./store-ports.ts";
import { newTarget, placeOf, type Target } from "./target.ts";
import { TargetShelf } from "./target-shelf.ts";
import { orderKey } from "./waves.ts";

interface Kept {
  campaign: Campaign;
  readonly policy: CampaignPolicy;
  readonly shelf: TargetShelf;
  readonly outputs: CampaignOutput[];
}

/** An order that nobody confirmed leaves again after so long. */
const LEASE_MS = 30_000;

export class MemoryCampaignStore implements CampaignStore {
  readonly #campaigns = new Map<string, Kept>();
  readonly #devices = new Map<string, Candidate["device"]>();
  readonly #histories = new Map<string, DeviceHistory>();
  readonly #orders = new Map<string, { leased: LeasedOrder; leaseEndsAtMs: number }>();
  readonly #rollbacks = new Map<string, string>();
  /** Called before each save: may throw, as a database may. */
  beforeSave: () => void = () => undefined;

  add(campaign: Campaign, policy: CampaignPolicy, targets: readonly Target[]): void {
    const shelf = new TargetShelf();
    for (const target of targets) shelf.put(target);
    this.#campaigns.set(campaign.id, { campaign, policy, shelf, outputs: [] });
  }

  /** Prepares one campaign as the rollback of another. */
  addRollback(campaignId: string, rollback: Campaign, policy: CampaignPolicy): void {
    this.add(rollback, policy, []);
    this.#rollbacks.set(campaignId, rollback.id);
  }

  setDevice(device: Candidate["device"]): void {
    this.#devices.set(device.endpoint, device);
  }

  setHistory(endpoint: string, history: DeviceHistory): void {
    this.#histories.set(endpoint, history);
  }

  campaign(campaignId: string): Campaign {
    return this.#kept(campaignId).campaign;
  }

  targets(campaignId: string): Target[] {
    return [...this.#kept(campaignId).shelf.all()];
  }

  outputs(campaignId: string): readonly CampaignOutput[] {
    return this.#kept(campaignId).outputs;
  }

  async transact<T>(campaignId: string, work: (transaction: CampaignTransaction) => Promise<T>): Promise<T> {
    const kept = this.#kept(campaignId);
    return await work({
      campaign: kept.campaign,
      policy: kept.policy,
      revision: async () => JSON.stringify(kept.campaign),
      due: async (query: DueQuery) => kept.shelf.due(query).map((target) => this.#candidate(target)),
      overpermitted: async (query) => kept.shelf.overpermitted(query).map((target) => this.#candidate(target)),
      nextDueAtMs: async (waves, utcMs) => kept.shelf.nextDueAtMs(waves, utcMs),
      stoppable: async (limit) => kept.shelf.stoppable(limit),
      retryable: async (behind, limit) => kept.shelf.retryable(behind, limit),
      candidate: async (endpoint) => {
        const target = kept.shelf.get(endpoint);
        return target && this.#candidate(target);
      },
      candidates: async (endpoints) =>
        endpoints.flatMap((endpoint) => {
          const target = kept.shelf.get(endpoint);
          return target ? [this.#candidate(target)] : [];
        }),
      save: async (change) => this.#save(kept, change),
    });
  }

  async takeDue(utcMs: number, limit: number): Promise<readonly string[]> {
    return [...this.#campaigns.values()]
      .flatMap(({ campaign: { id, wakeAtMs } }) => (wakeAtMs !== null && wakeAtMs <= utcMs ? [{ id, wakeAtMs }] : []))
      .sort((a, b) => a.wakeAtMs - b.wakeAtMs)
      .slice(0, limit)
      .map(({ id }) => id);
  }

  async takeOrders(utcMs: number, limit: number): Promise<readonly LeasedOrder[]> {
    const taken: LeasedOrder[] = [];
    for (const one of this.#orders.values()) {
      if (taken.length === limit) break;
      const { target, order } = one.leased;
      if (one.leaseEndsAtMs > utcMs) continue;
      const isAlways = order.kind === "cancel" || order.kind === "hold";
      if (!isAlways && !openWaves(this.campaign(target.campaignId)).includes(target.wave)) continue;
      one.leaseEndsAtMs = utcMs + LEASE_MS;
      taken.push(one.leased);
    }
    return taken;
  }

  async orderDone(campaignId: string, endpoint: string, order: LeasedOrder["order"]): Promise<void> {
    const { shelf } = this.#kept(campaignId);
    const target = shelf.get(endpoint);
    if (target?.order?.kind !== order.kind || target.order.attempt !== order.attempt) return;
    // A cancel stays on the row, so that the device is not told twice; it only leaves no more.
    if (order.kind !== "cancel") shelf.put({ ...target, order: null });
    this.#orders.delete(`${campaignId} ${endpoint}`);
  }

  async wakeDevices(endpoints: readonly string[], utcMs: number): Promise<void> {
    for (const endpoint of endpoints) this.#wakeDevice(endpoint, utcMs);
  }

  async strangers(campaignId: string, endpoints: readonly string[]): Promise<readonly string[]> {
    const kept = this.#campaigns.get(campaignId);
    return endpoints.filter((endpoint) => kept?.shelf.get(endpoint) === undefined);
  }

  async continuous(): Promise<readonly { readonly campaignId: string; readonly policy: CampaignPolicy }[]> {
    return [...this.#campaigns.values()].flatMap(({ campaign: { id, state }, policy }) =>
      policy.isContinuous && (state === "running" || state === "paused") ? [{ campaignId: id, policy }] : [],
    );
  }

  async fillRollback(campaignId: string, utcMs: number): Promise<Campaign | undefined> {
    const rollback = this.#campaigns.get(this.#rollbacks.get(campaignId) ?? "");
    if (!rollback) return undefined;
    const { id, state: now } = rollback.campaign;
    if (now === "stopped" || now === "aborted") return rollback.campaign;
    let count = 0;
    for (const { endpoint, state } of this.#kept(campaignId).shelf.all()) {
      if (state !== "succeeded" || rollback.shelf.get(endpoint)) continue;
      rollback.shelf.put(newTarget({ campaignId: id, endpoint, wave: 0, orderKey: orderKey(id, endpoint) }));
      count += 1;
    }
    if (count === 0) return rollback.campaign;
    const before = approvedAlong(rollback.campaign, this.campaign(campaignId));
    const { campaign, outputs } = stepCampaign(before, rollback.policy, { kind: "filled", count }, utcMs);
    rollback.campaign = campaign;
    rollback.outputs.push(...outputs);
    return rollback.campaign;
  }

  #wakeDevice(endpoint: string, utcMs: number): void {
    for (const kept of this.#campaigns.values()) {
      const target = kept.shelf.get(endpoint);
      const phase = target && placeOf(target).phase;
      const { state } = kept.campaign;
      if ((state !== "running" && state !== "paused") || !target || target.notBeforeMs === null) continue;
      if (phase !== "pending" && phase !== "held") continue;
      kept.shelf.put({ ...target, notBeforeMs: null });
      kept.campaign = { ...kept.campaign, wakeAtMs: Math.min(kept.campaign.wakeAtMs ?? utcMs, utcMs) };
    }
  }

  #save(kept: Kept, { campaign, targets, joined, outputs }: CampaignChange): void {
    this.beforeSave();
    kept.campaign = campaign;
    kept.outputs.push(...outputs);
    for (const target of joined) kept.shelf.put(target);
    for (const { after } of targets) {
      kept.shelf.put(after);
      this.#queueOrder(after);
    }
  }

  #queueOrder(target: Target): void {
    const key = `${target.campaignId} ${target.endpoint}`;
    const waiting = this.#orders.get(key);
    if (target.order === null) this.#orders.delete(key);
    else if (waiting?.leased.order.kind !== target.order.kind || waiting.leased.order.attempt !== target.order.attempt)
      this.#orders.set(key, { leased: { target, order: target.order }, leaseEndsAtMs: Number.NEGATIVE_INFINITY });
  }

  #candidate(target: Target): Candidate {
    const { endpoint } = target;
    const device = this.#devices.get(endpoint) ?? unknownDevice(endpoint);
    return { target, device, history: this.#histories.get(endpoint) ?? NO_HISTORY, rival: this.#rivalOf(target) };
  }

  #rivalOf({ campaignId, endpoint }: Target): Rival | null {
    let strongest: Rival | null = null;
    for (const [id, { campaign, policy, shelf }] of this.#campaigns) {
      const other = id === campaignId ? undefined : shelf.get(endpoint);
      if (!other || isFinalUpdateState(other.state)) continue;
      if (!other.isUnderWay && campaign.state !== "running") continue;
      const rival: Rival = {
        campaignId: id,
        name: policy.name,
        priority: policy.priority,
        isUnderWay: other.isUnderWay,
      };
      const isStronger =
        rival.isUnderWay !== strongest?.isUnderWay ? rival.isUnderWay : rival.priority > (strongest?.priority ?? 0);
      if (strongest === null || isStronger) strongest = rival;
    }
    return strongest;
  }

  #kept(campaignId: string): Kept {
    const kept = this.#campaigns.get(campaignId);
    if (!kept) throw new UsageError("UNKNOWN_CAMPAIGN", `there is no campaign ${campaignId}`, { campaignId });
    return kept;
  }
}

function unknownDevice(endpoint: string): Candidate["device"] {
  return {
    endpoint,
    manufacturer: null,
    model: null,
    version: null,
    hardware: null,
    tags: [],
    presence: "deregistered",
    lastSeenAtMs: null,
    signalDbm: null,
    cell: null,
    resources: {},
    timeZone: null,
    utcOffset: null,
  };
}
