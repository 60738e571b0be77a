/** Campaigns that run over a real database while servers end at any point, the database goes away, and the clock jumps. */
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { CampaignSpec, type NewCampaign } from "@airlift/protocol/api/campaign";
import type { Update } from "@airlift/protocol/api/schemas";
import { BugError } from "@airlift/protocol/lib/errors";
import { isFinalUpdateState, type UpdateState } from "@airlift/protocol/update/device-update";
import { offsetAt } from "@airlift/runtime/zone-offset";
import { sql } from "kysely";
import { pino } from "pino";
import { CampaignEngine } from "../campaign/engine.ts";
import { compilePolicy } from "../campaign/policy.ts";
import { newSnapshot } from "../delivery/driver-messages.ts";
import { openDatabase } from "../store/database.ts";
import type { Stores, UnfinishedUpdate } from "../store/ports.ts";
import { exampleRegistration, openScratchStores, type ScratchStores } from "../store/scratch-stores.ts";
import { CampaignRunner } from "./campaign-runner.ts";

const ENDPOINTS = ["d1", "d2", "d3"];
const log = pino({ level: "silent" });

let scratch: ScratchStores;
let imageId: string;
before(async () => {
  scratch = await openScratchStores({ node: { name: "a" } });
  const { stores } = scratch;
  await stores.nodes.join();
  stores.devices.queueSave(ENDPOINTS.map((endpoint) => exampleRegistration(endpoint)));
  await stores.devices.flush();
  const name = { manufacturer: "Example", model: "Sensor", version: "2.0.0", hardware: [] };
  imageId = (await stores.images.add(Readable.from([new Uint8Array(100)]), name)).image.id;
});
after(() => scratch.close());

async function createCampaign(more: Partial<NewCampaign> = {}): Promise<string> {
  const image = await scratch.stores.images.get(imageId);
  const spec = CampaignSpec.parse({ name: "spring", image: imageId, targets: { query: "endpoint==*" }, ...more });
  const policy = compilePolicy(spec, () => image, offsetAt);
  const { campaign } = await scratch.stores.campaigns.create({ spec, policy, author: { name: "ann" } }, Date.now());
  return campaign.id;
}

/** Delivery to devices that do at once what they are told; it drives by what is on record, as the real one does. */
class Delivery {
  readonly #running = new Map<string, Update>();
  readonly #stores: Pick<Stores, "updates">;
  readonly #done: string[];
  onTransition: (update: Update) => void = () => {};

  constructor(stores: Pick<Stores, "updates">, done: string[]) {
    this.#stores = stores;
    this.#done = done;
  }

  isRunning(updateId: string): boolean {
    return this.#running.has(updateId);
  }

  letGo(): void {}
  letGoAll(): void {}
  async resume(): Promise<void> {}

  takeOver(claimed: readonly UnfinishedUpdate[]): Promise<void> {
    return this.restore(claimed);
  }

  async restore(unfinished: readonly UnfinishedUpdate[]): Promise<void> {
    for (const { update } of unfinished) {
      if (this.#running.has(update.id)) continue;
      this.#running.set(update.id, update);
      if (update.state === "queued") await this.#go(update, "transferring");
      if (update.state === "queued" || update.state === "transferring") await this.#go(update, "waitingToApply");
      if (update.state === "downloaded") await this.#install(update);
      if (update.state === "applying") await this.#go(update, "succeeded");
    }
  }

  async apply(updateId: string): Promise<void> {
    const update = this.#running.get(updateId);
    assert.equal(update?.state, "waitingToApply");
    await this.#install(await this.#go(update, "downloaded"));
  }

  async hold(): Promise<void> {}

  async cancel(updateId: string): Promise<void> {
    await this.#go(this.#running.get(updateId) as Update, "cancelled");
  }

  async #install(update: Update): Promise<void> {
    await this.#go(update, "applying");
    await this.#go(update, "succeeded");
  }

  /** On record first; then the device is told. */
  async #go(update: Update, state: UpdateState): Promise<Update> {
    const snapshot = { ...newSnapshot(state === "downloaded"), state };
    const apply = update.apply || state === "downloaded";
    const after = await this.#stores.updates.transition(update.id, {
      state,
      sentence: `it is ${state}`,
      snapshot,
      apply,
    });
    this.#done.push(`${update.endpoint} ${state}`);
    if (isFinalUpdateState(state)) this.#running.delete(update.id);
    else this.#running.set(update.id, after);
    this.onTransition(after);
    return after;
  }
}

/** A server's campaigns and delivery over the stores of all its lives. `calls` until it ends in the middle of one, before or after it is done. */
class Life {
  readonly runner: CampaignRunner;
  readonly delivery: Delivery;
  isOver = false;
  #callsLeft: number;

  constructor(done: string[], calls = Number.POSITIVE_INFINITY, utcMs: () => number = Date.now) {
    this.#callsLeft = calls;
    const { stores } = scratch;
    const mortal = { ...stores, campaigns: this.#mortal(stores.campaigns), updates: this.#mortal(stores.updates) };
    this.delivery = new Delivery(mortal, done);
    this.runner = new CampaignRunner({ stores: mortal, delivery: this.delivery, log, utcMs });
    this.delivery.onTransition = (update) => this.runner.onTransition(update);
  }

  #mortal<Store extends object>(store: Store): Store {
    return new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return async (...args: unknown[]) => {
          const killed = () => new BugError("KILLED", "this server has ended");
          this.#callsLeft -= 0.5;
          if (this.isOver || this.#callsLeft <= 0) this.isOver = true;
          if (this.isOver) throw killed();
          const result: unknown = await value.apply(target, args);
          this.#callsLeft -= 0.5;
          if (this.#callsLeft <= 0) this.isOver = true;
          if (this.isOver) throw killed();
          return result;
        };
      },
    });
  }
}

/** As if the time that leases of a dead server take to run out had passed. */
async function endLeases(): Promise<void> {
  const database = openDatabase(scratch.database.url);
  await sql`update campaign_targets set order_until = null`.execute(database.tables);
  await sql`update campaigns set taken_until = null`.execute(database.tables);
  await database.close();
}

const stateOf = async (id: string) => (await scratch.stores.campaigns.get(id))?.campaign.state;

async function runToEnd(id: string, { runner }: Life): Promise<void> {
  while ((await stateOf(id)) === "running") {
    runner.wake();
    await runner.settle();
  }
}

async function start(id: string): Promise<void> {
  const { runner } = new Life([], Number.POSITIVE_INFINITY);
  await runner.command(id, { command: "submit", by: "ann" });
  await runner.close();
}

/** Each device went its way once, in order. */
function assertOnce(done: readonly string[]): void {
  for (const endpoint of ENDPOINTS) {
    const own = done.filter((one) => one.startsWith(`${endpoint} `)).map((one) => one.slice(endpoint.length + 1));
    const way = ["transferring", "waitingToApply", "downloaded", "applying", "succeeded"];
    assert.deepEqual(own, way, endpoint);
  }
}

describe("the campaign runner", () => {
  test("every device is begun, held, told to apply and counted", async () => {
    const id = await createCampaign();
    await start(id);
    const done: string[] = [];
    const life = new Life(done);
    await life.runner.command(id, { command: "start", by: "ann" });
    await runToEnd(id, life);
    await life.runner.close();
    assert.equal(await stateOf(id), "finished");
    assertOnce(done);
  });

  test("a server that ends at any point loses no update and starts none twice", async () => {
    for (let calls = 0.5, isDone = false; !isDone; calls += 1.5) {
      const id = await createCampaign();
      await start(id);
      const done: string[] = [];
      const first = new Life(done, calls);
      // Who is told nothing because the server ended tries again.
      await first.runner.command(id, { command: "start", by: "ann" }).catch(() => {});
      await first.runner.settle();
      if (!first.isOver) await runToEnd(id, first);
      await first.runner.close();
      isDone = !first.isOver;
      await endLeases();
      const second = new Life(done);
      if ((await stateOf(id)) === "ready") await second.runner.command(id, { command: "start", by: "ann" });
      await second.delivery.restore(await scratch.stores.updates.unfinished());
      await runToEnd(id, second);
      await second.runner.close();
      assert.equal(await stateOf(id), "finished", `killed after ${calls} calls`);
      const kept = await scratch.stores.campaigns.get(id);
      assert.equal(kept?.campaign.waves[0]?.counts.succeeded, ENDPOINTS.length, `killed after ${calls} calls`);
      const { items } = await scratch.stores.updates.list({}, { limit: 1000 });
      const own = items.filter(({ campaignId }) => campaignId === id);
      assert.equal(own.length, ENDPOINTS.length, `killed after ${calls} calls`);
    }
  });

  test("an attempt that is stopped before it was begun is never begun, whoever still holds the order", async () => {
    const id = await createCampaign();
    await start(id);
    const life = new Life([]);
    const { campaigns, updates } = scratch.stores;
    // The orders are taken, by a server that is slow.
    await new CampaignEngine(campaigns, offsetAt).command(id, { command: "start", by: "ann" }, Date.now());
    const taken = await campaigns.takeOrders(Date.now(), 10);
    assert.equal(taken.length, ENDPOINTS.length);
    await life.runner.command(id, { command: "stop", by: "ann" });
    await life.runner.settle();
    for (const { target } of taken) {
      const campaign = { id, wave: target.wave, attempt: target.attempt };
      const update = await updates.create({ endpoint: target.endpoint, imageId, by: "auto", apply: false, campaign });
      assert.equal(update.state, "cancelled");
      assert.equal(update.sentence, "cancelled: before it was begun");
    }
    const { items } = await campaigns.targets(id, {}, { limit: 10 });
    assert.deepEqual(new Set(items.map(({ state }) => state)), new Set(["cancelled"]));
    await life.runner.close();
  });

  test("an order that was taken just before a pause begins nothing until the campaign goes on", async () => {
    const id = await createCampaign();
    await start(id);
    const { campaigns, updates } = scratch.stores;
    const slow = new CampaignEngine(campaigns, offsetAt);
    await slow.command(id, { command: "start", by: "ann" }, Date.now());
    const [taken] = await campaigns.takeOrders(Date.now(), 10);
    assert.ok(taken !== undefined);
    const { endpoint, wave, attempt } = taken.target;
    const begin = () =>
      updates.create({ endpoint, imageId, by: "auto", apply: false, campaign: { id, wave, attempt } });
    await slow.command(id, { command: "pause", by: "ann" }, Date.now());
    await assert.rejects(begin(), { code: "CAMPAIGN_STATE" });
    assert.deepEqual(
      (await updates.list({ endpoint }, { limit: 10 })).items.filter((one) => one.campaignId === id),
      [],
    );
    await slow.command(id, { command: "resume", by: "ann" }, Date.now());
    assert.equal((await begin()).state, "queued");
    await slow.command(id, { command: "stop", by: "ann" }, Date.now());
    const life = new Life([]);
    await life.runner.settle();
    await life.runner.close();
  });

  test("what was decided before a pause is refused by the record after it, and so is a word to wait after it went on", async () => {
    const id = await createCampaign();
    await start(id);
    const { campaigns, updates } = scratch.stores;
    const slow = new CampaignEngine(campaigns, offsetAt);
    await slow.command(id, { command: "start", by: "ann" }, Date.now());
    const [taken] = await campaigns.takeOrders(Date.now(), 1);
    assert.ok(taken !== undefined);
    const { endpoint, wave, attempt } = taken.target;
    const campaign = { id, wave, attempt };
    const update = await updates.create({ endpoint, imageId, by: "auto", apply: false, campaign });
    const say = (state: UpdateState) =>
      slow.report({ campaignId: id, endpoint }, { attempt, state, failure: null, sentence: state }, Date.now());
    const ask = (permit: boolean) =>
      updates.transition(update.id, { state: "downloaded", sentence: "asking it", apply: permit, permit });
    await assert.rejects(ask(true), { code: "CAMPAIGN_PERMIT" });
    await say("waitingToApply");
    await slow.command(id, { command: "pause", by: "ann" }, Date.now());
    await assert.rejects(ask(true), { code: "CAMPAIGN_PERMIT" });
    await slow.command(id, { command: "resume", by: "ann" }, Date.now());
    await say("waitingToApply");
    await ask(true);
    await assert.rejects(ask(false), { code: "CAMPAIGN_PERMIT" });
    await slow.command(id, { command: "pause", by: "ann" }, Date.now());
    await ask(false);
    await slow.command(id, { command: "stop", by: "ann" }, Date.now());
    const life = new Life([]);
    await life.delivery.restore(await updates.unfinished());
    await endLeases();
    life.runner.wake();
    await life.runner.settle();
    await life.runner.close();
  });

  test("a clock that jumps back an hour and ahead a day starts nothing twice", async () => {
    const id = await createCampaign({ caps: { inFlight: 1 } });
    await start(id);
    const done: string[] = [];
    let jumpMs = 0;
    let looks = 0;
    const life = new Life(done, Number.POSITIVE_INFINITY, () => {
      looks += 1;
      if (looks === 5) jumpMs = -3_600_000;
      if (looks === 12) jumpMs = 86_400_000;
      return Date.now() + jumpMs;
    });
    await life.runner.command(id, { command: "start", by: "ann" });
    await runToEnd(id, life);
    await life.runner.close();
    assertOnce(done);
  });

  test("a database that goes away in the middle and comes back is waited for", async () => {
    const id = await createCampaign({ caps: { inFlight: 1 } });
    await start(id);
    const done: string[] = [];
    const life = new Life(done);
    await life.runner.command(id, { command: "start", by: "ann" });
    await scratch.database.pause();
    life.runner.wake();
    await scratch.database.resume();
    await scratch.stores.nodes.renew();
    await endLeases();
    await life.delivery.restore(await scratch.stores.updates.unfinished());
    await runToEnd(id, life);
    await life.runner.close();
    assert.equal(await stateOf(id), "finished");
    assertOnce(done);
  });
});
