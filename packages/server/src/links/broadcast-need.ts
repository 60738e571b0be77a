/** What a broadcast takes and when it may be, in the planner's terms. */
import type { AirWindow } from "@airlift/protocol/api/gateway";
import type { Gateway, MeshPlan } from "@airlift/protocol/api/mesh";
import { UsageError } from "@airlift/protocol/lib/errors";
import { DEFAULT_RESERVE_SHARE } from "@airlift/protocol/zmesh/duty-ledger";
import { subBandNamed } from "@airlift/protocol/zmesh/regions";
import { offsetAt } from "@airlift/runtime/zone-offset";
import { OpeningHours } from "../campaign/opening-hours.ts";
import type { CampaignPolicy } from "../campaign/policy.ts";
import { clockText } from "../campaign/schedule/wall-clock.ts";
import type { PackedRelease } from "../mesh/packed-release.ts";
import { SCHEDULE_BYTES } from "../mesh/session-order.ts";
import type { BroadcastNeed, PlanGateway, SessionPlan } from "../mesh/session-plan.ts";
import type { MeshUpdate } from "../store/mesh-updates.ts";

/** Octets of a sealed Join. */
const JOIN_BYTES = 41;
/** Openings of a campaign that one broadcast may use: a cron that strikes each minute has many in a day. */
const MOST_OPENINGS = 64;

export function needOf(
  { image, manifest, gapMs }: PackedRelease,
  places: readonly Pick<MeshUpdate, "cell" | "hasGroupKey">[],
  openings: readonly AirWindow[],
): BroadcastNeed {
  const devices = new Map<string | null, number>();
  for (const { cell } of places) devices.set(cell, (devices.get(cell) ?? 0) + 1);
  const joins = places.filter(({ hasGroupKey }) => !hasGroupKey).length;
  const commandBytes = [...Array(10).fill(SCHEDULE_BYTES), ...Array(3 * joins).fill(JOIN_BYTES)];
  return { contents: [manifest.content, image.content], devices, commandBytes, gapMs, openings };
}

/** By its own ledger, or else by the law's limit for its sub-band; undefined when nothing is known of that. */
export function planGateway({ id, cells, band, rateBps, loss, state }: Gateway): PlanGateway | undefined {
  const ledger = state?.ledgers.find((one) => one.band === band);
  const limit = subBandNamed(band)?.limit;
  if (ledger === undefined && limit === undefined) return undefined;
  return {
    id,
    cells,
    band,
    rateBps,
    loss,
    budgetMs: ledger?.budgetMs ?? (limit?.budgetMs ?? 0) * (1 - DEFAULT_RESERVE_SHARE),
    usedMs: ledger?.usedMs ?? 0,
    windowMs: ledger?.windowMs ?? limit?.windowMs ?? 0,
  };
}

/** When a campaign lets devices download, in its own time zone: a broadcast has one for all. @throws {UsageError} NO_OPENING */
export function openingsIn(policy: CampaignPolicy | undefined, span: AirWindow): AirWindow[] {
  if (policy === undefined) return [span];
  const openings: AirWindow[] = [];
  let atMs = span.fromMs;
  while (atMs < span.untilMs && openings.length < MOST_OPENINGS) {
    const { opening, zone } = new OpeningHours(policy, offsetAt, atMs).nextOfCampaign("download");
    if (opening === undefined || opening.fromMs >= span.untilMs) {
      if (openings.length > 0) break;
      const when = opening === undefined ? "never opens again" : `next opens ${clockText(opening.fromMs, zone, atMs)}`;
      throw new UsageError("NO_OPENING", `the campaign's download window ${when}`);
    }
    openings.push({ fromMs: opening.fromMs, untilMs: Math.min(span.untilMs, opening.toMs) });
    atMs = opening.toMs;
  }
  return openings;
}

/** A plan as it is shown. */
export function meshPlan(imageId: string, deviceCount: number, plans: readonly SessionPlan[]): MeshPlan {
  return {
    imageId,
    deviceCount,
    airtimeMs: plans.reduce((sum, plan) => sum + plan.airtimeMs, 0),
    sessions: plans.map(({ gateway, windows, cells, ...plan }) => ({
      ...plan,
      cells: [...cells],
      gatewayId: gateway.id,
      band: gateway.band,
      budgetMs: gateway.budgetMs,
      usedMs: gateway.usedMs,
      windowMs: gateway.windowMs,
      windows: [...windows],
    })),
  };
}
