/** What an operator watches of campaigns: how many stand where, and where the devices of those under way stand. */
import { CAMPAIGN_STATES } from "@airlift/protocol/update/campaign";
import { Gauge, type Registry } from "prom-client";
import { countsOf } from "../campaign/campaign.ts";
import { failedCount } from "../campaign/wave-counts.ts";
import type { Stores } from "../store/ports.ts";

/** Campaigns under way that have figures of their own; the newest ones. */
const MOST_CAMPAIGNS = 100;

export function describeCampaigns(registry: Registry, { campaigns }: Pick<Stores, "campaigns">): void {
  const registers = [registry];
  new Gauge({
    name: "airlift_campaigns",
    help: "Campaigns by state",
    labelNames: ["state"],
    registers,
    async collect() {
      this.reset();
      // Whoever asks while the database is away is told everything else.
      const counts = await campaigns.countByState().catch(() => undefined);
      if (counts === undefined) return;
      const counted = new Map(counts.map(({ state, count }) => [state, count]));
      for (const state of CAMPAIGN_STATES) this.set({ state }, counted.get(state) ?? 0);
    },
  });
  new Gauge({
    name: "airlift_campaign_devices",
    help: "Devices of campaigns that are running or paused, by where they stand",
    labelNames: ["campaign", "phase"],
    registers,
    async collect() {
      this.reset();
      for (const state of ["running", "paused"] as const) {
        const found = await campaigns.list(state, { limit: MOST_CAMPAIGNS }).catch(() => undefined);
        for (const { campaign } of found?.items ?? []) {
          const { failed: _, total: __, ...counts } = countsOf(campaign);
          const phases = { ...counts, failed: failedCount(countsOf(campaign)) };
          for (const [phase, count] of Object.entries(phases)) this.set({ campaign: campaign.id, phase }, count);
        }
      }
    },
  });
}
