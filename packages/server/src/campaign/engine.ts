/** The campaign engine: the rules, applied in the store's transactions. Knows no clock, no socket and no SQL. */
import { UsageError } from "@airlift/protocol/lib/errors";
import { largestOf } from "@airlift/protocol/lib/extremes";
import type { CampaignCommand } from "@airlift/protocol/update/campaign";
import { type Campaign, countsOf } from "./campaign.ts";
import { NO_HISTORY } from "./device.ts";
import { exclusionOf } from "./exclusion.ts";
import type { UpdateNews } from "./follow-update.ts";
import type { Speaker } from "./person.ts";
import type { CampaignPolicy } from "./policy.ts";
import type { DeviceFacts } from "./query/ast.ts";
import { matches } from "./query/match.ts";
import { type Report, ReportQueue, type ReportQueueOptions } from "./report-queue.ts";
import type { Retried, RetryQuery } from "./retry.ts";
import type { OffsetAt } from "./schedule/wall-clock.ts";
import type { CampaignStore } from "./store-ports.ts";
import { Turn } from "./turn.ts";

export interface CampaignEngineOptions {
  /** Targets that one transaction looks at. More = fewer commits, longer locks. */
  readonly batchSize?: number;
  /** Campaigns that one sweep turns to. */
  readonly sweepSize?: number;
  readonly reports?: ReportQueueOptions;
}

/** What somebody tells a campaign. */
export interface SpokenCommand extends Speaker {
  readonly command: CampaignCommand;
  /** What they looked at: `CampaignTransaction.revision`; absent = whatever the campaign is by now. */
  readonly revision?: string | undefined;
}

const DEFAULT_BATCH_SIZE = 500;
const DEFAULT_SWEEP_SIZE = 100;

export class CampaignEngine {
  readonly #store: CampaignStore;
  readonly #offsetAt: OffsetAt;
  readonly #batchSize: number;
  readonly #sweepSize: number;
  readonly #reports: ReportQueue;

  constructor(store: CampaignStore, offsetAt: OffsetAt, options: CampaignEngineOptions = {}) {
    this.#store = store;
    this.#offsetAt = offsetAt;
    this.#batchSize = options.batchSize ?? DEFAULT_BATCH_SIZE;
    this.#sweepSize = options.sweepSize ?? DEFAULT_SWEEP_SIZE;
    this.#reports = new ReportQueue((campaignId, reports) => this.#follow(campaignId, reports), options.reports);
  }

  /**
   * Carries out an operator's command, and at once what follows from it: a stopped campaign's devices under way are ordered to stop before
   * this returns, up to a batch of them.
   *
   * @throws {UsageError} `UNKNOWN_CAMPAIGN`, `CAMPAIGN_STATE`, `NO_ROLLBACK`, `SAME_PERSON`, `ETAG_MISMATCH` (412)
   */
  command(campaignId: string, { revision, ...spoken }: SpokenCommand, utcMs: number): Promise<Campaign> {
    return this.#turn(campaignId, utcMs, async (turn) => {
      if (revision !== undefined) await turn.requireRevision(revision);
      turn.step({ kind: "command", ...spoken });
      await turn.advance();
    });
  }

  /**
   * Takes in what delivery tells of an attempt. The thresholds have acted when this returns. Reports of one campaign that come while another
   * is being written share the next transaction, in their order.
   *
   * @throws {UsageError} `UNKNOWN_CAMPAIGN`
   * @throws {EnvironmentError} `STORE_BUSY` when too many wait.
   */
  report(at: { campaignId: string; endpoint: string }, news: UpdateNews, utcMs: number): Promise<Campaign> {
    return this.#reports.put(at.campaignId, { endpoint: at.endpoint, news, utcMs });
  }

  /**
   * Turns to the campaigns that are due; how many. To be called every second, and again at once while there are some. One whose turn
   * fails keeps no other from its own.
   *
   * @throws What the first turn that failed threw, when all have had their turn.
   */
  async sweep(utcMs: number): Promise<number> {
    const due = await this.#store.takeDue(utcMs, this.#sweepSize);
    const failures: unknown[] = [];
    for (const campaignId of due)
      await this.#turn(campaignId, utcMs, (turn) => {
        turn.step({ kind: "wake" });
        return turn.advance();
      }).catch((error) => failures.push(error));
    if (failures.length > 0) throw failures[0];
    return due.length;
  }

  /**
   * Devices registered, or what is known of them changed: continuous campaigns take in those that they do not have and that need them, and those that wait for
   * one look at it at once. A campaign that has them all is not turned to.
   *
   * @param devices Each once, at most 1000.
   */
  async devicesChanged(devices: readonly DeviceFacts[], utcMs: number): Promise<void> {
    for (const { campaignId, policy } of await this.#store.continuous()) {
      const found = devices.filter((device) => matches(policy.query, device, utcMs) && isNeeded(device, policy));
      if (found.length === 0) continue;
      const strangers = new Set(await this.#store.strangers(campaignId, endpointsOf(found)));
      if (strangers.size === 0) continue;
      const joining = found.filter(({ endpoint }) => strangers.has(endpoint));
      await this.#turn(campaignId, utcMs, (turn) => turn.join(joining));
    }
    await this.#store.wakeDevices(endpointsOf(devices), utcMs);
  }

  /**
   * Tries devices again that ended badly, by hand: one, or up to a batch of them.
   *
   * @throws {UsageError} `CAMPAIGN_STATE` when the campaign has ended or not begun, `UNKNOWN_TARGET` (404), `TARGET_STATE` (409).
   */
  async retry(campaignId: string, which: RetryQuery, utcMs: number): Promise<Retried> {
    let retried: Retried = { count: 0, last: null };
    await this.#turn(campaignId, utcMs, async (turn) => {
      const { campaign } = turn;
      if (campaign.state !== "running" && campaign.state !== "paused")
        throw new UsageError("CAMPAIGN_STATE", `a campaign that is ${campaign.state} has nothing to try again`, {
          campaignId,
          state: campaign.state,
        });
      retried = await turn.retry(which);
    });
    return retried;
  }

  #follow(campaignId: string, reports: readonly Report[]): Promise<Campaign> {
    const utcMs = largestOf(reports.map((report) => report.utcMs));
    return this.#turn(campaignId, utcMs, (turn) => turn.follow(reports));
  }

  async #turn(campaignId: string, utcMs: number, work: (turn: Turn) => Promise<void>): Promise<Campaign> {
    const campaign = await this.#store.transact(campaignId, async (transaction) => {
      const turn = new Turn(transaction, { offsetAt: this.#offsetAt, batchSize: this.#batchSize, utcMs });
      await work(turn);
      return turn.save();
    });
    return campaign.rollback === "due" ? this.#rollBack(campaign, utcMs) : campaign;
  }

  /**
   * A server that dies in here leaves the campaign with its rollback due, and the next sweep does it again. Two that are in here at once
   * come to the same.
   */
  async #rollBack(due: Campaign, utcMs: number): Promise<Campaign> {
    const turnTo = (id: string, work: (turn: Turn) => Promise<void>) =>
      this.#store.transact(id, async (transaction) => {
        const turn = new Turn(transaction, { offsetAt: this.#offsetAt, batchSize: this.#batchSize, utcMs });
        await work(turn);
        return turn.save();
      });
    const rollback = await this.#store.fillRollback(due.id, utcMs);
    if (rollback?.state === "ready")
      await turnTo(rollback.id, async (turn) => {
        if (turn.campaign.state !== "ready") return;
        turn.step({ kind: "command", command: "start", by: `campaign ${due.id}` });
        await turn.advance();
      });
    const filledCount = countsOf(due).succeeded;
    return await turnTo(due.id, async (turn) => turn.step({ kind: "rollbackStarted", filledCount }));
  }
}

/** What became of its updates is not known here: it is looked at when its turn comes. */
const isNeeded = (device: DeviceFacts, policy: CampaignPolicy): boolean =>
  exclusionOf({ device, history: NO_HISTORY }, policy, false) === undefined;

const endpointsOf = (devices: readonly DeviceFacts[]): string[] => devices.map(({ endpoint }) => endpoint);
