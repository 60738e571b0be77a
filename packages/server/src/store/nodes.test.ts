import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import type { Event } from "@airlift/protocol/api/schemas";
import { sql } from "kysely";
import { openDatabase } from "./database.ts";
import type { Stores } from "./ports.ts";
import { exampleRegistration, openScratchStores, openSecondStores, type ScratchStores } from "./scratch-stores.ts";

let scratch: ScratchStores;
let a: Stores;
let b: Stores;
before(async () => {
  scratch = await openScratchStores({ node: { name: "a" } });
  a = scratch.stores;
  b = await openSecondStores(scratch, { node: { name: "b" } });
  await Promise.all([a.nodes.join(), b.nodes.join()]);
});
after(async () => {
  await b.close();
  await scratch.close();
});

/** Resolves with what `stores` hears until an event with this sentence. */
function heardUntil(stores: Stores, sentence: string): Promise<Event[]> {
  return new Promise((resolve) => {
    const heard: Event[] = [];
    const stop = stores.events.subscribe((event) => {
      heard.push(event);
      if (event.sentence !== sentence) return;
      stop();
      resolve(heard);
    });
  });
}

const remark = (stores: Stores, sentence: string) => stores.events.append({ kind: "update.note", sentence });

const order = async (endpoint: string) => {
  const name = { manufacturer: "Example", model: "Sensor", version: "1.0.0", hardware: [] };
  const { image } = await a.images.add(Readable.from([new Uint8Array(100)]), name);
  return { endpoint, imageId: image.id, by: "auto" as const, apply: true };
};

/** As if the server had been killed some time ago. */
async function kill(name: string): Promise<void> {
  const database = openDatabase(scratch.database.url);
  await sql`update nodes set lease_until = now() - interval '1 second' where id = ${name}`.execute(database.tables);
  await database.close();
}

describe("two servers on one database", () => {
  test("each hears the events of both, once, in the same order and without a gap", async () => {
    const heard = Promise.all([heardUntil(a, "the end"), heardUntil(b, "the end")]);
    const both = Array.from({ length: 300 }, (_, n) => [remark(a, `a ${n}`), remark(b, `b ${n}`)]).flat();
    await Promise.all(both);
    await remark(b, "the end");
    const [atA, atB] = await heard;
    const ids = atA.map(({ id }) => id);
    assert.equal(ids.length, 601);
    assert.deepEqual(
      ids,
      ids.toSorted((x, y) => x - y),
    );
    assert.deepEqual(atA, atB);
    assert.equal(new Set(ids).size, 601);
  });

  test("an outage of the database loses no event for those who listen", async () => {
    await remark(a, "before");
    const heard = heardUntil(b, "after");
    await scratch.database.pause();
    await scratch.database.resume();
    await remark(a, "after");
    assert.equal((await heard).at(-1)?.sentence, "after");
  });

  test("an update is its creator's, or that of the server where its device is; one that is driven elsewhere is refused", async () => {
    b.devices.queueSave([exampleRegistration("at-b")]);
    await b.devices.flush();
    const update = await a.updates.create(await order("at-b"));
    await assert.rejects(a.updates.transition(update.id, { sentence: "mine" }), { code: "UPDATE_TAKEN" });
    assert.deepEqual(
      (await b.updates.ordered()).map((one) => one.update.id),
      [update.id],
    );
    assert.equal(
      (await a.updates.unfinished()).some((one) => one.update.id === update.id),
      false,
    );
    await b.updates.transition(update.id, { state: "cancelled", sentence: "cancelled" });
  });

  test("a device that comes to another server takes its update along, and the first may write nothing more", async () => {
    const update = await a.updates.create(await order("moves"));
    await a.updates.transition(update.id, { state: "waiting", sentence: "waiting" });
    const taken = await b.updates.claimOf(["moves"]);
    assert.deepEqual(
      taken.map((one) => [one.update.id, one.update.state]),
      [[update.id, "waiting"]],
    );
    assert.deepEqual(await b.updates.claimOf(["moves"]), []);
    await assert.rejects(a.updates.transition(update.id, { state: "transferring", sentence: "go" }), {
      code: "UPDATE_TAKEN",
    });
    await b.updates.transition(update.id, { state: "cancelled", sentence: "cancelled" });
  });

  test("a registration that one server ends late does not undo the newer one at another", async () => {
    const old = exampleRegistration("late", { lastSeenAtMs: 1_000_000 });
    a.devices.queueSave([old]);
    await a.devices.flush();
    b.devices.queueSave([{ ...old, id: "r-new", lastSeenAtMs: 2_000_000 }]);
    await b.devices.flush();
    a.devices.queueSave([{ ...old, presence: "expired" }]);
    await a.devices.flush();
    assert.equal((await a.devices.get("late"))?.presence, "registered");
  });

  test("a device that another server has heard since is known to have left, also when its event was lost", async () => {
    const [old, stays] = [exampleRegistration("gone"), exampleRegistration("stays")];
    a.devices.queueSave([old, stays]);
    await a.devices.flush();
    assert.deepEqual(await a.devices.leftAmong([old, stays]), []);
    const newer = { ...old, id: "r-newer", lastSeenAtMs: old.lastSeenAtMs + 1 };
    b.devices.queueSave([newer]);
    await b.devices.flush();
    assert.deepEqual(await a.devices.leftAmong([old, stays]), ["gone"]);
    assert.deepEqual(await b.devices.leftAmong([newer]), []);
    // It has come back, which is not on record yet.
    assert.deepEqual(await a.devices.leftAmong([{ ...old, lastSeenAtMs: newer.lastSeenAtMs + 1 }]), []);
  });

  test("what a dead server drove is taken over by exactly one, once its lease has run out", async (t) => {
    const c = await openSecondStores(scratch, { node: { name: "c" } });
    t.after(() => c.close());
    await c.nodes.join();
    const wanted = await order("");
    const updates = await Promise.all(
      Array.from({ length: 50 }, (_, n) => c.updates.create({ ...wanted, endpoint: `orphan-${n}` })),
    );
    assert.deepEqual(await a.updates.claimFree(100), []);
    await kill("c");
    const claims = await Promise.all([a.updates.claimFree(30), b.updates.claimFree(30), a.updates.claimFree(30)]);
    const rest = await b.updates.claimFree(100);
    const taken = [...claims.flat(), ...rest].map((one) => one.update.id);
    assert.deepEqual(taken.toSorted(), updates.map(({ id }) => id).toSorted());
    await assert.rejects(c.updates.transition(updates[0]?.id ?? "", { sentence: "still here" }), {
      code: "UPDATE_TAKEN",
    });
  });

  test("a server that is started again under its name has its own at once, and the one before it is told", async (t) => {
    let replaced = 0;
    const first = await openSecondStores(scratch, { node: { name: "again", onReplaced: () => (replaced += 1) } });
    t.after(() => first.close());
    await first.nodes.join();
    const update = await first.updates.create(await order("kept"));
    const second = await openSecondStores(scratch, { node: { name: "again" } });
    t.after(() => second.close());
    await second.nodes.join();
    assert.deepEqual(
      (await second.updates.unfinished()).map((one) => one.update.id),
      [update.id],
    );
    await assert.rejects(first.nodes.renew(), { code: "NODE_REPLACED" });
    assert.deepEqual([replaced, first.nodes.holdsLease, second.nodes.holdsLease], [1, false, true]);
    await Promise.all([first.close(), second.close()]);
    assert.deepEqual(
      (await a.nodes.list())
        .filter(({ isAlive }) => isAlive)
        .map(({ id }) => id)
        .toSorted(),
      ["a", "b"],
    );
  });
});
