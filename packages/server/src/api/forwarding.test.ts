import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { after, before, beforeEach, test } from "node:test";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import type { Stores } from "../store/ports.ts";
import {
  exampleRegistration,
  openScratchStores,
  openSecondStores,
  type ScratchStores,
} from "../store/scratch-stores.ts";
import { createApi } from "./create-api.ts";
import { FORWARDED_TO } from "./forwarding.ts";
import { listen } from "./listen.ts";
import type { OperationCommands } from "./ports.ts";

interface Server {
  readonly stores: Stores;
  readonly api: FastifyInstance;
  readonly url: string;
  /** What it did itself. */
  readonly done: string[];
}

let scratch: ScratchStores;
let a: Server;
let b: Server;
let token: string;
let viewer: string;

/** A server at which the devices of this list are registered. */
async function startServer(stores: Stores, here: readonly string[]): Promise<Server> {
  await stores.nodes.join();
  const done: string[] = [];
  const driven = new Set<string>();
  const note = (what: string, { endpoint }: { endpoint: string }) => {
    if (!here.includes(endpoint)) throw new UsageError("DEVICE_GONE", `${endpoint} is not registered at present`);
    done.push(`${what} ${endpoint}`);
  };
  const operations = {
    read: async (target, paths) => {
      note(`read ${paths}`, target);
      return { code: "2.05", format: 112, values: [] };
    },
    execute: async (target, { path }) => {
      note(`execute ${path}`, target);
      return { code: "2.04", created: null };
    },
    contentOf: async (endpoint, { operation }) => {
      done.push(`keep ${operation} ${endpoint}`);
      return { operation, path: "/3/0" };
    },
    objects: (endpoint: string) => {
      note("objects", { endpoint });
      return [];
    },
  } satisfies Partial<OperationCommands> as unknown as OperationCommands;
  const api = await createApi({
    config: { httpHost: "127.0.0.1", publicHost: null, maxImageBytes: 1000, noAuth: false },
    stores,
    operations,
    commands: {
      isRunning: (id) => driven.has(id),
      start: async () => {},
      apply: async () => {},
      cancel: async (id) => {
        await stores.updates.transition(id, { state: "cancelled", sentence: "cancelled" });
        done.push("cancel");
      },
      onFetched: () => {},
    },
    fleet: {
      isHere: (endpoint) => here.includes(endpoint),
      asleepSinceMs: () => undefined,
      reachabilityOf: () => ({ awake: "unknown", awakeUntil: null, nextExpectedAt: null, reachability: "" }),
      queue: { submit: async () => "1", cancel: async () => {}, list: async () => [] },
    },
    log: pino({ level: "silent" }),
  });
  const url = await listen(api, "127.0.0.1", 0);
  await stores.nodes.announce(url);
  stores.devices.queueSave(here.map((endpoint) => exampleRegistration(endpoint)));
  await stores.devices.flush();
  return { stores, api, url, done };
}

before(async () => {
  scratch = await openScratchStores({ node: { name: "a" } });
  a = await startServer(scratch.stores, ["near"]);
  b = await startServer(await openSecondStores(scratch, { node: { name: "b/0.0.0.0:5683" } }), ["far", "näher"]);
  ({ token } = await a.stores.tokens.create({ role: "operator", name: "ann" }));
  viewer = (await a.stores.tokens.create({ role: "viewer", name: "eve" })).token;
});
beforeEach(async () => {
  await b.stores.nodes.announce(b.url);
  a.done.length = 0;
  b.done.length = 0;
});
after(async () => {
  await Promise.all([a.api.close(), b.api.close()]);
  await b.stores.close();
  await scratch.close();
});

async function ask(url: string, path: string, more: RequestInit & { as?: string } = {}) {
  const headers = { authorization: `Bearer ${more.as ?? token}`, ...(more.headers as Record<string, string>) };
  const answer = await fetch(`${url}/api/v1/${path}`, { ...more, headers });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

const execution = (key?: string) => ({
  method: "POST",
  body: JSON.stringify({ path: "/3/0/4" }),
  headers: { "content-type": "application/json", ...(key !== undefined && { "idempotency-key": key }) },
});

test("what is asked of a device goes to the server that has it, and its answer comes back", async () => {
  const read = await ask(a.url, "devices/far/resources/3/0?format=112&timeoutS=20");
  assert.deepEqual([read.status, read.body["code"]], [200, "2.05"]);
  assert.equal((await ask(a.url, "devices/far/objects")).status, 200);
  assert.equal((await ask(a.url, `devices/${encodeURIComponent("näher")}/resources/3/0`)).status, 200);
  assert.deepEqual(b.done, ["read 3/0 far", "objects far", "read 3/0 näher"]);
  assert.equal((await ask(a.url, "devices/near/resources/3/0")).status, 200);
  assert.deepEqual(a.done, ["read 3/0 near"]);
});

test("it goes there under the name of its sender, and a repeated one is answered and not done again", async () => {
  const refused = await ask(a.url, "devices/far/execute", { ...execution(), as: viewer });
  assert.deepEqual([refused.status, refused.body["code"]], [403, "ROLE_REFUSED"]);
  assert.deepEqual([(await ask(b.url, "devices/far/objects", { as: "airlift_no" })).status], [401]);
  const answers = [
    await ask(a.url, "devices/far/execute", execution("k1")),
    await ask(a.url, "devices/far/execute", execution("k1")),
  ];
  assert.deepEqual(
    answers.map(({ status, body }) => [status, body["code"]]),
    [
      [200, "2.04"],
      [200, "2.04"],
    ],
  );
  assert.deepEqual(b.done, ["execute /3/0/4 far"]);
  // Two lines of the server that was asked and one of the server that did it, each when its answer has left.
  for (let lines = 0; lines < 3; ) {
    await Promise.all([a.stores.audit.flush(), b.stores.audit.flush()]);
    const { items } = await b.stores.audit.list({ limit: 10 });
    lines = items.filter(({ who, action }) => who === "ann" && action === "POST /api/v1/devices/far/execute").length;
  }
});

test("nothing goes on a second time, and an address that leads to another server is named", async () => {
  const aim = (node: string) => ({ headers: { [FORWARDED_TO]: encodeURIComponent(node) } });
  const gone = await ask(a.url, "devices/far/resources/3/0", aim("a"));
  assert.deepEqual([gone.status, gone.body["code"]], [409, "DEVICE_GONE"]);
  await b.stores.nodes.announce(a.url);
  const astray = await ask(a.url, "devices/far/resources/3/0");
  assert.deepEqual([astray.status, astray.body["code"]], [421, "NODE_MISDIRECTED"]);
  assert.deepEqual([...a.done, ...b.done], []);
});

test("a server that cannot be reached is told from one that breaks off, which may have asked the device", async (t) => {
  const breaking = createServer((request) => request.socket.destroy()).listen(0, "127.0.0.1");
  t.after(() => breaking.close());
  await new Promise((resolve) => breaking.once("listening", resolve));
  await b.stores.nodes.announce(`http://127.0.0.1:${(breaking.address() as AddressInfo).port}`);
  const lost = await ask(a.url, "devices/far/execute", execution());
  assert.deepEqual([lost.status, lost.body["code"]], [504, "NODE_LOST"]);
  breaking.close();
  await new Promise((resolve) => breaking.once("close", resolve));
  const unreachable = await ask(a.url, "devices/far/execute", execution());
  assert.deepEqual([unreachable.status, unreachable.body["code"]], [503, "NODE_UNREACHABLE"]);
  assert.match(`${unreachable.body["detail"]}`, /nothing was asked/);
});

test("what may wait goes to the server that has its device, and is put on record here when that one is gone", async () => {
  const path = "devices/far/resources/3/0?queue=true";
  assert.equal((await ask(a.url, path)).status, 202);
  assert.deepEqual([a.done, b.done], [[], ["keep read far"]]);
  const gone = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => gone.once("listening", resolve));
  const { port } = gone.address() as AddressInfo;
  await new Promise((resolve) => gone.close(resolve));
  await b.stores.nodes.announce(`http://127.0.0.1:${port}`);
  assert.equal((await ask(a.url, path)).status, 202);
  assert.deepEqual(a.done, ["keep read far"]);
});

test("whoever listens to a device hears at any server what only the one tells that has it, and each event once", async () => {
  const listening = new AbortController();
  const headers = { authorization: `Bearer ${token}` };
  const feed = await fetch(`${a.url}/api/v1/events?endpoint=far`, { headers, signal: listening.signal });
  const live = { kind: "device.value", endpoint: "far", updateId: null, campaignId: null, facts: {} } as const;
  let heard = "";
  // What is told before the other server is listened to is heard by nobody: it tells until something is heard.
  const telling = (async () => {
    for (let count = 0; !heard.includes("live") && !listening.signal.aborted; count += 1) {
      b.stores.events.publish({ ...live, sentence: `live ${count}` });
      await b.stores.ping();
    }
    await b.stores.events.append({ ...live, kind: "update.note", sentence: "stored" });
  })();
  for await (const part of feed.body ?? []) {
    heard += Buffer.from(part).toString();
    if (heard.includes(`"stored"`)) break;
  }
  listening.abort();
  await telling;
  const lives = heard.match(/"sentence":"live \d+"/g) ?? [];
  assert.deepEqual(lives, [...new Set(lives)]);
  assert.equal(heard.match(/"sentence":"stored"/g)?.length, 1);
});

test("an update is commanded at the server that drives it", async () => {
  const name = { manufacturer: "Example", model: "Sensor", version: "1.0.0", hardware: [] };
  const { image } = await a.stores.images.add(Readable.from([new Uint8Array(100)]), name);
  const update = await a.stores.updates.create({ endpoint: "far", imageId: image.id, by: "auto", apply: true });
  const cancelled = await ask(a.url, `updates/${update.id}/cancel`, { method: "POST" });
  assert.deepEqual([cancelled.status, cancelled.body["state"]], [200, "cancelled"]);
  assert.deepEqual([a.done, b.done], [[], ["cancel"]]);
});
