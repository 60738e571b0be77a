/** Which of several servers has a device: its home while that lives, and one that stands in for it while it does not. */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { sql } from "kysely";
import { type Database, openDatabase } from "./database.ts";
import type { KeptRegistration, Stores } from "./ports.ts";
import { exampleRegistration, openScratchStores, openSecondStores, type ScratchStores } from "./scratch-stores.ts";

let scratch: ScratchStores;
let a: Stores;
let b: Stores;
let c: Stores;
let database: Database;
before(async () => {
  scratch = await openScratchStores({ node: { name: "a" } });
  a = scratch.stores;
  b = await openSecondStores(scratch, { node: { name: "b" } });
  c = await openSecondStores(scratch, { node: { name: "c" } });
  database = openDatabase(scratch.database.url);
});
beforeEach(async () => {
  await sql`truncate devices`.execute(database.tables);
  for (const { nodes } of [a, b, c]) await nodes.join();
});
after(async () => {
  await database.close();
  await c.close();
  await b.close();
  await scratch.close();
});

/** As if it had been killed, or paused, some time ago; `renew` goes on. */
async function stop({ nodes }: Stores): Promise<void> {
  await sql`update nodes set lease_until = now() - interval '1 second' where id = ${nodes.id}`.execute(database.tables);
}

async function save({ devices }: Stores, ...registrations: readonly KeptRegistration[]): Promise<void> {
  devices.queueSave(registrations);
  await devices.flush();
}

/** "endpoint holder home" of all devices. */
async function places(): Promise<string[]> {
  const { rows } = await sql<{ place: string }>`
    select concat_ws(' ', endpoint, node_id, home_id) as place from devices order by endpoint`.execute(database.tables);
  return rows.map(({ place }) => place);
}

/** A device whose home is `a`, and that `b` has as a guest. */
async function guestOfB(endpoint = "pump"): Promise<KeptRegistration> {
  await save(a, exampleRegistration(endpoint));
  await stop(a);
  const [guest] = await b.devices.claim(1);
  assert.deepEqual([guest?.endpoint, guest?.home], [endpoint, "a"]);
  assert.ok(guest);
  return guest;
}

test("a server that starts again has its devices back, and who stood in for it is told", async () => {
  const guest = await guestOfB();
  assert.deepEqual(await b.devices.leftAmong([guest]), []);
  await a.nodes.join();
  const [back] = await a.devices.loadRegistrations();
  assert.deepEqual([back?.endpoint, back?.home], ["pump", undefined]);
  assert.deepEqual(await b.devices.leftAmong([guest]), ["pump"]);
  assert.deepEqual(await places(), ["pump a a"]);
});

test("one that was only out of breath has them back too, with its next claim", async () => {
  await guestOfB();
  await a.nodes.renew();
  assert.deepEqual(await b.devices.claim(10), []);
  const [back] = await a.devices.claim(10);
  assert.deepEqual([back?.endpoint, back?.home], ["pump", undefined]);
});

test("a device that has spoken to the other server meanwhile is at home there", async () => {
  const { home: _, ...settled } = await guestOfB();
  await save(b, settled);
  await a.nodes.renew();
  assert.deepEqual(await a.devices.claim(10), []);
  assert.deepEqual(await a.devices.leftAmong([exampleRegistration("pump")]), ["pump"]);
  assert.deepEqual(await b.devices.leftAmong([settled]), []);
  assert.deepEqual(await places(), ["pump b b"]);
});

test("what a server heard before it was out of breath and says late does not undo what the device said since", async () => {
  const { home: _, ...guest } = await guestOfB();
  const { lastSeenAtMs } = guest;
  await save(b, { ...guest, lastSeenAtMs: lastSeenAtMs + 2 });
  await a.nodes.renew();
  await save(a, { ...guest, lastSeenAtMs: lastSeenAtMs + 1 });
  assert.deepEqual(await places(), ["pump b b"]);
  await save(a, { ...guest, lastSeenAtMs: lastSeenAtMs + 3 });
  assert.deepEqual(await places(), ["pump a a"]);
});

test("a guest whose home lives is nobody else's when its host ends as well; while its home is gone it is anybody's", async () => {
  await save(a, exampleRegistration("pump"));
  await stop(a);
  assert.equal((await c.devices.claim(10)).length, 1);
  await stop(c);
  assert.deepEqual((await b.devices.claim(10))[0]?.home, "a");
  await stop(b);
  await Promise.all([a.nodes.renew(), c.nodes.renew()]);
  assert.deepEqual(await c.devices.claim(10), []);
  assert.equal((await a.devices.claim(10)).length, 1);
});

test("a host that returns first is no home: the device stays with who has it", async () => {
  await guestOfB();
  await stop(b);
  assert.equal((await c.devices.claim(10)).length, 1);
  await b.nodes.renew();
  assert.deepEqual(await b.devices.claim(10), []);
  assert.deepEqual(await places(), ["pump c a"]);
});

test("a guest that expires keeps its home, and one that is home again does not end with its host's clock", async () => {
  const guest = await guestOfB();
  await save(b, { ...guest, presence: "expired" });
  assert.deepEqual([(await a.devices.get("pump"))?.presence, await places()], ["expired", ["pump b a"]]);
  const other = await guestOfB("other");
  await a.nodes.renew();
  await a.devices.claim(10);
  await save(b, { ...other, presence: "expired" });
  assert.equal((await a.devices.get("other"))?.presence, "registered");
  assert.deepEqual(await places(), ["other a a", "pump b a"]);
});

test("a device that says goodbye to its home is not kept by its host", async () => {
  const guest = await guestOfB();
  await a.nodes.renew();
  await save(a, { ...exampleRegistration("pump"), presence: "deregistered" });
  assert.deepEqual(await places(), ["pump a a"]);
  assert.deepEqual(await b.devices.leftAmong([guest]), ["pump"]);
});

test("a home and others that claim at once get each device once, and the home all of its own", async () => {
  const endpoints = Array.from({ length: 60 }, (_, n) => `device-${n}`);
  await save(a, ...endpoints.map((endpoint) => exampleRegistration(endpoint)));
  await stop(a);
  const claimed = await Promise.all([b.devices.claim(25), c.devices.claim(25), b.devices.claim(25)]);
  const rest = await c.devices.claim(100);
  const taken = [...claimed.flat(), ...rest].map(({ endpoint }) => endpoint);
  assert.deepEqual(taken.toSorted(), endpoints.toSorted());
  await a.nodes.renew();
  const [some, none] = await Promise.all([a.devices.claim(40), b.devices.claim(100)]);
  assert.deepEqual([some.length, none.length], [40, 0]);
  assert.equal((await a.devices.claim(100)).length, 20);
});

test("whose home has a name that never comes back stay where they are", async () => {
  await guestOfB();
  await b.nodes.join();
  assert.equal((await b.devices.loadRegistrations())[0]?.home, "a");
  await stop(b);
  assert.equal((await c.devices.claim(10))[0]?.home, "a");
});
