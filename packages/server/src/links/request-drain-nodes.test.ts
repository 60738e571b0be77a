/** The queue of requests with several servers on one database: each is sent by the server that has the device, and by no other. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CODE } from "@airlift/protocol/coap/codes";
import { type CoapResponse, createResponse } from "@airlift/protocol/coap/exchange";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { sql } from "kysely";
import { pino } from "pino";
import type { RequestContent } from "../fleet/queued-request.ts";
import { openDatabase } from "../store/database.ts";
import type { Stores } from "../store/ports.ts";
import {
  exampleRegistration,
  openScratchStores,
  openSecondStores,
  type ScratchStores,
} from "../store/scratch-stores.ts";
import { RequestDrain } from "./request-drain.ts";

let scratch: ScratchStores;
let a: Server;
let b: Server;
before(async () => {
  scratch = await openScratchStores({ node: { name: "a" } });
  a = await startServer(scratch.stores);
  b = await startServer(await openSecondStores(scratch, { node: { name: "b" } }));
});
after(async () => {
  await a.close();
  await b.close();
  await b.stores.close();
  await scratch.close();
});

const reboot: RequestContent = { operation: "execute", path: "/3/0/4" };
const readModel: RequestContent = { operation: "read", path: "/3/0/1" };
const write: RequestContent = { operation: "write", path: "/1/0/1", payload: "NjA=" };

interface Server {
  readonly stores: Stores;
  readonly drain: RequestDrain;
  /** "endpoint /path", in the order in which they went out. */
  readonly sent: string[];
  setAwake(endpoint: string): void;
  close(): Promise<void>;
}

const answered = async (): Promise<CoapResponse> => createResponse(CODE.changed);

async function startServer(stores: Stores, answer = answered, store = stores.requests): Promise<Server> {
  await stores.nodes.join();
  const sent: string[] = [];
  const awake = new Set<string>();
  const drain = new RequestDrain({
    store,
    requests: {
      request: ({ endpoint }, { uriPath }) => {
        sent.push(`${endpoint} /${uriPath.join("/")}`);
        return answer();
      },
    },
    log: pino({ level: "silent" }),
    registrationOf: (endpoint) => exampleRegistration(endpoint, { queueMode: true }),
    isReachable: (endpoint) => awake.has(endpoint),
    holdsLease: () => stores.nodes.holdsLease,
  });
  await drain.restore();
  const setAwake = (endpoint: string) => {
    awake.add(endpoint);
    drain.onReachable(endpoint, true);
  };
  return { stores, drain, sent, setAwake, close: () => drain.close() };
}

/** Registered there, and on record so. */
async function register(endpoint: string, at: Server): Promise<void> {
  at.stores.devices.queueSave([exampleRegistration(endpoint, { queueMode: true, lastSeenAtMs: Date.now() })]);
  await at.stores.devices.flush();
}

/** The states of a device's requests once `isDone` says so; each look asks the database anew. */
async function statesWhen(endpoint: string, isDone: (states: readonly string[]) => boolean): Promise<string[]> {
  for (;;) {
    const records = await scratch.stores.requests.list(endpoint);
    const states = records.map(({ state, outcome }) => outcome ?? state);
    if (isDone(states)) return states;
  }
}

/** Once nothing waits in the memory of a server; each look asks the database something. */
async function emptied({ stores, drain }: Server): Promise<void> {
  while (drain.size > 0) await stores.ping();
}

const areAnswered = (states: readonly string[]) => states.every((state) => state === "answered");

/** As if the server had been killed some time ago. */
async function kill(name: string): Promise<void> {
  const database = openDatabase(scratch.database.url);
  await sql`update nodes set lease_until = now() - interval '1 second' where id = ${name}`.execute(database.tables);
  await database.close();
}

test("a request that one server took is sent by the one that has the device, which is woken for it", async () => {
  await register("at-b", b);
  b.setAwake("at-b");
  await a.drain.submit("at-b", reboot);
  await statesWhen("at-b", areAnswered);
  assert.deepEqual([a.sent, b.sent], [[], ["at-b /3/0/4"]]);
});

test("a request is taken back at any server, and what is taken back is not sent", async () => {
  await register("sleeper", b);
  const id = await a.drain.submit("sleeper", reboot);
  await b.drain.claim();
  assert.equal(b.drain.size, 1);
  await a.drain.cancel("sleeper", id);
  await assert.rejects(a.drain.cancel("sleeper", id), { code: "UNKNOWN_REQUEST" });
  await emptied(b);
  b.setAwake("sleeper");
  await b.drain.submit("sleeper", readModel);
  assert.deepEqual(await statesWhen("sleeper", ([newest]) => newest === "answered"), ["answered", "cancelled"]);
  assert.deepEqual(b.sent.slice(-1), ["sleeper /3/0/1"]);
  await emptied(b);
});

test("a read that was taken back at another server stands for no later one", async () => {
  await register("again", a);
  const first = await a.drain.submit("again", readModel);
  assert.equal(await a.drain.submit("again", readModel), first);
  await b.drain.cancel("again", first);
  const second = await a.drain.submit("again", readModel);
  assert.notEqual(second, first);
  a.setAwake("again");
  assert.deepEqual(await statesWhen("again", ([newest]) => newest === "answered"), ["answered", "cancelled"]);
  assert.deepEqual(a.sent.splice(0), ["again /3/0/1"]);
  await emptied(a);
});

test("a device that moves takes along what waits, in its order, and the server that it left sends nothing", async () => {
  await register("moves", a);
  await a.drain.submit("moves", write);
  await a.drain.submit("moves", reboot);
  await register("moves", b);
  await b.drain.submit("moves", readModel);
  await b.drain.onArrived(["moves"]);
  // It has not heard yet that the device has left.
  a.setAwake("moves");
  b.setAwake("moves");
  await statesWhen("moves", areAnswered);
  await emptied(a);
  assert.deepEqual(a.sent, []);
  assert.deepEqual(b.sent.slice(-3), ["moves /1/0/1", "moves /3/0/4", "moves /3/0/1"]);
});

test("what a server lets go of, because the device has left, is taken up by the other one", async () => {
  await register("left", a);
  await a.drain.submit("left", write);
  await register("left", b);
  a.drain.onLeft("left");
  b.setAwake("left");
  await statesWhen("left", areAnswered);
  await emptied(a);
  assert.deepEqual(b.sent.slice(-1), ["left /1/0/1"]);
});

test("what a dead server had is taken over once: an Execute that may have gone out is not sent again, and the dead may not write", async () => {
  const c = await startServer(
    await openSecondStores(scratch, { node: { name: "c" } }),
    () => new Promise<CoapResponse>(() => {}),
  );
  const endpoints = Array.from({ length: 20 }, (_, n) => `orphan-${n}`);
  for (const endpoint of [...endpoints, "in flight"]) {
    await register(endpoint, c);
    await c.drain.submit(endpoint, reboot);
  }
  c.setAwake("in flight");
  await statesWhen("in flight", ([state]) => state === "sending");
  await Promise.all([a.drain.claim(), b.drain.claim()]);
  assert.equal(a.drain.size + b.drain.size, 0, "while it lives, its requests are its own");
  await kill("c");
  const before = [...a.sent, ...b.sent].length;
  await Promise.all([a.drain.claim(), b.drain.claim(), a.drain.claim()]);
  await statesWhen("in flight", ([state]) => state === "unknown");
  // The device comes to one of them, and takes along what the other one has taken over.
  for (const endpoint of endpoints) await register(endpoint, b);
  await b.drain.onArrived(endpoints);
  for (const server of [a, b, c]) for (const endpoint of [...endpoints, "in flight"]) server.setAwake(endpoint);
  for (const endpoint of endpoints) await statesWhen(endpoint, areAnswered);
  const sent = [...a.sent, ...b.sent].slice(before);
  assert.deepEqual(
    [...a.sent, ...b.sent].filter((one) => one.startsWith("in flight")),
    [],
  );
  assert.equal(sent.length, endpoints.length);
  assert.deepEqual(c.sent, ["in flight /3/0/4"]);
  await c.close();
  await c.stores.close();
});

test("what was claimed when the database went away, before it could say so, is sent all the same", async () => {
  const stores = await openSecondStores(scratch, { node: { name: "d" } });
  let isCut = false;
  const requests = new Proxy(stores.requests, {
    get(store, name) {
      if (name !== "claimOf") return Reflect.get(store, name).bind(store);
      return async (endpoints: readonly string[]) => {
        const claimed = await store.claimOf(endpoints);
        if (isCut) return claimed;
        isCut = true;
        throw new EnvironmentError("DATABASE_AWAY", "the answer was lost");
      };
    },
  });
  const d = await startServer(stores, answered, requests);
  await register("cut", b);
  await b.drain.submit("cut", readModel);
  await register("cut", d);
  await assert.rejects(d.drain.onArrived(["cut"]), { code: "DATABASE_AWAY" });
  d.setAwake("cut");
  await d.drain.onArrived(["cut"]);
  while (d.sent.length === 0) await d.drain.claim();
  await statesWhen("cut", areAnswered);
  assert.deepEqual(d.sent, ["cut /3/0/1"]);
  await d.close();
  await stores.close();
});

test("of one device so many requests may wait, at whichever servers they were asked for", async () => {
  await register("full", b);
  for (let n = 0; n < 64; n += 1) await (n % 2 === 0 ? a : b).drain.submit("full", reboot);
  await assert.rejects(a.drain.submit("full", reboot), { code: "QUEUE_FULL" });
  await assert.rejects(b.drain.submit("full", reboot), { code: "QUEUE_FULL" });
});
