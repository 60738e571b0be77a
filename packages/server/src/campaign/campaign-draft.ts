/** A campaign while one step is made: counts, judges, and moves waves until nothing more follows. */
import { countText } from "@airlift/protocol/lib/count-text";
import { BugError } from "@airlift/protocol/lib/errors";
import { type Campaign, countsOf, hasOpenTargets, progressOf, type WaveProgress } from "./campaign.ts";
import type { TargetMove } from "./campaign-step.ts";
import { CAMPAIGN, type CampaignEvent, WAVE, type WaveEvent } from "./campaign-table.ts";
import { judge, newMemory, remember, type Verdict } from "./criteria.ts";
import { rebase, spend } from "./pace.ts";
import type { CampaignPolicy, WavePolicy } from "./policy.ts";
import { fallenShortSentence, finishedSentence, soakSentence, unprovedSentence, verdictSentence } from "./sentences.ts";
import {
  countAt,
  countedCount,
  countsSince,
  executedCount,
  forgivenWithout,
  openCount,
  type Place,
} from "./wave-counts.ts";

/** To be appended to the journal in the same transaction. `wave` null = the campaign itself. */
export interface CampaignOutput {
  readonly wave: number | null;
  readonly sentence: string;
}

export class CampaignDraft {
  campaign: Campaign;
  readonly policy: CampaignPolicy;
  readonly outputs: CampaignOutput[] = [];
  readonly #utcMs: number;

  constructor(campaign: Campaign, policy: CampaignPolicy, utcMs: number) {
    this.campaign = { ...campaign, pace: rebase(campaign.pace, utcMs) };
    this.policy = policy;
    this.#utcMs = utcMs;
  }

  /** Takes a campaign's arrow, if there is one from where it stands. */
  take(event: CampaignEvent, sentence: string): void {
    const arrow = CAMPAIGN[this.campaign.state][event];
    if (!arrow) return;
    this.campaign = { ...this.campaign, state: arrow.to, sentence, wakeAtMs: this.#utcMs };
    this.outputs.push({ wave: null, sentence });
    for (const action of arrow.actions) {
      if (action === "startFirstWave") this.#startNextWave();
      if (action === "resumeWaves") this.#resumeWaves();
      if (action === "startRollback") this.campaign = { ...this.campaign, rollback: "due" };
      // cancelTargets is the engine's: it finds the open targets of a campaign that has ended, batch by batch.
    }
  }

  /** Counts a device's move, its place under the caps and its end. */
  count({ wave, from, to, cell, begunBytes, deliveredBytes }: TargetMove): void {
    const { campaign, policy } = this;
    const progress = this.#wave(wave);
    let { counts, forgiven } = progress;
    let forgivenInAll = campaign.forgiven;
    if (from === null) counts = { ...counts, total: counts.total + 1 };
    else {
      counts = countAt(counts, from, -1);
      forgiven = forgivenWithout(forgiven, from);
      forgivenInAll = forgivenWithout(forgivenInAll, from);
    }
    counts = countAt(counts, to, 1);
    const end = { place: to, utcMs: this.#utcMs };
    const memory = isSamePlace(from, to)
      ? progress.memory
      : remember(progress.memory, this.#policyOf(wave).criteria, end);
    const paid = begunBytes === null ? undefined : this.#pay(begunBytes);
    const places = Number(to.phase === "active") - Number(from?.phase === "active");
    this.campaign = {
      ...campaign,
      ...paid,
      forgiven: forgivenInAll,
      memory: isSamePlace(from, to) ? campaign.memory : remember(campaign.memory, policy.criteria, end),
      cells:
        cell === null || places === 0 || policy.caps.inFlightPerCell === null
          ? campaign.cells
          : inCell(campaign.cells, cell, places),
      // Who finishes installing after the rollback began is to be rolled back as well.
      rollback: campaign.rollback === "started" && to.phase === "succeeded" ? "due" : campaign.rollback,
      // A place that is given back is news for whoever starts devices.
      wakeAtMs: places < 0 ? this.#utcMs : campaign.wakeAtMs,
    };
    this.#setWave(wave, { counts, forgiven, memory, deliveredBytes: progress.deliveredBytes + deliveredBytes });
  }

  /** Devices that join a rollback while others of it may be under way, or after all of them were. */
  fill(count: number): void {
    const { counts } = this.#wave(0);
    this.#setWave(0, { counts: { ...counts, total: counts.total + count, pending: counts.pending + count } });
    this.take("reopen", `goes on with ${countText(count, "more device")} that finished installing`);
    if (this.campaign.state === "running") this.campaign = { ...this.campaign, wakeAtMs: this.#utcMs };
  }

  /** Lets the criteria act on the counters as they are now. */
  judge(): void {
    const { state } = this.campaign;
    if (state !== "running" && state !== "paused") return;
    this.campaign.waves.forEach((wave, i) => {
      if (wave.state !== "running" && wave.state !== "soaking" && wave.state !== "paused") return;
      if (this.#policyOf(i).criteria.length === 0) return;
      const counts = countsSince(wave.counts, wave.forgiven);
      const verdict = judge(this.#policyOf(i).criteria, { counts, memory: wave.memory }, this.#utcMs);
      if (verdict) this.#execute(verdict, i);
    });
    if (this.policy.criteria.length === 0) return;
    const counts = countsSince(countsOf(this.campaign), this.campaign.forgiven);
    const verdict = judge(this.policy.criteria, { counts, memory: this.campaign.memory }, this.#utcMs);
    if (verdict) this.#execute(verdict, null);
  }

  /** Moves waves on, and ends the campaign, until nothing more follows. */
  settle(): void {
    // Each pass moves a wave forward in its life, so that there are at most so many.
    for (
      let passes = 0;
      this.campaign.state === "running" && passes < 4 * this.campaign.waves.length + 4;
      passes += 1
    ) {
      const before = this.campaign;
      this.campaign.waves.forEach((_, i) => {
        this.#settleWave(i);
      });
      if (this.campaign === before) break;
    }
    const isDone = this.campaign.waves.every(({ state }) => state === "passed") && !hasOpenTargets(this.campaign);
    if (this.campaign.state === "running" && isDone && !this.policy.isContinuous)
      this.take("finish", finishedSentence(countsOf(this.campaign)));
  }

  #settleWave(i: number): void {
    const wave = this.#wave(i);
    if (this.campaign.state !== "running") return;
    if (wave.state === "soaking" && this.#utcMs >= (wave.soakUntilMs ?? 0))
      this.#takeWave(i, "soaked", `wave ${this.#policyOf(i).name} passed`);
    if (wave.state !== "running") return;
    const { successBasisPoints: needed, soakMs, name } = this.#policyOf(i);
    const counted = countedCount(wave.counts);
    const open = openCount(wave.counts);
    const isEnough = (count: number): boolean => count * 10_000 >= (needed ?? 0) * counted;
    if (open === 0 && this.#hasProvedNothing(i)) this.#takeWave(i, "fallenShort", unprovedSentence(name, wave.counts));
    else if (needed !== null && !isEnough(wave.counts.succeeded + open))
      this.#takeWave(i, "fallenShort", fallenShortSentence(name, wave.counts, needed));
    else if (needed === null || counted === 0 ? open === 0 : isEnough(wave.counts.succeeded)) {
      if (soakMs === 0 || counted === 0) this.#takeWave(i, "succeededAtOnce", `wave ${name} passed`);
      else this.#takeWave(i, "succeeded", soakSentence(name, this.#utcMs + soakMs));
    }
  }

  /** It had devices, none of which was updated, and there are others that wait for what it comes to. */
  #hasProvedNothing(i: number): boolean {
    const { counts } = this.#wave(i);
    const isAwaited = this.campaign.waves.slice(i + 1).some((later) => openCount(later.counts) > 0);
    return isAwaited && counts.total > 0 && executedCount(counts) === 0;
  }

  #takeWave(i: number, event: WaveEvent, sentence: string): void {
    const arrow = WAVE[this.#wave(i).state][event];
    if (!arrow) return;
    this.#setWave(i, { state: arrow.to, sentence });
    this.outputs.push({ wave: i, sentence });
    if (event === "start") this.#setWave(i, { startedAtMs: this.#utcMs });
    for (const action of arrow.actions) {
      if (action === "beginSoak") this.#setWave(i, { soakUntilMs: this.#utcMs + this.#policyOf(i).soakMs });
      if (action === "startNextWave") this.#startNextWave();
      if (action === "pauseCampaign") this.take("pause", sentence);
      if (action === "forgive") this.#forgive(i);
    }
  }

  #startNextWave(): void {
    const { state, waves } = this.campaign;
    const next = waves.findIndex((wave) => wave.state === "waiting");
    if (state !== "running" || next < 0 || !waves.slice(0, next).every((wave) => wave.state === "passed")) return;
    const count = this.#wave(next).counts.total;
    this.#takeWave(next, "start", `wave ${this.#policyOf(next).name} started: ${countText(count, "device")}`);
    this.campaign = { ...this.campaign, wakeAtMs: this.#utcMs };
  }

  /** The operator goes on in spite of what was counted: only what comes from now on is judged. */
  #resumeWaves(): void {
    const { policy, campaign } = this;
    this.campaign = { ...campaign, forgiven: countsOf(campaign), memory: newMemory(policy.criteria) };
    campaign.waves.forEach((wave, i) => {
      const { name } = this.#policyOf(i);
      if (wave.state === "running" || wave.state === "soaking") this.#forgive(i);
      this.#takeWave(i, "resume", `wave ${name} goes on`);
      if (wave.state === "failed") this.#takeWave(i, "accept", `wave ${name} is accepted as it is`);
    });
  }

  #forgive(i: number): void {
    this.#setWave(i, { forgiven: this.#wave(i).counts, memory: newMemory(this.#policyOf(i).criteria) });
  }

  #execute(verdict: Verdict, wave: number | null): void {
    const sentence = verdictSentence(verdict, wave === null ? null : this.#policyOf(wave).name);
    const { action } = verdict.criterion;
    if (action === "pauseWave" && wave !== null) this.#takeWave(wave, "pause", sentence);
    else if (action === "pauseWave" || action === "pauseCampaign") this.take("pause", sentence);
    else {
      this.take(action === "startRollback" ? "rollback" : "abort", sentence);
    }
  }

  #pay(sizeBytes: number): Pick<Campaign, "pace" | "startedCount"> {
    const { campaign, policy } = this;
    const now = { progress: progressOf(campaign), utcMs: this.#utcMs, sizeBytes };
    return { pace: spend(policy.caps, campaign.pace, now), startedCount: campaign.startedCount + 1 };
  }

  #wave(i: number): WaveProgress {
    const wave = this.campaign.waves[i];
    if (!wave) throw new BugError("WAVE_NUMBER", `the campaign has no wave ${i}`, { campaignId: this.campaign.id });
    return wave;
  }

  #policyOf(i: number): WavePolicy {
    const wave = this.policy.waves[i];
    if (!wave) throw new BugError("WAVE_NUMBER", `the policy has no wave ${i}`, { campaignId: this.campaign.id });
    return wave;
  }

  #setWave(i: number, change: Partial<WaveProgress>): void {
    const waves = this.campaign.waves.map((wave, at) => (at === i ? { ...wave, ...change } : wave));
    this.campaign = { ...this.campaign, waves };
  }
}

const isSamePlace = (a: Place | null, b: Place): boolean => a?.phase === b.phase && a.failure === b.failure;

function inCell(cells: Readonly<Record<string, number>>, cell: string, by: number): Record<string, number> {
  const { [cell]: before = 0, ...others } = cells;
  return before + by > 0 ? { ...others, [cell]: before + by } : others;
}
