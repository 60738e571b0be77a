/** What the campaign rules rely on, asked of every store: the one in memory, with which they are simulated, and PostgreSQL. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { CampaignSpec } from "@airlift/protocol/api/campaign";
import type { CampaignCommand } from "@airlift/protocol/update/campaign";
import type { UpdateState } from "@airlift/protocol/update/device-update";
import { type Campaign, newCampaign, newRollback } from "../campaign/campaign.ts";
import { CampaignEngine } from "../campaign/engine.ts";
import type { UpdateNews } from "../campaign/follow-update.ts";
import { MemoryCampaignStore } from "../campaign/memory-store.ts";
import { type CampaignPolicy, compilePolicy } from "../campaign/policy.ts";
import type { CampaignStore } from "../campaign/store-ports.ts";
import { newTarget } from "../campaign/target.ts";
import { exampleRegistration, openScratchStores } from "./scratch-stores.ts";

const NOW_MS = Date.UTC(2026, 5, 1, 12);
const ENDPOINTS = ["d1", "d2", "d3"];
const offsetAt = () => undefined;
const image = (id: string) => ({
  id,
  manufacturer: "Example",
  model: "Sensor",
  version: id === NEW ? "2.0.0" : "1.0.0",
  hardware: [],
  sizeBytes: 1000,
});
const NEW = "0123456789abcdef";
const OLD = "fedcba9876543210";

const specOf = (imageId: string) =>
  CampaignSpec.parse({
    name: imageId === NEW ? "spring" : "spring (rollback)",
    image: imageId,
    targets: { query: "endpoint==d*" },
    downgrade: imageId === OLD,
    ...(imageId === NEW && { rollback: { image: OLD } }),
  });
const policyOf = (imageId: string): CampaignPolicy => compilePolicy(specOf(imageId), image, offsetAt);

interface Bench {
  readonly store: CampaignStore;
  /** A draft with all devices in one wave, its rollback prepared. */
  create(): Promise<string>;
  close(): Promise<void>;
}

async function memoryBench(): Promise<Bench> {
  const store = new MemoryCampaignStore();
  let count = 0;
  for (const endpoint of ENDPOINTS)
    store.setDevice({
      endpoint,
      manufacturer: null,
      model: null,
      version: null,
      hardware: null,
      tags: [],
      presence: "registered",
      lastSeenAtMs: NOW_MS,
      signalDbm: null,
      cell: null,
      resources: {},
      timeZone: null,
      utcOffset: null,
    });
  const create = async () => {
    count += 1;
    const id = `c${count}`;
    const targets = ENDPOINTS.map((endpoint, orderKey) => newTarget({ campaignId: id, endpoint, wave: 0, orderKey }));
    store.add(newCampaign({ id, createdBy: "ann" }, policyOf(NEW), [ENDPOINTS.length]), policyOf(NEW), targets);
    store.addRollback(id, newRollback({ id: `${id}-back`, createdBy: "ann" }, policyOf(OLD)), policyOf(OLD));
    return id;
  };
  return { store, create, close: async () => {} };
}

async function postgresBench(): Promise<Bench> {
  const scratch = await openScratchStores({ node: { name: "a" } });
  const { devices, campaigns, nodes } = scratch.stores;
  await nodes.join();
  devices.queueSave(ENDPOINTS.map((endpoint) => exampleRegistration(endpoint)));
  await devices.flush();
  const create = async () => {
    const rollback = { spec: specOf(OLD), policy: policyOf(OLD) };
    const order = { spec: specOf(NEW), policy: policyOf(NEW), author: { name: "ann" }, rollback };
    return (await campaigns.create(order, NOW_MS)).campaign.id;
  };
  return { store: campaigns, create, close: () => scratch.close() };
}

for (const [name, open] of [
  ["memory", memoryBench],
  ["PostgreSQL", postgresBench],
] as const)
  describe(`a campaign store: ${name}`, async () => {
    const { store, create, close } = await open();
    const engine = new CampaignEngine(store, offsetAt);
    const tell = async (id: string, command: CampaignCommand) => {
      const told = await engine.command(id, { command, by: "ann" }, NOW_MS);
      // Its rollback is a downgrade: somebody else has to approve both.
      return told.state === "awaitingApproval"
        ? await engine.command(id, { command: "approve", by: "ben" }, NOW_MS)
        : told;
    };
    const report = (campaignId: string, endpoint: string, state: UpdateState) =>
      engine.report({ campaignId, endpoint }, { attempt: 1, state, failure: null, sentence: `it is ${state}` }, NOW_MS);
    /** Puts a device back that was begun, until then. */
    const defer = (id: string, endpoint: string, notBeforeMs: number) =>
      store.transact(id, async (transaction) => {
        const before = (await transaction.candidate(endpoint))?.target;
        assert.ok(before !== undefined);
        const after = { ...before, state: "waiting" as const, isUnderWay: false, order: null, notBeforeMs };
        const { campaign } = transaction;
        await transaction.save({
          campaign: { ...campaign, wakeAtMs: null },
          targets: [{ before, after }],
          joined: [],
          outputs: [],
        });
      });
    const ordersOf = async (id: string) =>
      (await store.takeOrders(NOW_MS, 100)).filter(({ target }) => target.campaignId === id);
    after(close);

    test("a campaign that is not there is said to be unknown", async () => {
      await assert.rejects(
        store.transact("none", async () => {}),
        { code: "UNKNOWN_CAMPAIGN" },
      );
    });

    test("an order leaves once, and no more when it is done; what was told twice is counted once", async () => {
      const id = await create();
      await tell(id, "submit");
      await tell(id, "start");
      const orders = await ordersOf(id);
      assert.deepEqual(orders.map(({ target }) => target.endpoint).toSorted(), ENDPOINTS);
      assert.deepEqual(await ordersOf(id), []);
      for (const { target, order } of orders) {
        assert.deepEqual(order, { kind: "begin", attempt: 1, imageId: NEW });
        await store.orderDone(id, target.endpoint, order);
      }
      await report(id, "d1", "waitingToApply");
      const [apply] = await ordersOf(id);
      assert.deepEqual([apply?.target.endpoint, apply?.order], ["d1", { kind: "apply", attempt: 1 }]);
      await report(id, "d1", "succeeded");
      const after = await report(id, "d1", "succeeded");
      assert.equal(after.waves[0]?.counts.succeeded, 1);
      await tell(id, "stop");
      for (const endpoint of ["d2", "d3"]) await report(id, endpoint, "cancelled");
    });

    test("octets are counted by wave as devices acknowledge them, once, over all attempts", async () => {
      const id = await create();
      await tell(id, "submit");
      await tell(id, "start");
      const hear = (endpoint: string, attempt: number, news: Omit<UpdateNews, "attempt" | "sentence">, atMs = NOW_MS) =>
        engine.report({ campaignId: id, endpoint }, { attempt, sentence: `attempt ${attempt}`, ...news }, atMs);
      await hear("d1", 1, { state: "transferring", failure: null, acknowledgedBytes: 100 });
      for (let again = 0; again < 2; again += 1)
        await hear("d1", 1, { state: "waitingToApply", failure: null, acknowledgedBytes: 400 });
      await hear("d2", 1, { state: "failed", failure: "connectionLost", acknowledgedBytes: 50 });
      const laterMs = NOW_MS + 3_600_000;
      await engine.sweep(laterMs);
      // It began from its first octet once more, and broke off before that.
      await hear("d2", 2, { state: "transferring", failure: null, acknowledgedBytes: 30 }, laterMs);
      await hear("d2", 2, { state: "waiting", failure: null }, laterMs);
      await hear("d2", 2, { state: "transferring", failure: null, acknowledgedBytes: 10 }, laterMs);
      const { waves } = await hear("d2", 2, { state: "downloaded", failure: null, acknowledgedBytes: 60 }, laterMs);
      assert.equal(waves[0]?.deliveredBytes, 400 + 50 + 30 + 50);
      await tell(id, "stop");
      for (const endpoint of ENDPOINTS)
        for (const attempt of [1, 2]) await hear(endpoint, attempt, { state: "cancelled", failure: null }, laterMs);
    });

    test("while it is paused nothing leaves but the order to stop", async () => {
      const id = await create();
      await tell(id, "submit");
      await tell(id, "start");
      await tell(id, "pause");
      assert.deepEqual(await ordersOf(id), []);
      await tell(id, "stop");
      const orders = await ordersOf(id);
      assert.deepEqual(new Set(orders.map(({ order }) => order.kind)), new Set(["cancel"]));
      for (const endpoint of ENDPOINTS) await report(id, endpoint, "cancelled");
    });

    test("a pause takes back what devices may do and have not done; when it goes on they are told anew", async () => {
      const id = await create();
      await tell(id, "submit");
      await tell(id, "start");
      for (const endpoint of ENDPOINTS) await report(id, endpoint, "waitingToApply");
      const applies = await ordersOf(id);
      assert.deepEqual(new Set(applies.map(({ order }) => order.kind)), new Set(["apply"]));
      // The second was told, and sleeps; the third installs.
      for (const { target, order } of applies)
        if (target.endpoint !== "d1") await store.orderDone(id, target.endpoint, order);
      await report(id, "d2", "downloaded");
      await report(id, "d3", "applying");
      await tell(id, "pause");
      const holds = await ordersOf(id);
      assert.deepEqual(
        holds.map(({ target, order }) => `${target.endpoint} ${order.kind}`).toSorted(),
        ENDPOINTS.map((endpoint) => `${endpoint} hold`),
      );
      for (const { target, order } of applies) await store.orderDone(id, target.endpoint, order);
      assert.deepEqual(await ordersOf(id), []);
      for (const { target, order } of holds) await store.orderDone(id, target.endpoint, order);
      await report(id, "d1", "waitingToApply");
      const after = await report(id, "d2", "waitingToApply");
      assert.deepEqual([after.waves[0]?.counts.held, after.waves[0]?.counts.active], [2, 1]);
      assert.deepEqual(await ordersOf(id), []);
      await tell(id, "resume");
      assert.deepEqual((await ordersOf(id)).map(({ target, order }) => `${target.endpoint} ${order.kind}`).toSorted(), [
        "d1 apply",
        "d2 apply",
      ]);
      await report(id, "d3", "succeeded");
      await tell(id, "stop");
      for (const endpoint of ["d1", "d2"]) await report(id, endpoint, "cancelled");
    });

    test("what may be done ends by the time, and is found by it", async () => {
      const id = await create();
      await tell(id, "submit");
      await tell(id, "start");
      await report(id, "d1", "waitingToApply");
      const untilMs = NOW_MS + 60_000;
      await store.transact(id, async (transaction) => {
        const before = (await transaction.candidate("d1"))?.target;
        assert.ok(before?.isApplyPermitted);
        const { campaign } = transaction;
        const targets = [{ before, after: { ...before, notBeforeMs: untilMs } }];
        await transaction.save({ campaign, targets, joined: [], outputs: [] });
      });
      const look = (utcMs: number) =>
        store.transact(id, async (transaction) => [
          (await transaction.overpermitted({ openWaves: [0], utcMs, limit: 10 })).map(({ target }) => target.endpoint),
          await transaction.nextDueAtMs([0], utcMs),
        ]);
      assert.deepEqual(await look(NOW_MS), [[], untilMs]);
      assert.deepEqual(await look(untilMs), [["d1"], null]);
      await tell(id, "stop");
      for (const endpoint of ENDPOINTS) await report(id, endpoint, "cancelled");
    });

    test("a turn that fails leaves nothing behind", async () => {
      const id = await create();
      await tell(id, "submit");
      const failing = store.transact(id, async () => {
        throw new Error("in the middle");
      });
      await assert.rejects(failing, { message: "in the middle" });
      assert.equal(await store.transact(id, async ({ campaign }) => campaign.state), "ready");
    });

    test("what another campaign has under way is a rival, also while that one is paused", async () => {
      const [first, second] = [await create(), await create()];
      const rivalOf = (id: string) =>
        store.transact(id, async (transaction) => (await transaction.candidate("d1"))?.rival ?? null);
      await tell(first, "submit");
      assert.equal(await rivalOf(second), null, "a campaign that has not begun wants nothing");
      await tell(first, "start");
      const rival = { campaignId: first, name: "spring", priority: 0, isUnderWay: true };
      assert.deepEqual(await rivalOf(second), rival);
      await tell(first, "pause");
      assert.deepEqual(await rivalOf(second), rival);
      await tell(first, "stop");
      for (const endpoint of ENDPOINTS) await report(first, endpoint, "cancelled");
      assert.equal(await rivalOf(second), null);
    });

    test("a device that appears is looked at at once, and its campaign with it", async () => {
      const id = await create();
      await tell(id, "submit");
      await tell(id, "start");
      const next = () => store.transact(id, (transaction) => transaction.nextDueAtMs([0], NOW_MS));
      const due = async (atMs: number) =>
        (
          await store.transact(id, (transaction) =>
            transaction.due({ waves: [0], phase: "pending", utcMs: atMs, limit: 10 }),
          )
        ).map(({ target }) => target.endpoint);
      await report(id, "d1", "cancelled");
      await report(id, "d2", "cancelled");
      await defer(id, "d3", NOW_MS + 1000);
      assert.deepEqual([await due(NOW_MS), await due(NOW_MS + 1000), await next()], [[], ["d3"], NOW_MS + 1000]);
      await store.takeDue(NOW_MS, 100);
      await store.wakeDevices(["d1", "d3", "nobody"], NOW_MS);
      assert.deepEqual([await due(NOW_MS), await next()], [["d3"], null]);
      assert.deepEqual((await store.takeDue(NOW_MS, 100)).includes(id), true);
      await tell(id, "stop");
    });

    test("a device that appears while its campaign is paused is looked at when that goes on", async () => {
      const id = await create();
      await tell(id, "submit");
      await tell(id, "start");
      await report(id, "d1", "cancelled");
      await report(id, "d2", "cancelled");
      await defer(id, "d3", NOW_MS + 1000);
      await tell(id, "pause");
      await store.wakeDevices(["d3"], NOW_MS);
      const seen = await store.transact(id, (transaction) => transaction.candidate("d3"));
      assert.equal(seen?.target.notBeforeMs, null);
      await tell(id, "stop");
    });

    test("those that ended badly are walked through by endpoint, a batch at a time, whatever becomes of them meanwhile", async () => {
      const id = await create();
      await tell(id, "submit");
      await tell(id, "start");
      const small = new CampaignEngine(store, offsetAt, { batchSize: 2 });
      const pass = async (attempt: number, endpoints: readonly string[]) => {
        await engine.sweep(NOW_MS);
        const news = { attempt, state: "fellBack", failure: null, sentence: "it fell back" } as const;
        for (const endpoint of endpoints) await engine.report({ campaignId: id, endpoint }, news, NOW_MS);
      };
      await pass(1, ["d3", "d1"]);
      assert.deepEqual(await small.retry(id, { after: null }, NOW_MS), { count: 2, last: "d3" });
      await pass(2, ["d1", "d3"]);
      assert.deepEqual(await small.retry(id, { after: "d3" }, NOW_MS), { count: 0, last: null });
      assert.deepEqual(await small.retry(id, { after: "d1" }, NOW_MS), { count: 1, last: null });
      await tell(id, "stop");
      await report(id, "d2", "cancelled");
    });

    test("only strangers join a campaign", async () => {
      const id = await create();
      assert.deepEqual(await store.strangers(id, ["d1", "new", "d3"]), ["new"]);
      assert.deepEqual(await store.strangers(id, []), []);
    });

    test("a command for what was looked at does nothing to what has become of it", async () => {
      const id = await create();
      const revision = await store.transact(id, (transaction) => transaction.revision());
      await engine.command(id, { command: "submit", by: "ann", revision }, NOW_MS);
      const late = engine.command(id, { command: "start", by: "ann", revision }, NOW_MS);
      await assert.rejects(late, { code: "ETAG_MISMATCH" });
      assert.equal(await store.transact(id, async ({ campaign }) => campaign.state), "awaitingApproval");
    });

    test("the rollback gets each device that was updated, once, however often it is filled", async () => {
      const id = await create();
      await tell(id, "submit");
      await tell(id, "start");
      for (const endpoint of ["d1", "d2"]) {
        await report(id, endpoint, "waitingToApply");
        await report(id, endpoint, "succeeded");
      }
      await store.fillRollback(id, NOW_MS);
      const rollback = await store.fillRollback(id, NOW_MS);
      assert.equal(rollback?.waves[0]?.counts.total, 2);
      assert.equal(rollback.approvedBy, "ben");
      await tell(id, "stop");
    });

    test("two servers that start a rollback at once come to the same, and nobody is told that it failed", async () => {
      const id = await create();
      await tell(id, "submit");
      await tell(id, "start");
      await report(id, "d1", "succeeded");
      const overtaken: CampaignStore = Object.create(store, {
        transact: { value: store.transact.bind(store) },
        fillRollback: {
          value: async (of: string, utcMs: number) => {
            const filled = await store.fillRollback(of, utcMs);
            await store.transact(filled?.id ?? "", async () => {});
            await engine.command(filled?.id ?? "", { command: "start", by: "the other server" }, utcMs);
            return filled;
          },
        },
      });
      const slow = new CampaignEngine(overtaken, offsetAt);
      const answer = await slow.command(id, { command: "rollback", by: "ann" }, NOW_MS);
      assert.deepEqual([answer.state, answer.rollback], ["aborted", "started"]);
      const back = (await store.fillRollback(id, NOW_MS)) as Campaign;
      assert.deepEqual([back.state, back.waves[0]?.counts.total], ["running", 1]);
      await tell(back.id, "stop");
      await report(back.id, "d1", "cancelled");
      for (const endpoint of ["d2", "d3"]) await report(id, endpoint, "cancelled");
    });

    test("a device that finishes installing after the rollback has ended is rolled back as well", async () => {
      const id = await create();
      await tell(id, "submit");
      await tell(id, "start");
      await report(id, "d1", "applying");
      await tell(id, "rollback");
      const back = (await store.fillRollback(id, NOW_MS)) as Campaign;
      assert.deepEqual([back.state, back.waves[0]?.counts.total], ["finished", 0]);
      await report(id, "d1", "succeeded");
      const again = await store.transact(back.id, async ({ campaign }) => campaign);
      assert.deepEqual([again.state, again.waves[0]?.counts.total], ["running", 1]);
      await engine.sweep(NOW_MS);
      assert.deepEqual(
        (await ordersOf(back.id)).map(({ order }) => order.kind),
        ["begin"],
      );
      await tell(back.id, "stop");
    });
  });
