/** What the campaign rules ask of the store. Every method of a transaction sees, and is part of, that transaction. */
import type { Campaign } from "./campaign.ts";
import type { CampaignOutput } from "./campaign-step.ts";
import type { Candidate } from "./device.ts";
import type { CampaignPolicy } from "./policy.ts";
import type { Target } from "./target.ts";

/** Which targets of a campaign a turn looks at. */
export interface DueQuery {
  readonly waves: readonly number[];
  /** `pending`: not under way and not ended; `held`: under way, `waitingToApply`, not permitted to apply. */
  readonly phase: "pending" | "held";
  readonly utcMs: number;
  /** 1 … 1000. */
  readonly limit: number;
}

/** Which permits to apply a turn looks at. */
export interface PermitQuery {
  /** Waves whose devices may have one. */
  readonly openWaves: readonly number[];
  readonly utcMs: number;
  /** 1 … 1000. */
  readonly limit: number;
}

/** Everything that one turn changed; all of it or nothing is written. */
export interface CampaignChange {
  readonly campaign: Campaign;
  /** The targets as they are now, each once. */
  readonly targets: readonly { readonly before: Target; readonly after: Target }[];
  /** Devices that join with this change. */
  readonly joined: readonly Target[];
  /** To be appended to the journal; the targets' sentences are events as well, where they changed. */
  readonly outputs: readonly CampaignOutput[];
}

/** One campaign, locked until the transaction ends: nobody else changes it or its targets. */
export interface CampaignTransaction {
  readonly campaign: Campaign;
  readonly policy: CampaignPolicy;
  /** The name of what the campaign is before this turn: another after each turn that saves another value. */
  revision(): Promise<string>;
  /** Targets with `notBeforeMs` null or ≤ `utcMs`, by wave, then `orderKey`, then endpoint. */
  due(query: DueQuery): Promise<readonly Candidate[]>;
  /** Targets that may apply, with no `cancel` ordered, of other waves than the open ones or with `notBeforeMs` ≤ `utcMs`; in any order. */
  overpermitted(query: PermitQuery): Promise<readonly Candidate[]>;
  /** The earliest `notBeforeMs` after `utcMs` of these waves' targets that are pending or held, or may apply; null = none. An index answers it. */
  nextDueAtMs(waves: readonly number[], utcMs: number): Promise<number | null>;
  /** Targets that have not ended and can still be stopped, those under way first: not `applying`, not `confirming`, no `cancel` ordered. */
  stoppable(limit: number): Promise<readonly Target[]>;
  /** Targets that ended as failed, silent, fellBack or cancelled, by endpoint, beginning behind `after` (null = with the first); for a new try by hand. */
  retryable(after: string | null, limit: number): Promise<readonly Target[]>;
  /** One target; undefined when the device is not in the campaign. */
  candidate(endpoint: string): Promise<Candidate | undefined>;
  /** Those of these devices that are in the campaign, in any order; at most 1000 of them. */
  candidates(endpoints: readonly string[]): Promise<readonly Candidate[]>;
  /** Writes. Called at most once, as the last thing. */
  save(change: CampaignChange): Promise<void>;
}

/** An order that leaves, leased to who took it. */
export interface LeasedOrder {
  readonly target: Target;
  readonly order: NonNullable<Target["order"]>;
}

export interface CampaignStore {
  /**
   * Locks a campaign and works on it; what `work` throws undoes everything and is thrown again.
   *
   * @throws {UsageError} `UNKNOWN_CAMPAIGN` (404)
   * @throws {EnvironmentError} `DATABASE_AWAY`; nothing was changed.
   */
  transact<T>(campaignId: string, work: (transaction: CampaignTransaction) => Promise<T>): Promise<T>;
  /** Ids of campaigns with `wakeAtMs` ≤ `utcMs`, the most overdue first. With several nodes each id goes to one of them (lease). */
  takeDue(utcMs: number, limit: number): Promise<readonly string[]>;
  /**
   * Leases orders that wait. `begin` and `apply` leave only while the campaign is running and the target's wave is running, soaking
   * or passed (`openWaves`); `hold` and `cancel` always. An order whose lease ran out leaves again; with `orderDone` it leaves no more.
   */
  takeOrders(utcMs: number, limit: number): Promise<readonly LeasedOrder[]>;
  /** The order was carried out: an update exists for the attempt, or it was told. Nothing happens when the target has another order by now. */
  orderDone(campaignId: string, endpoint: string, order: LeasedOrder["order"]): Promise<void>;
  /** Continuous campaigns that are running or paused. Few; may be remembered for a second. */
  continuous(): Promise<readonly { readonly campaignId: string; readonly policy: CampaignPolicy }[]>;
  /**
   * Adds to the prepared rollback of a campaign every device that the campaign has updated (`succeeded`) and that is not in it yet, as `newTarget` in wave 0, and
   * steps its value by as many (`filled`), all in one transaction; one that was stopped or aborted gets none. May be repeated.
   *
   * @returns The rollback campaign; undefined when there is none.
   */
  fillRollback(campaignId: string, utcMs: number): Promise<Campaign | undefined>;
  /** Those of these devices that the campaign does not have, in any order; at most 1000 of them. */
  strangers(campaignId: string, endpoints: readonly string[]): Promise<readonly string[]>;
  /** The devices appeared, or changed: their pending and held targets of running and paused campaigns are due at once, and the campaigns woken. At most 1000. */
  wakeDevices(endpoints: readonly string[], utcMs: number): Promise<void>;
}
