/**
 * Random commands, faults, restarts and time against the real rules and a store: whatever happens, the counters are the rows, no attempt
 * begins twice, no cap is exceeded, nothing starts while the campaign does not run, no device executes once a pause has settled, and every
 * device comes to an end. For tests.
 */
import assert from "node:assert/strict";
import type { Random } from "@airlift/protocol/lib/core";
import { UsageError } from "@airlift/protocol/lib/errors";
import { FAILURE_KINDS, isFinalUpdateState, type UpdateState } from "@airlift/protocol/update/device-update";
import { countsOf, isFinalCampaign, newCampaign, openWaves } from "../campaign/campaign.ts";
import type { Candidate } from "../campaign/device.ts";
import { CampaignEngine } from "../campaign/engine.ts";
import type { UpdateNews } from "../campaign/follow-update.ts";
import type { CampaignPolicy } from "../campaign/policy.ts";
import type { CampaignStore, LeasedOrder } from "../campaign/store-ports.ts";
import { newTarget } from "../campaign/target.ts";
import { dealWaves, orderKey } from "../campaign/waves.ts";
import { CampaignPromises, IMAGES, policyOf } from "./campaign-model-promises.ts";
import { AWAY, faulty, type ModelStore } from "./campaign-model-store.ts";

/** Steps with one campaign pair, before the next one begins. */
export const ROUND_STEPS = 2000;
const DEVICE_COUNT = 60;
const START = Date.UTC(2026, 0, 1);
const PATH: readonly UpdateState[] = [
  "waiting",
  "transferring",
  "downloaded",
  "waitingToApply",
  "applying",
  "confirming",
];
const COMMANDS = ["pause", "resume", "resume", "resume", "stop", "abort", "start", "submit", "approve"] as const;

/** An order that was not carried out: it comes again. */
const REFUSED = "refused";

interface Attempt {
  readonly campaignId: string;
  readonly endpoint: string;
  readonly attempt: number;
  readonly imageId: string;
  state: UpdateState;
  mayApply: boolean;
  /** How often the device was asked to apply. */
  executeCount: number;
}

class World {
  readonly random: Random;
  readonly #model: ModelStore;
  #store: CampaignStore;
  engine: CampaignEngine;
  utcMs = START;
  attempts = new Map<string, Attempt>();
  /** Taken by a server that is slow. */
  late: LeasedOrder[] = [];
  readonly policies = new Map<string, CampaignPolicy>();
  promises = new CampaignPromises();
  isFaulty = true;

  constructor(model: ModelStore, random: Random) {
    this.#model = model;
    this.random = random;
    this.#store = this.#faulty();
    this.engine = new CampaignEngine(this.#store, () => 0, { batchSize: 7 });
  }

  #faulty(): CampaignStore {
    return faulty(this.#model.store, () => {
      if (this.isFaulty && this.random() < 0.01) throw new Error(AWAY);
    });
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.random() * list.length)];
  }

  async newRound(): Promise<void> {
    this.attempts.clear();
    this.late = [];
    this.promises = new CampaignPromises();
    this.policies.clear();
    await this.#model.clear();
    this.#store = this.#faulty();
    this.restart();
    for (let i = 0; i < DEVICE_COUNT; i += 1) await this.#model.setDevice(this.device(i));
    for (const [id, priority] of [
      ["low", 0],
      ["high", 5],
    ] as const)
      await this.addCampaign(id, priority);
  }

  device(i: number): Candidate["device"] {
    return {
      endpoint: `pump-${i}`,
      manufacturer: "Acme",
      model: i % 19 === 7 ? "valve" : "pump",
      version: this.random() < 0.3 ? "1.0.0" : this.random() < 0.1 ? "2.0.0" : "1.6.0",
      hardware: null,
      tags: [],
      presence: this.random() < 0.8 ? "registered" : "expired",
      lastSeenAtMs: this.utcMs,
      signalDbm: null,
      cell: `cell-${i % 4}`,
      resources: {},
      timeZone: null,
      utcOffset: i % 3 === 0 ? "+01:00" : null,
    };
  }

  async addCampaign(id: string, priority: number): Promise<void> {
    const policy = policyOf(id, priority);
    const dealt = Array.from({ length: DEVICE_COUNT }, (_, i) => `pump-${i}`).map((endpoint) => ({
      endpoint,
      orderKey: orderKey(id, endpoint),
      wave: undefined,
    }));
    const { waveOf, sizes } = dealWaves(policy.waves, dealt);
    const targets = dealt.map(({ endpoint, orderKey: key }, i) =>
      newTarget({ campaignId: id, endpoint, orderKey: key, wave: waveOf[i] ?? 0 }),
    );
    this.policies.set(id, policy);
    await this.#model.add(newCampaign({ id, createdBy: "first" }, policy, sizes), policy, targets);
  }

  /** A server that was killed: only the store is left. */
  restart(): void {
    this.engine = new CampaignEngine(this.#store, () => 0, { batchSize: 7 });
  }

  /** Only what may fail: a refused command, and the database. */
  async try(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof UsageError) && !(error instanceof Error && error.message === AWAY)) throw error;
    }
  }

  async step(): Promise<void> {
    const dice = this.random();
    const id = this.pick([...this.policies.keys()]) ?? "";
    if (dice < 0.3) await this.sweep();
    else if (dice < 0.55) await this.deliver();
    else if (dice < 0.85) await this.news();
    else if (dice < 0.93) this.utcMs += Math.floor(this.random() ** 3 * 1_800_000);
    else if (dice < 0.95) await this.deviceChanges();
    else if (dice < 0.97)
      await this.try(() =>
        this.engine.retry(
          id,
          this.random() < 0.5 ? { after: null } : { endpoint: `pump-${Math.floor(this.random() * DEVICE_COUNT)}` },
          this.utcMs,
        ),
      );
    else if (dice < 0.985) await this.command(id);
    else if (dice < 0.99) await this.pauseAndSettle(id);
    else this.restart();
  }

  async sweep(): Promise<void> {
    await this.#model.endLeases();
    await this.try(() => this.engine.sweep(this.utcMs));
  }

  async command(id: string): Promise<void> {
    const command = this.pick(COMMANDS) ?? "resume";
    // An end is rare, so that campaigns live for long.
    if ((command === "stop" || command === "abort") && this.random() < 0.9) return;
    await this.try(() => this.engine.command(id, { command, by: "second" }, this.utcMs));
  }

  async deviceChanges(): Promise<void> {
    const i = Math.floor(this.random() * DEVICE_COUNT);
    const failed = this.random() < 0.3;
    await this.#model.setHistory(`pump-${i}`, {
      failuresInRow: failed ? 3 : 0,
      lastFailureAtMs: failed ? this.utcMs : null,
      leftVersions: [],
    });
    await this.#model.setDevice(this.device(i));
    await this.#store.wakeDevices([`pump-${i}`], this.utcMs);
  }

  async deliver(limit = 5): Promise<void> {
    await this.#model.endLeases();
    const late = this.late.splice(0, this.isFaulty && this.random() < 0.7 ? 0 : this.late.length);
    for (const leased of [...late, ...(await this.#store.takeOrders(this.utcMs, limit))]) {
      if (this.isFaulty && this.late.length < 50 && this.random() < 0.1) {
        this.late.push(leased);
        continue;
      }
      const report = await this.obey(leased);
      if (report === REFUSED) continue;
      const { campaignId, endpoint } = leased.target;
      if (report) await this.try(() => this.engine.report({ campaignId, endpoint }, report, this.utcMs));
      // Who carried an order out may die before it can say so.
      if (!this.isFaulty || this.random() < 0.8) await this.#store.orderDone(campaignId, endpoint, leased.order);
    }
  }

  /** An operator pauses, and waits until everybody has heard of it: whatever devices do from then on, none is asked to apply. */
  async pauseAndSettle(id: string): Promise<void> {
    const { isFaulty } = this;
    this.isFaulty = false;
    await this.try(() => this.engine.command(id, { command: "pause", by: "second" }, this.utcMs));
    for (let i = 0; i < 30; i += 1) {
      await this.sweep();
      await this.deliver(1000);
    }
    if ((await this.#model.campaign(id)).state === "paused") {
      const own = [...this.attempts.values()].filter(({ campaignId }) => campaignId === id);
      const asked = () => own.reduce((sum, { executeCount }) => sum + executeCount, 0);
      const before = asked();
      for (let i = 0; i < 5; i += 1) await this.crowd(id);
      assert.equal(asked(), before, "a device was asked to apply after the pause");
    }
    this.isFaulty = isFaulty;
  }

  async obey({
    target: { campaignId, endpoint },
    order,
  }: LeasedOrder): Promise<UpdateNews | typeof REFUSED | undefined> {
    const key = `${campaignId} ${endpoint} ${order.attempt}`;
    const attempt = this.attempts.get(key);
    if (order.kind === "cancel") {
      if (attempt && isFinalUpdateState(attempt.state)) return this.newsOf(attempt);
      if (attempt && (attempt.state === "applying" || attempt.state === "confirming")) return undefined;
      // One that was never begun is on record as well, so that it is told again when this report is lost.
      const ended = attempt ?? this.newAttempt(key, { campaignId, endpoint, attempt: order.attempt, imageId: "" });
      ended.state = "cancelled";
      return { attempt: order.attempt, state: "cancelled", failure: null, sentence: "cancelled" };
    }
    if (order.kind === "hold") return await this.hold(attempt);
    if (order.kind === "apply") {
      if (attempt && !(await this.isPermitted(attempt))) return REFUSED;
      if (attempt) attempt.mayApply = true;
      return undefined;
    }
    if (attempt) return undefined;
    const { state } = await this.#model.campaign(campaignId);
    if (state !== "running") return REFUSED;
    const others = [...this.attempts.values()].filter(
      (one) => one.endpoint === endpoint && !isFinalUpdateState(one.state),
    );
    assert.deepEqual(others, [], `${endpoint} has two updates at once`);
    this.newAttempt(key, { campaignId, endpoint, attempt: order.attempt, imageId: order.imageId });
    return undefined;
  }

  /** As an update's record has it: what the campaign says at that moment. */
  async isPermitted({ campaignId, endpoint, attempt }: Attempt): Promise<boolean> {
    const campaign = await this.#model.campaign(campaignId);
    const target = (await this.#model.targets(campaignId)).find((one) => one.endpoint === endpoint);
    if (target?.attempt !== attempt || !target.isApplyPermitted) return false;
    return openWaves(campaign).includes(target.wave);
  }

  async hold(attempt: Attempt | undefined): Promise<UpdateNews | typeof REFUSED | undefined> {
    if (attempt === undefined) return undefined;
    if (isFinalUpdateState(attempt.state)) return this.newsOf(attempt);
    if (attempt.mayApply && (await this.isPermitted(attempt))) return REFUSED;
    attempt.mayApply = false;
    if (attempt.state === "downloaded") attempt.state = "waitingToApply";
    return attempt.state === "waitingToApply" ? this.newsOf(attempt) : undefined;
  }

  newAttempt(key: string, of: Omit<Attempt, "state" | "mayApply" | "executeCount">): Attempt {
    const attempt: Attempt = { ...of, state: "queued", mayApply: false, executeCount: 0 };
    this.attempts.set(key, attempt);
    return attempt;
  }

  newsOf({ attempt, state }: Attempt): UpdateNews {
    const failure = state === "failed" ? (this.pick(FAILURE_KINDS) ?? null) : null;
    const acknowledgedBytes = state === "waiting" ? undefined : 100 * Math.max(0, PATH.indexOf(state));
    return { attempt, state, failure, sentence: `${state} ${Math.floor(this.random() * 3)}`, acknowledgedBytes };
  }

  /** A device reports something: mostly the next state, sometimes an end, an old state again, or nothing that is true any more. */
  async news(): Promise<void> {
    const one = this.pick(
      [...this.attempts.values()].filter(({ state }) => !isFinalUpdateState(state) || this.random() < 0.02),
    );
    if (!one) return;
    if (!isFinalUpdateState(one.state)) await this.advance(one);
    const news = this.newsOf(one);
    const stale = this.random() < 0.05 ? { ...news, attempt: news.attempt - 1 } : news;
    const report = (): Promise<unknown> => this.engine.report(one, stale, this.utcMs);
    await this.try(report);
    if (this.random() < 0.1) await this.try(report);
    if (this.random() < 0.3) await this.crowd(one.campaignId);
  }

  /** Many devices of a campaign report at once, so that their reports share transactions. */
  async crowd(campaignId: string): Promise<void> {
    const underWay = [...this.attempts.values()].filter(
      (one) => one.campaignId === campaignId && !isFinalUpdateState(one.state),
    );
    for (const one of underWay) await this.advance(one);
    const told = underWay.map((one) =>
      this.engine.report({ campaignId, endpoint: one.endpoint }, this.newsOf(one), this.utcMs),
    );
    await this.try(() => Promise.all(told));
    await Promise.allSettled(told);
  }

  async advance(one: Attempt): Promise<void> {
    const dice = this.random();
    if (one.state === "waitingToApply" && !one.mayApply) return;
    // It sleeps, and is asked when it is awake.
    if (one.state === "waitingToApply" && dice > 0.6) {
      one.state = "downloaded";
      return;
    }
    const isInstalling = one.state === "applying" || one.state === "confirming";
    if (dice < 0.06) one.state = "failed";
    else if (dice < 0.08) one.state = "silent";
    else if (dice < 0.1) one.state = "fellBack";
    else if (dice < 0.14 && PATH.indexOf(one.state) < 4) one.state = "waiting";
    // It comes back with the image not installed.
    else if (dice < 0.18 && isInstalling) one.state = one.mayApply ? "downloaded" : "waitingToApply";
    else if (one.state === "downloaded" && one.mayApply) one.state = "applying";
    else one.state = PATH[PATH.indexOf(one.state) + 1] ?? "succeeded";
    // It must not have installed what nobody permitted.
    if (one.state === "applying") {
      assert.ok(one.mayApply, "applied without a permit");
      one.executeCount += 1;
    }
    if (one.state === "succeeded") await this.install(one);
  }

  async install({ endpoint, imageId }: Attempt): Promise<void> {
    const device = this.device(Number(endpoint.slice(5)));
    await this.#model.setDevice({ ...device, version: IMAGES[imageId] ?? "" });
  }

  async check(): Promise<void> {
    for (const [id, policy] of this.policies) {
      const campaign = await this.#model.campaign(id);
      const targets = await this.#model.targets(id);
      this.promises.check({ policy, campaign }, targets, this.utcMs);
      for (const { endpoint, attempt, isUnderWay, isApplyPermitted, order } of targets) {
        const own = this.attempts.get(`${id} ${endpoint} ${attempt}`);
        if (own === undefined || isFinalUpdateState(own.state) || !isUnderWay || isApplyPermitted || order) continue;
        assert.ok(!own.mayApply, `${endpoint} was not told to wait`);
      }
    }
  }

  /** Without faults, and with an operator who always goes on, everyone ends. */
  async finish(): Promise<void> {
    this.isFaulty = false;
    const heard = new Set<Attempt>();
    for (let turns = 0; await this.#isOpen(); turns += 1) {
      assert.ok(turns < 20_000, "a device is lost");
      for (const id of this.policies.keys()) await this.#goOn(id);
      await this.sweep();
      await this.deliver();
      for (let i = 0; i < 10 && this.#isAnyUnderWay; i += 1) await this.news();
      for (const one of this.attempts.values()) {
        if (!isFinalUpdateState(one.state) || heard.has(one)) continue;
        heard.add(one);
        await this.engine.report(one, this.newsOf(one), this.utcMs);
      }
      await this.check();
      this.utcMs += 300_000;
    }
    this.isFaulty = true;
  }

  get #isAnyUnderWay(): boolean {
    return [...this.attempts.values()].some(({ state }) => !isFinalUpdateState(state));
  }

  async #isOpen(): Promise<boolean> {
    for (const id of this.policies.keys()) {
      const campaign = await this.#model.campaign(id);
      if (!isFinalCampaign(campaign) || countsOf(campaign).active > 0) return true;
    }
    return false;
  }

  async #goOn(id: string): Promise<void> {
    const { state, waves } = await this.#model.campaign(id);
    const isStuck = waves.some((wave) => wave.state === "paused" || wave.state === "failed");
    const command =
      state === "draft" ? "submit" : state === "ready" ? "start" : state === "paused" || isStuck ? "resume" : undefined;
    if (command) await this.try(() => this.engine.command(id, { command, by: "second" }, this.utcMs));
  }
}

/** So many random steps with two campaigns that want the same devices; all of them have ended when this resolves. */
export async function walkCampaigns(model: ModelStore, random: Random, stepCount: number): Promise<void> {
  const world = new World(model, random);
  for (let step = 0; step < stepCount; step += 1) {
    if (step % ROUND_STEPS === 0) {
      if (step > 0) await world.finish();
      await world.newRound();
      for (const id of ["low", "high"]) {
        await world.try(() => world.engine.command(id, { command: "submit", by: "first" }, world.utcMs));
        await world.try(() => world.engine.command(id, { command: "start", by: "first" }, world.utcMs));
      }
    }
    await world.step();
    await world.check();
  }
  await world.finish();
}
