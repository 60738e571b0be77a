/** A campaign's windows as many devices ask for them within one turn: each zone is computed once. */
import type { CampaignPolicy } from "./policy.ts";
import { namedZone, type OffsetAt, UTC, type Zone, type ZoneReport, zoneOf } from "./schedule/wall-clock.ts";
import { nextOpening, type Opening } from "./schedule/windows.ts";

export interface NextOpening {
  /** From now on, if it is open; undefined when it never opens again. */
  readonly opening: Opening | undefined;
  readonly zone: Zone;
}

/** Zones that are remembered; devices with more of them cost time, not memory. */
const MOST_ZONES = 1000;

export class OpeningHours {
  readonly #policy: CampaignPolicy;
  readonly #offsetAt: OffsetAt;
  readonly #utcMs: number;
  readonly #known = new Map<string, NextOpening>();

  /** @param utcMs The instant of the turn. */
  constructor(policy: CampaignPolicy, offsetAt: OffsetAt, utcMs: number) {
    this.#policy = policy;
    this.#offsetAt = offsetAt;
    this.#utcMs = utcMs;
  }

  /** The opening that now lies in, or the next one, for a device that lives where it says. */
  next(step: "download" | "apply", device: ZoneReport): NextOpening {
    const key = `${step} ${device.timeZone ?? ""} ${device.utcOffset ?? ""}`;
    const known = this.#known.get(key);
    if (known) return known;
    const schedule = this.#policy[step];
    const isAlways = schedule.windows.length === 0 && schedule.blackouts.length === 0;
    const zone = isAlways ? UTC : zoneOf(device, this.#policy.timeZone, this.#offsetAt);
    const opening = isAlways
      ? { fromMs: this.#utcMs, toMs: Number.POSITIVE_INFINITY }
      : nextOpening(schedule, zone, this.#utcMs);
    const next = { opening, zone };
    if (this.#known.size < MOST_ZONES) this.#known.set(key, next);
    return next;
  }

  /** As `next`, in the campaign's own zone. */
  nextOfCampaign(step: "download" | "apply"): NextOpening {
    const { timeZone } = this.#policy;
    return this.next(step, { timeZone: namedZone(timeZone, this.#offsetAt) ? timeZone : null, utcOffset: null });
  }
}
