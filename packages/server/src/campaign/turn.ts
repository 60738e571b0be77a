/** One transaction's work on a campaign: steps the value, decides about a batch of its devices, and writes all of it together. */
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Admission, type AdmissionContext, admit, admitApply, reviewPermit } from "./admission.ts";
import { type Campaign, isFinalCampaign, openWaves, progressOf } from "./campaign.ts";
import { type CampaignInput, type CampaignOutput, stepCampaign, type TargetMove } from "./campaign-step.ts";
import { admitted, reviewed } from "./decided.ts";
import type { Candidate } from "./device.ts";
import { followUpdate, type UpdateNews } from "./follow-update.ts";
import { OpeningHours } from "./opening-hours.ts";
import { type Allowance, allowance } from "./pace.ts";
import type { CampaignPolicy } from "./policy.ts";
import type { DeviceFacts } from "./query/ast.ts";
import type { Report } from "./report-queue.ts";
import { type Retried, type RetryQuery, requireRetryable, triedAgain } from "./retry.ts";
import type { OffsetAt } from "./schedule/wall-clock.ts";
import type { CampaignTransaction } from "./store-ports.ts";
import { canMove, moveOf, moveTarget, newTarget, placeOf, type Target } from "./target.ts";
import { lateWave, orderKey } from "./waves.ts";

interface TurnContext {
  readonly offsetAt: OffsetAt;
  readonly batchSize: number;
  readonly utcMs: number;
}

export class Turn {
  campaign: Campaign;
  readonly #transaction: CampaignTransaction;
  readonly #policy: CampaignPolicy;
  readonly #context: TurnContext;
  readonly #hours: OpeningHours;
  readonly #openAtFirst: readonly number[];
  readonly #changed = new Map<string, { before: Target; after: Target }>();
  readonly #joined: Target[] = [];
  readonly #outputs: CampaignOutput[] = [];
  /** When to look again, as far as this turn knows; set by `advance`. */
  #nextAtMs: number | null | undefined;

  constructor(transaction: CampaignTransaction, context: TurnContext) {
    this.campaign = transaction.campaign;
    this.#transaction = transaction;
    this.#policy = transaction.policy;
    this.#context = context;
    this.#hours = new OpeningHours(transaction.policy, context.offsetAt, context.utcMs);
    this.#openAtFirst = openWaves(transaction.campaign);
  }

  /** @throws {UsageError} `ETAG_MISMATCH` when the campaign is another than was looked at. */
  async requireRevision(seen: string): Promise<void> {
    if ((await this.#transaction.revision()) === seen) return;
    const { id } = this.campaign;
    throw new UsageError("ETAG_MISMATCH", "the campaign has changed since it was looked at", { campaignId: id });
  }

  step(input: CampaignInput): void {
    const { campaign, outputs } = stepCampaign(this.campaign, this.#policy, input, this.#context.utcMs);
    this.campaign = campaign;
    this.#outputs.push(...outputs);
  }

  /** Takes in news of attempts, one after the other; a device that holds the image is decided about at once. */
  async follow(reports: readonly Pick<Report, "endpoint" | "news">[]): Promise<void> {
    const endpoints = [...new Set(reports.map(({ endpoint }) => endpoint))];
    const candidates = await this.#transaction.candidates(endpoints);
    const byEndpoint = new Map(candidates.map((candidate) => [candidate.target.endpoint, candidate]));
    for (const { endpoint, news } of reports) {
      const candidate = byEndpoint.get(endpoint);
      if (candidate) await this.#followOne({ ...candidate, target: this.#newest(candidate.target) }, news);
    }
    const open = openWaves(this.campaign);
    if (this.#openAtFirst.some((wave) => !open.includes(wave))) await this.#reviewPermits();
  }

  async #followOne(candidate: Candidate, news: UpdateNews): Promise<void> {
    const { utcMs } = this.#context;
    const next = followUpdate(candidate.target, news, { policy: this.#policy, utcMs });
    if (!next) return;
    const wasFinal = isFinalCampaign(this.campaign);
    this.#move(candidate.target, next);
    if (!wasFinal && isFinalCampaign(this.campaign)) await this.#stopTargets();
    if (placeOf(next).phase !== "held") return;
    if (!openWaves(this.campaign).includes(next.wave)) return;
    this.#decideApply({ ...candidate, target: next });
  }

  /** The target as this turn has left it: the store shows rows as they were. */
  #newest(target: Target): Target {
    return this.#changed.get(target.endpoint)?.after ?? target;
  }

  /** Does what is due: devices are begun, told to apply, or, when the campaign was ended, stopped. */
  async advance(): Promise<void> {
    if (isFinalCampaign(this.campaign)) await this.#stopTargets();
    else await this.#startTargets();
    await this.#reviewPermits();
  }

  /** Puts devices that ended badly back. */
  async retry(which: RetryQuery): Promise<Retried> {
    const { utcMs, batchSize } = this.#context;
    const isOne = "endpoint" in which;
    const targets = isOne
      ? [requireRetryable(await this.#transaction.candidate(which.endpoint), which.endpoint)]
      : await this.#transaction.retryable(which.after, batchSize);
    for (const target of targets) this.#move(target, triedAgain(target, utcMs));
    const isMore = !isOne && targets.length === batchSize;
    return { count: targets.length, last: isMore ? (targets.at(-1)?.endpoint ?? null) : null };
  }

  /** Takes devices in that came to match; those that are there already stay as they are. */
  async join(devices: readonly DeviceFacts[]): Promise<void> {
    const { campaign } = this;
    if (isFinalCampaign(campaign)) return;
    const here = await this.#transaction.candidates(devices.map(({ endpoint }) => endpoint));
    const known = new Set(here.map(({ target }) => target.endpoint));
    const moves: TargetMove[] = [];
    for (const device of devices) {
      const { endpoint } = device;
      if (known.has(endpoint)) continue;
      const wave = lateWave(this.#policy, device, this.#context.utcMs);
      const key = orderKey(campaign.id, endpoint);
      const target = newTarget({ campaignId: campaign.id, endpoint, wave, orderKey: key });
      this.#joined.push(target);
      moves.push({ wave, from: null, to: placeOf(target), cell: null, begunBytes: null, deliveredBytes: 0 });
    }
    if (moves.length === 0) return;
    this.step({ kind: "moved", moves });
    this.campaign = { ...this.campaign, wakeAtMs: this.#context.utcMs };
  }

  /** Writes everything. */
  async save(): Promise<Campaign> {
    const campaign = { ...this.campaign, wakeAtMs: this.#wakeAtMs() };
    await this.#transaction.save({
      campaign,
      joined: this.#joined,
      targets: [...this.#changed.values()],
      outputs: this.#outputs,
    });
    return campaign;
  }

  #wakeAtMs(): number | null {
    if (this.campaign.rollback === "due") return this.#context.utcMs;
    const soaks = this.campaign.waves.flatMap((wave) => (wave.state === "soaking" ? [wave.soakUntilMs ?? 0] : []));
    // What this turn has seen to the end replaces the wake-ups that its own steps asked for.
    const next = this.#nextAtMs === undefined ? this.campaign.wakeAtMs : this.#nextAtMs;
    if (this.campaign.state !== "running") return next;
    let earliest = Math.min(next ?? Number.POSITIVE_INFINITY, ...soaks);
    // The store did not know yet when these are due again.
    for (const { after } of this.#changed.values()) {
      const { phase } = placeOf(after);
      if ((phase === "pending" || phase === "held" || after.isApplyPermitted) && after.notBeforeMs !== null)
        earliest = Math.min(earliest, after.notBeforeMs);
    }
    return earliest === Number.POSITIVE_INFINITY ? null : earliest;
  }

  async #startTargets(): Promise<void> {
    const { utcMs, batchSize } = this.#context;
    const waves = openWaves(this.campaign);
    if (waves.length === 0) {
      this.#nextAtMs = null;
      return;
    }
    const held =
      this.#room().because === "inFlight"
        ? []
        : await this.#transaction.due({ waves, phase: "held", utcMs, limit: batchSize });
    const heldLeft = this.#decideAll(held, (candidate) => this.#decideApply(candidate));
    const room = this.#room();
    // Only as many are looked at as there are places, and some for those that turn out to wait.
    const limit = Math.min(batchSize, 2 * room.count + 8);
    const pending = room.count === 0 ? [] : await this.#transaction.due({ waves, phase: "pending", utcMs, limit });
    const pendingLeft = this.#decideAll(pending, (candidate) => this.#decideBegin(candidate));
    const isMore = held.length === batchSize || pending.length === limit || heldLeft || pendingLeft;
    this.#nextAtMs = await this.#nextLook(waves, isMore);
  }

  /** Decides about each while the campaign goes on and has room; whether some are left. */
  #decideAll(candidates: readonly Candidate[], decide: (candidate: Candidate) => boolean): boolean {
    for (const candidate of candidates) {
      // A criterion, or the last device of a wave, may have changed what is open.
      if (!openWaves(this.campaign).includes(candidate.target.wave)) return false;
      if (!decide(candidate)) return true;
    }
    return false;
  }

  async #nextLook(waves: readonly number[], isMore: boolean): Promise<number | null> {
    const { utcMs } = this.#context;
    const next = await this.#transaction.nextDueAtMs(waves, utcMs);
    const opened = openWaves(this.campaign).some((wave) => !waves.includes(wave));
    if (opened) return utcMs;
    const room = this.#room();
    // Without room, whoever gives a place back wakes the campaign.
    const more = room.count > 0 ? (isMore ? utcMs : null) : room.atMs;
    if (more === null) return next;
    return next === null ? more : Math.min(more, next);
  }

  #room(): Allowance {
    const { caps } = this.#policy;
    return allowance(caps, this.campaign.pace, { progress: progressOf(this.campaign), utcMs: this.#context.utcMs });
  }

  /** False when the caps have no room: the device was not decided about. */
  #decideBegin(candidate: Candidate): boolean {
    if (this.#room().count === 0) return false;
    this.#carryOut(candidate, admit(candidate, this.#admission()));
    return true;
  }

  /** Applying needs a place in flight, but is no start: the rates do not count it. */
  #decideApply(candidate: Candidate): boolean {
    if (progressOf(this.campaign).activeCount >= this.#policy.caps.inFlight) return false;
    this.#carryOut(candidate, admitApply(candidate, this.#admission()));
    return true;
  }

  #admission(): AdmissionContext {
    return { campaign: this.campaign, policy: this.#policy, hours: this.#hours, utcMs: this.#context.utcMs };
  }

  #carryOut(candidate: Candidate, admission: Admission): void {
    const begunBytes = admission.kind === "begin" ? admission.image.sizeBytes : null;
    this.#move(candidate.target, admitted(candidate, admission), begunBytes);
  }

  /** Whoever may apply and has not done so is held when its wave or its window has closed. */
  async #reviewPermits(): Promise<void> {
    const { utcMs, batchSize } = this.#context;
    const open = openWaves(this.campaign);
    const due = await this.#transaction.overpermitted({ openWaves: open, utcMs, limit: batchSize });
    const known = new Set(due.map(({ target }) => target.endpoint));
    const isOver = ({ wave, notBeforeMs }: Target) => !open.includes(wave) || (notBeforeMs ?? utcMs + 1) <= utcMs;
    const own = [...this.#changed.values()]
      .filter(({ after }) => after.isApplyPermitted && isOver(after) && !known.has(after.endpoint))
      .map(({ after }) => after.endpoint);
    const others = own.length === 0 ? [] : await this.#transaction.candidates(own);
    let count = 0;
    for (const candidate of [...due, ...others]) {
      const target = this.#newest(candidate.target);
      if (!target.isApplyPermitted || target.order?.kind === "cancel") continue;
      count += 1;
      this.#review({ ...candidate, target });
    }
    // A place may have been given back, or there are more of them.
    if (count > 0) this.#nextAtMs = utcMs;
  }

  #review(candidate: Candidate): void {
    this.#move(candidate.target, reviewed(candidate.target, reviewPermit(candidate, this.#admission())));
  }

  async #stopTargets(): Promise<void> {
    const { utcMs, batchSize } = this.#context;
    const why = `cancelled: the campaign was ${this.campaign.state}`;
    const targets = await this.#transaction.stoppable(batchSize);
    const own = [...this.#changed.values()].map(({ after }) => after);
    const others = targets.filter(({ endpoint }) => !this.#changed.has(endpoint));
    for (const target of [...own, ...others]) {
      const event = target.isUnderWay ? "stop" : "end";
      if (target.order?.kind === "cancel" || !canMove(target, event)) continue;
      this.#move(target, moveTarget(target, event, { sentence: why }));
    }
    this.#nextAtMs = targets.length === batchSize ? utcMs : null;
  }

  #move(before: Target, after: Target, begunBytes: number | null = null): void {
    const first = this.#changed.get(before.endpoint)?.before ?? before;
    this.#changed.set(before.endpoint, { before: first, after });
    this.step({ kind: "moved", moves: [moveOf(before, after, begunBytes)] });
  }
}
