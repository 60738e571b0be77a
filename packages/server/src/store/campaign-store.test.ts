import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CampaignSpec, type NewCampaign } from "@airlift/protocol/api/campaign";
import { sql } from "kysely";
import { CampaignEngine } from "../campaign/engine.ts";
import { compilePolicy } from "../campaign/policy.ts";
import type { DeviceFacts } from "../campaign/query/ast.ts";
import { matches } from "../campaign/query/match.ts";
import { parseQuery } from "../campaign/query/parse-query.ts";
import type { Target } from "../campaign/target.ts";
import type { KeptCampaign } from "./campaign-reading.ts";
import type { PostgresCampaignStore } from "./campaign-store.ts";
import { openDatabase } from "./database.ts";
import { exampleRegistration, openScratchStores, openSecondStores, type ScratchStores } from "./scratch-stores.ts";

const NOW_MS = Date.UTC(2026, 5, 1, 12);
const IMAGE_ID = "0123456789abcdef";
const offsetAt = (zone: string) => (zone === "Europe/Oslo" ? 120 : undefined);

let scratch: ScratchStores;
let campaigns: PostgresCampaignStore;
let engine: CampaignEngine;
before(async () => {
  scratch = await openScratchStores({ node: { name: "a" } });
  await scratch.stores.nodes.join();
  campaigns = scratch.stores.campaigns;
  engine = new CampaignEngine(campaigns, offsetAt);
  const { devices, inventory } = scratch.stores;
  const all = FLEET.map(({ endpoint, presence, lastSeenAtMs }) =>
    exampleRegistration(endpoint, { presence, lastSeenAtMs: lastSeenAtMs ?? 0 }),
  );
  devices.queueSave(all);
  for (const { endpoint, manufacturer, model, version, hardware, signalDbm, cell, resources } of FLEET)
    devices.queueReport({ endpoint, manufacturer, model, version, hardware, signal: signalDbm, cell, resources });
  await devices.flush();
  await inventory.importLines(FLEET.map(({ endpoint, tags }) => ({ endpoint, tags })));
});
after(() => scratch.close());

const VERSIONS = ["1.0.0", "1.2", "1.10.0", "2.0.0-rc.1", "2.0.0", null];

/** Every combination of odd values that a query can ask for. */
const FLEET: readonly DeviceFacts[] = Array.from({ length: 240 }, (_, n) => ({
  endpoint: `device-${`${n}`.padStart(3, "0")}${n % 7 === 0 ? "%_\\" : ""}`,
  manufacturer: n % 3 === 0 ? null : "Example",
  model: n % 2 === 0 ? "Sensor" : "Pump*",
  version: VERSIONS[n % VERSIONS.length] ?? null,
  hardware: n % 5 === 0 ? "B" : null,
  tags: [...(n % 4 === 0 ? ["canary"] : []), ...(n % 8 === 0 ? ["site:Oslo"] : [])],
  presence: n % 9 === 0 ? "expired" : "registered",
  lastSeenAtMs: NOW_MS - n * 3_600_000,
  signalDbm: n % 6 === 0 ? null : -60 - (n % 50),
  cell: n % 10 === 0 ? null : `cell-${n % 3}`,
  resources: n % 11 === 0 ? {} : { "/3/0/9": n % 100, "/3/0/17": n % 2 === 0 ? "gateway" : "10" },
}));

const QUERIES = [
  "endpoint==device-00*",
  "endpoint==*%_*",
  "manufacturer!=Example",
  "manufacturer==Example;model==Sensor",
  "version=lt=2.0.0",
  "version=ge=1.2.0,version==1.0.0",
  "version!=1.2",
  "version==2.*",
  "version=out=(1.0.0,2.0.0)",
  "hardware=in=(A,B)",
  "hardware!=B",
  "tags==canary",
  "tags!=canary",
  "tags==site:*",
  "tags=in=(canary,other);presence==registered",
  "presence=out=(expired)",
  "signal=lt=-80",
  "signal!=-70",
  "lastSeen=gt=-24h",
  "lastSeen=le=2026-05-25",
  "cell==cell-1;(model==Sensor,tags==canary)",
  "/3/0/9=gt=9",
  "/3/0/9==9",
  "/3/0/9!=9",
  "/3/0/9=lt=abc",
  "/3/0/17==10",
  "/3/0/17==gate*",
  "/3/0/99!=1",
];

async function found(query: string): Promise<string[]> {
  const { items } = await scratch.stores.inventory.list({ query: parseQuery(query), utcMs: NOW_MS }, { limit: 1000 });
  return items.map(({ endpoint }) => endpoint);
}

async function create(spec: Partial<NewCampaign> = {}): Promise<KeptCampaign> {
  const whole = CampaignSpec.parse({ name: "spring", image: IMAGE_ID, targets: { query: "endpoint==*" }, ...spec });
  const image = {
    id: IMAGE_ID,
    manufacturer: "Example",
    model: "Sensor",
    version: "3.0.0",
    hardware: [],
    sizeBytes: 1000,
  };
  const policy = compilePolicy(whole, () => image as never, offsetAt);
  return await campaigns.create({ spec: whole, policy, author: { name: "ann" } }, NOW_MS);
}

const command = (id: string, word: "submit" | "start" | "pause" | "stop") =>
  engine.command(id, { command: word, by: "ann" }, NOW_MS);

describe("queries", () => {
  for (const query of QUERIES)
    test(`${query} finds in the database what it matches in memory`, async () => {
      const parsed = parseQuery(query);
      const expected = FLEET.filter((device) => matches(parsed, device, NOW_MS)).map(({ endpoint }) => endpoint);
      assert.deepEqual(await found(query), expected.toSorted());
    });

  test("a count is exact up to its limit and an estimate beyond", async () => {
    const { inventory } = scratch.stores;
    const query = parseQuery("model==Sensor");
    assert.deepEqual(await inventory.count({ query, utcMs: NOW_MS }), { count: 120, isExact: true });
    const estimate = await inventory.count({ query, utcMs: NOW_MS }, 50);
    assert.equal(estimate.isExact, false);
    assert.ok(estimate.count > 50);
  });

  test("pages by cursor in both directions give every device once", async () => {
    for (const isDescending of [false, true]) {
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await scratch.stores.inventory.list({ isDescending, utcMs: NOW_MS }, { cursor, limit: 77 });
        seen.push(...page.items.map(({ endpoint }) => endpoint));
        cursor = page.next ?? undefined;
      } while (cursor !== undefined);
      const all = FLEET.map(({ endpoint }) => endpoint).toSorted();
      assert.deepEqual(seen, isDescending ? all.toReversed() : all);
    }
  });

  test("an edit changes what it names, and is refused when someone else was quicker", async () => {
    const { inventory } = scratch.stores;
    const endpoint = "device-001";
    const first = await inventory.edit(endpoint, { tags: ["b", "a", "b"] });
    assert.deepEqual(first.tags, ["a", "b"]);
    const second = await inventory.edit(endpoint, { note: "by the pier" }, first.revision);
    assert.deepEqual([second.tags, second.note], [["a", "b"], "by the pier"]);
    await assert.rejects(inventory.edit(endpoint, { note: "late" }, first.revision), { code: "ETAG_MISMATCH" });
    await assert.rejects(inventory.edit("nobody", {}), { code: "UNKNOWN_DEVICE" });
    assert.deepEqual(
      await inventory.importLines([
        { endpoint, tags: [] },
        { endpoint: "nobody", tags: ["x"] },
      ]),
      ["nobody"],
    );
  });
});

describe("campaigns", () => {
  test("a campaign deals its devices out into waves: a query's first, then shares by turn", async () => {
    const { campaign } = await create({
      targets: { query: "presence==registered" },
      waves: [
        { name: "canaries", devices: { query: "tags==canary" } },
        { name: "some", devices: { percent: 25 } },
        { name: "rest", devices: "remaining" },
      ],
    });
    // Those of the image's model: the others are left out.
    const registered = FLEET.filter(({ presence, model }) => presence === "registered" && model === "Sensor");
    const canaries = registered.filter(({ tags }) => tags.includes("canary"));
    const { items } = await campaigns.targets(campaign.id, {}, { limit: 1000 });
    const inWave = (wave: number) => items.filter((target) => target.wave === wave).map(({ endpoint }) => endpoint);
    assert.deepEqual(inWave(0), canaries.map(({ endpoint }) => endpoint).toSorted());
    const some = Math.round(registered.length / 4);
    assert.deepEqual(
      campaign.waves.map(({ counts }) => counts.total),
      [canaries.length, some, registered.length - canaries.length - some],
    );
    assert.deepEqual([inWave(1).length, inWave(2).length], [some, registered.length - canaries.length - some]);
    const latest = (list: readonly number[]) => Math.max(...list);
    const keys = (wave: number) => items.filter((target) => target.wave === wave).map(({ orderKey }) => orderKey);
    assert.ok(latest(keys(1)) <= Math.min(...keys(2)));
  });

  test("a policy with windows comes back as it was", async () => {
    const { campaign, policy } = await create({
      windows: { apply: [{ cron: "0 2 * * 1-5", for: "2h" }] },
      timeZone: "Europe/Oslo",
    });
    const kept = await campaigns.get(campaign.id);
    assert.deepEqual(kept?.policy, policy);
    assert.ok(kept?.policy.apply !== undefined);
  });

  test("a started campaign orders as many devices as its cap allows, each order leaves once, and a turn's events are told", async (t) => {
    const targets = { query: "manufacturer==Example;model==Sensor;presence==registered;version=lt=3" };
    const { campaign } = await create({ targets, caps: { inFlight: 10 } });
    const b = await openSecondStores(scratch, { node: { name: "b" } });
    t.after(() => b.close());
    const heard: string[] = [];
    const stop = b.events.subscribe((event) => event.campaignId === campaign.id && heard.push(event.kind));
    await command(campaign.id, "submit");
    await command(campaign.id, "start");
    await engine.sweep(NOW_MS);
    const [mine, others] = await Promise.all([campaigns.takeOrders(NOW_MS, 100), b.campaigns.takeOrders(NOW_MS, 100)]);
    const own = [...mine, ...others].filter(({ target }) => target.campaignId === campaign.id);
    assert.equal(own.length, 10);
    assert.equal(new Set(own.map(({ target }) => target.endpoint)).size, 10);
    assert.equal(others.length, 0, "the devices are at the first server");
    for (const { target, order } of own) await campaigns.orderDone(target.campaignId, target.endpoint, order);
    assert.equal((await campaigns.get(campaign.id))?.campaign.waves[0]?.counts.active, 10);
    while (!heard.includes("campaign.note")) await new Promise((resolve) => setImmediate(resolve));
    stop();
    await command(campaign.id, "stop");
  });

  test("devices that report at once share transactions: the counts are the rows, and every sentence is an event", async () => {
    const targets = { query: "manufacturer==Example;model==Sensor;presence==registered;version=lt=3" };
    const { campaign } = await create({ targets, caps: { inFlight: 20 } });
    await command(campaign.id, "submit");
    await command(campaign.id, "start");
    await engine.sweep(NOW_MS);
    const orders = (await campaigns.takeOrders(NOW_MS, 100)).filter(({ target }) => target.campaignId === campaign.id);
    assert.equal(orders.length, 20);
    const tell = (endpoint: string, state: "transferring" | "downloaded" | "failed", sentence: string) =>
      engine.report(
        { campaignId: campaign.id, endpoint },
        { attempt: 1, state, failure: state === "failed" ? "updateFailed" : null, sentence },
        NOW_MS,
      );
    const from = await scratch.stores.events.newestId();
    await Promise.all(
      orders.flatMap(({ target: { endpoint } }, n) => [
        tell(endpoint, "transferring", "fetching"),
        n < 5 ? tell(endpoint, "failed", "broken") : tell(endpoint, "downloaded", "fetched"),
      ]),
    );
    const kept = await campaigns.get(campaign.id);
    const [counts] = kept?.campaign.waves.map((wave) => wave.counts) ?? [];
    assert.deepEqual([counts?.failed, counts?.active], [{ updateFailed: 5 }, 15]);
    const rowsOf = async (state: "failed" | "downloaded") =>
      (await campaigns.targets(campaign.id, { state }, { limit: 100 })).items.length;
    assert.deepEqual([await rowsOf("failed"), await rowsOf("downloaded")], [5, 15]);
    const told = await scratch.stores.events.after({ campaignId: campaign.id, afterId: from }, 1000);
    for (const { target } of orders) {
      const own = told.filter((event) => event.endpoint === target.endpoint).map(({ sentence }) => sentence);
      assert.equal(own[0], "fetching");
      assert.equal(own.length, 2, own.join(", "));
    }
    await command(campaign.id, "stop");
  });

  test("two servers that hear of a wave's last devices at once move it on by what is so", async (t) => {
    const b = await openSecondStores(scratch, { node: { name: "b" } });
    t.after(() => b.close());
    const engines = [engine, new CampaignEngine(b.campaigns, offsetAt)] as const;
    for (const [prefix, second, wave, next] of [
      ["good", "succeeded", "passed", "running"],
      ["bad", "failed", "failed", "waiting"],
    ] as const) {
      const endpoints = [1, 2, 3, 4].map((n) => `${prefix}-${n}`);
      scratch.stores.devices.queueSave(endpoints.map((endpoint) => exampleRegistration(endpoint)));
      await scratch.stores.devices.flush();
      const { campaign } = await create({
        targets: { query: `endpoint==${prefix}-*` },
        waves: [
          { name: "first", devices: { count: 2 }, successPercent: 100 },
          { name: "rest", devices: "remaining" },
        ],
        retry: {},
      });
      for (const word of ["submit", "start"] as const) await command(campaign.id, word);
      const { items } = await campaigns.targets(campaign.id, { wave: 0 }, { limit: 10 });
      const from = await scratch.stores.events.newestId();
      await Promise.all(
        items.map(({ endpoint }, i) => {
          const state = i === 0 ? "succeeded" : second;
          const news = {
            attempt: 1,
            state,
            failure: state === "failed" ? "updateFailed" : null,
            sentence: state,
          } as const;
          return engines[i % 2]?.report({ campaignId: campaign.id, endpoint }, news, NOW_MS);
        }),
      );
      const kept = (await campaigns.get(campaign.id))?.campaign;
      assert.deepEqual(
        kept?.waves.map(({ state }) => state),
        [wave, next],
      );
      assert.equal(kept?.state, next === "running" ? "running" : "paused");
      const told = await scratch.stores.events.after({ campaignId: campaign.id, afterId: from }, 100);
      const starts = told.filter(({ kind, facts }) => kind === "wave.transition" && facts["wave"] === 1);
      assert.equal(starts.length, next === "running" ? 1 : 0);
      await command(campaign.id, "stop");
    }
  });

  test("a turn that fails leaves nothing; a campaign that is due goes to one of two servers", async (t) => {
    const { campaign } = await create();
    await command(campaign.id, "submit");
    await command(campaign.id, "start");
    const before = await campaigns.get(campaign.id);
    await assert.rejects(
      campaigns.transact(campaign.id, async (transaction) => {
        await transaction.save({
          campaign: { ...transaction.campaign, sentence: "spoilt" },
          targets: [],
          joined: [],
          outputs: [],
        });
        throw new Error("changed its mind");
      }),
    );
    assert.deepEqual(await campaigns.get(campaign.id), before);
    const b = await openSecondStores(scratch, { node: { name: "b" } });
    t.after(() => b.close());
    await campaigns.transact(campaign.id, (transaction) =>
      transaction.save({
        campaign: { ...transaction.campaign, wakeAtMs: NOW_MS - 1 },
        targets: [],
        joined: [],
        outputs: [],
      }),
    );
    const taken = await Promise.all([campaigns.takeDue(NOW_MS, 100), b.campaigns.takeDue(NOW_MS, 100)]);
    assert.equal(taken.flat().filter((id) => id === campaign.id).length, 1);
    await assert.rejects(
      campaigns.transact("nobody", async () => {}),
      { code: "UNKNOWN_CAMPAIGN" },
    );
    await b.close();
  });

  for (const was of ["was not looked at before", "was put off before"])
    test(`a device that appears while a turn puts it off, and ${was}, is looked at at once`, async () => {
      const { campaign } = await create({ targets: { query: "endpoint==device-002", continuous: false } });
      await command(campaign.id, "submit");
      await command(campaign.id, "start");
      const putOff = (notBeforeMs: number | null, meanwhile: () => Promise<void>) =>
        campaigns.transact(campaign.id, async (transaction) => {
          const before = (await transaction.candidate("device-002"))?.target as Target;
          await meanwhile();
          const after = { ...before, state: "waiting" as const, isUnderWay: false, order: null, notBeforeMs };
          const idle = { ...transaction.campaign, wakeAtMs: null };
          await transaction.save({ campaign: idle, targets: [{ before, after }], joined: [], outputs: [] });
        });
      await putOff(was === "was put off before" ? NOW_MS + 1 : null, async () => {});
      let waking: Promise<void> | undefined;
      await putOff(NOW_MS + 86_400_000, async () => {
        waking = campaigns.wakeDevices(["device-002"], NOW_MS);
        await Promise.race([waking, somebodyWaits()]);
      });
      await waking;
      const isDue = (await campaigns.takeDue(NOW_MS, 100)).includes(campaign.id);
      const target = await campaigns.transact(
        campaign.id,
        async (transaction) => (await transaction.candidate("device-002"))?.target,
      );
      assert.deepEqual([target?.notBeforeMs, isDue], [null, true]);
      await command(campaign.id, "stop");
    });
});

/** Resolves when one transaction waits for another one's rows. */
async function somebodyWaits(): Promise<void> {
  const database = openDatabase(scratch.database.url);
  const waiting = sql`select from pg_locks where not granted`;
  while ((await waiting.execute(database.tables)).rows.length === 0);
  await database.close();
}
