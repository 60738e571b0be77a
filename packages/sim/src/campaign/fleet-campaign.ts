/** A campaign over a simulated fleet in virtual time: the server's real rules, a store in memory, days in seconds. */
import type { Random } from "@airlift/protocol/lib/core";
import { type Campaign, countsOf, isFinalCampaign, newCampaign } from "@airlift/server/campaign/campaign";
import type { Candidate } from "@airlift/server/campaign/device";
import { CampaignEngine } from "@airlift/server/campaign/engine";
import { MemoryCampaignStore } from "@airlift/server/campaign/memory-store";
import type { CampaignPolicy } from "@airlift/server/campaign/policy";
import type { OffsetAt } from "@airlift/server/campaign/schedule/wall-clock";
import { newTarget } from "@airlift/server/campaign/target";
import { dealWaves, orderKey, queriedWave } from "@airlift/server/campaign/waves";
import { BEHAVIOURS, type Behaviour, DeliveryModel, type Report } from "./delivery-model.ts";

/** Shares of the fleet, 0 … 1; who is in none is good. */
export type BehaviourShares = Partial<Record<Behaviour, number>>;

export interface FleetCampaignOptions {
  readonly policy: CampaignPolicy;
  readonly devices: readonly Candidate["device"][];
  readonly shares: BehaviourShares;
  readonly random: Random;
  readonly offsetAt: OffsetAt;
  /** Wall time at the start. */
  readonly startUtcMs: number;
}

export interface FleetCampaignResult {
  readonly campaign: Campaign;
  readonly elapsedMs: number;
  readonly mostActive: number;
  /** Attempts begun. */
  readonly startedCount: number;
  readonly sentences: readonly string[];
}

/** The sweep of a server runs so often. */
const SWEEP_MS = 1000;

/** Runs a campaign until it has ended, or waits for an operator, and nothing moves any more; at most `limitMs` of virtual time. */
export async function runFleetCampaign(
  options: FleetCampaignOptions,
  limitMs = 60 * 86_400_000,
): Promise<FleetCampaignResult> {
  const { policy, startUtcMs } = options;
  const store = fill(options);
  const engine = new CampaignEngine(store, options.offsetAt);
  const devices = new Map(options.devices.map((device) => [device.endpoint, device]));
  const delivery = new DeliveryModel({
    random: options.random,
    behaviourOf: behaviours(options),
    onInstalled: (endpoint, version) => {
      const device = devices.get(endpoint);
      if (device) store.setDevice({ ...device, version });
    },
  });
  let utcMs = startUtcMs;
  let mostActive = 0;
  for (const command of ["submit", "approve", "start"] as const)
    if (command !== "approve" || policy.needsApproval)
      await engine.command("sim", { command, by: command === "approve" ? "second" : "first" }, utcMs);
  const report = async (one: Report): Promise<void> => {
    await engine.report({ campaignId: one.campaignId, endpoint: one.endpoint }, one, utcMs);
  };
  while (utcMs - startUtcMs < limitMs) {
    await engine.sweep(utcMs);
    for (const { target, order } of await store.takeOrders(utcMs, 10_000)) {
      const { endpoint, campaignId } = target;
      if (order.kind === "begin")
        delivery.begin(endpoint, { campaignId, attempt: order.attempt, version: policy.image.version }, utcMs);
      else if (order.kind === "apply") delivery.apply(endpoint, order.attempt, utcMs);
      await store.orderDone(campaignId, endpoint, order);
      const cancelled = order.kind === "cancel" ? delivery.cancel(endpoint, order.attempt) : undefined;
      if (cancelled) await report(cancelled);
    }
    for (const one of delivery.due(utcMs)) await report(one);
    const campaign = store.campaign("sim");
    mostActive = Math.max(mostActive, countsOf(campaign).active);
    const next = Math.min(campaign.wakeAtMs ?? Number.POSITIVE_INFINITY, delivery.wakeAtMs ?? Number.POSITIVE_INFINITY);
    const isOver = isFinalCampaign(campaign) && countsOf(campaign).active === 0;
    if (isOver || next === Number.POSITIVE_INFINITY) break;
    // The clock goes on to the sweep in which something is due.
    utcMs += Math.max(1, Math.ceil((next - utcMs) / SWEEP_MS)) * SWEEP_MS;
  }
  const campaign = store.campaign("sim");
  const sentences = store.outputs("sim").map(({ sentence }) => sentence);
  return { campaign, elapsedMs: utcMs - startUtcMs, mostActive, startedCount: delivery.begun.size, sentences };
}

function fill({ policy, devices, startUtcMs }: FleetCampaignOptions): MemoryCampaignStore {
  const store = new MemoryCampaignStore();
  const dealt = devices.map((device) => ({
    endpoint: device.endpoint,
    orderKey: orderKey("sim", device.endpoint),
    wave: queriedWave(policy.waves, device, startUtcMs),
  }));
  const { waveOf, sizes } = dealWaves(policy.waves, dealt);
  const targets = dealt.map((one, i) =>
    newTarget({ campaignId: "sim", endpoint: one.endpoint, orderKey: one.orderKey, wave: waveOf[i] ?? 0 }),
  );
  targets.sort((a, b) => a.orderKey - b.orderKey);
  store.add(newCampaign({ id: "sim", createdBy: "first" }, policy, sizes), policy, targets);
  for (const device of devices) store.setDevice(device);
  return store;
}

/** Each device has its share's behaviour, the same in every run of one seed. */
function behaviours({ devices, shares, random }: FleetCampaignOptions): (endpoint: string) => Behaviour {
  const chosen = new Map<string, Behaviour>();
  for (const { endpoint } of devices) {
    let rest = random();
    const behaviour = BEHAVIOURS.find((one) => {
      rest -= shares[one] ?? 0;
      return rest < 0;
    });
    chosen.set(endpoint, behaviour ?? "good");
  }
  return (endpoint) => chosen.get(endpoint) ?? "good";
}
