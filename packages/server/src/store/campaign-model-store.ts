/** The store under the campaigns' model: filled, looked into, and failing now and then. For tests. */
import type { Campaign } from "../campaign/campaign.ts";
import type { Candidate, DeviceHistory } from "../campaign/device.ts";
import type { CampaignPolicy } from "../campaign/policy.ts";
import type { CampaignStore, CampaignTransaction } from "../campaign/store-ports.ts";
import type { Target } from "../campaign/target.ts";

/** A store that the model fills, and looks into. */
export interface ModelStore {
  readonly store: CampaignStore;
  /** Everything of the round before is gone. */
  clear(): Promise<void>;
  add(campaign: Campaign, policy: CampaignPolicy, targets: readonly Target[]): Promise<void>;
  setDevice(device: Candidate["device"]): Promise<void>;
  setHistory(endpoint: string, history: DeviceHistory): Promise<void>;
  campaign(campaignId: string): Promise<Campaign>;
  targets(campaignId: string): Promise<readonly Target[]>;
  /** The time of leases that a dead server held is over. */
  endLeases(): Promise<void>;
}

/** What a turn fails with that the database could not take, or whose answer was lost. */
export const AWAY = "the database went away";

/**
 * A database that may go away before a turn is written, or after it was and before anybody heard of it.
 *
 * @param mayFail Throws when it does.
 */
export function faulty(store: CampaignStore, mayFail: () => void): CampaignStore {
  return over(store, {
    transact: async <T>(campaignId: string, work: (transaction: CampaignTransaction) => Promise<T>): Promise<T> => {
      const result = await store.transact(campaignId, (transaction) =>
        work(
          over(transaction, {
            save: async (change) => {
              mayFail();
              await transaction.save(change);
            },
          }),
        ),
      );
      mayFail();
      return result;
    },
  });
}

/** `target`, with some of its methods replaced. */
function over<T extends object>(target: T, replaced: Partial<T>): T {
  return new Proxy(target, {
    get: (_, name) => {
      const own: unknown = Reflect.get(replaced, name);
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
