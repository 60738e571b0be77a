/** Whether a device that was permitted to install may do so now: the permit may be older than the window it was given in. */
import { offsetAt } from "@airlift/runtime/zone-offset";
import { OpeningHours } from "../campaign/opening-hours.ts";
import { clockText } from "../campaign/schedule/wall-clock.ts";
import type { MeshUpdate } from "../store/mesh-updates.ts";
import type { Stores } from "../store/ports.ts";

/** Open until then, or closed, with the words for it. */
export type ApplyOpening = { readonly untilMs: number } | { readonly closed: string };

/** Good for one turn: each campaign is read once. */
export class ApplyHours {
  readonly #stores: Pick<Stores, "campaigns">;
  readonly #nowMs: number;
  readonly #hours = new Map<string, OpeningHours | undefined>();

  /** @param nowMs Unix ms, the instant of the turn. */
  constructor(stores: Pick<Stores, "campaigns">, nowMs: number) {
    this.#stores = stores;
    this.#nowMs = nowMs;
  }

  async of({ campaignId, timeZone, utcOffset }: MeshUpdate): Promise<ApplyOpening> {
    const hours = campaignId === null ? undefined : await this.#hoursOf(campaignId);
    if (hours === undefined) return { untilMs: Number.POSITIVE_INFINITY };
    const { opening, zone } = hours.next("apply", { timeZone, utcOffset });
    if (opening === undefined) return { closed: "outside its apply window, and it opens no more" };
    if (opening.fromMs <= this.#nowMs) return { untilMs: opening.toMs };
    return { closed: `outside its apply window, next ${clockText(opening.fromMs, zone, this.#nowMs)}` };
  }

  /** Permitted, and in its window. */
  async mayApply(update: MeshUpdate): Promise<boolean> {
    return update.mayApply && "untilMs" in (await this.of(update));
  }

  async #hoursOf(campaignId: string): Promise<OpeningHours | undefined> {
    if (!this.#hours.has(campaignId)) {
      const kept = await this.#stores.campaigns.get(campaignId);
      this.#hours.set(campaignId, kept && new OpeningHours(kept.policy, offsetAt, this.#nowMs));
    }
    return this.#hours.get(campaignId);
  }
}
