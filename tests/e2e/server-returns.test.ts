/** A server that comes back has its devices again, and what was under way for them goes on, though they have not said a word. */
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import type { Update } from "@airlift/protocol/api/schemas";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { uintOption, uriPath } from "@airlift/protocol/coap/options";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { openCoapUdp } from "@airlift/runtime/coap-udp";
import { udpPeer } from "@airlift/runtime/udp";
import { DEFAULT_UPDATE_POLICY } from "@airlift/server/delivery/policy";
import { Lwm2mServer } from "@airlift/server/links/lwm2m-server";
import { openDatabase } from "@airlift/server/store/database";
import type { Stores } from "@airlift/server/store/ports";
import { openScratchStores, openSecondStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import { sql } from "kysely";
import { pino } from "pino";

const HOST = "127.0.0.1";
/** Devices are asked so often that no test waits for it. */
const POLICY = { ...DEFAULT_UPDATE_POLICY, pollIntervalMs: 100, retryDelayMs: 100 };

let scratch: ScratchStores;
let second: Stores;
let imageId: string;
before(async () => {
  scratch = await openScratchStores({ node: { name: "a" } });
  second = await openSecondStores(scratch, { node: { name: "b" } });
  const name = { manufacturer: "Example", model: "Pump", version: "1.1.0", hardware: [] };
  imageId = (await scratch.stores.images.add(Readable.from([new Uint8Array(1_000)]), name)).image.id;
});
after(async () => {
  await second.close();
  await scratch.close();
});

const openServer = (stores: Stores, port = 0): Promise<Lwm2mServer> =>
  Lwm2mServer.open({
    stores,
    log: pino({ level: "silent" }),
    udp: { host: HOST, port },
    publicHost: null,
    httpPort: () => 0,
    policy: POLICY,
    lookMs: 100,
  });

/** Ends a server without a word to the others, and some time ago. */
async function kill(server: Lwm2mServer, stores: Stores): Promise<void> {
  await stores.devices.flush();
  await server.close();
  const database = openDatabase(scratch.database.url);
  await sql`update nodes set lease_until = now() - interval '1 second' where id = ${stores.nodes.id}`.execute(
    database.tables,
  );
  await database.close();
}

/** A device that fetches an image when it is told so, and installs it at once; it says nothing by itself but that it registers. */
async function openDevice(endpoint: string, { answers }: { readonly answers: "its server" | "anybody" }) {
  const coap = await openCoapUdp({ host: HOST });
  const values = new Map([
    ["/3/0/3", "1.0.0"],
    ["/3/0/9", "50"],
    ["/5/0/3", "0"],
    ["/5/0/5", "0"],
    ["/5/0/9", "0"],
  ]);
  const heard: string[] = [];
  let known = "";
  let isObserved = false;
  coap.serve(({ code, options }, { key }, offer) => {
    if (answers === "its server" && key !== known) return createResponse(CODE.unauthorized);
    const path = `/${uriPath(options).join("/")}`;
    if (offer !== undefined && path === "/3/0/9") {
      offer.accept();
      isObserved = true;
    }
    if (code === METHOD.get) {
      const value = values.get(path);
      if (value === undefined) return createResponse(CODE.notFound);
      return createResponse(CODE.content, encodeUtf8(value), [uintOption(12, 0)]);
    }
    heard.push(path);
    if (path === "/5/0/1") values.set("/5/0/3", "1");
    if (path === "/5/0/2") for (const [place, value] of INSTALLED) values.set(place, value);
    return createResponse(CODE.changed);
  });
  return {
    coap,
    heard,
    register: async (server: Lwm2mServer): Promise<void> => {
      const peer = udpPeer(HOST, server.address.port);
      known = peer.key;
      const payload = encodeUtf8("</3/0>,</5/0>");
      const options = [uintOption(12, 40)];
      const query = `ep=${endpoint}&lt=86400&lwm2m=1.1&b=U`;
      const answer = await coap.request(peer, createRequest("post", `/rd?${query}`, { payload, options }));
      assert.equal(answer.code, CODE.created);
    },
    isObserved: () => isObserved,
    forgets: () => {
      isObserved = false;
    },
    hasDownloaded: () => void values.set("/5/0/3", "2"),
    count: (path: string) => heard.filter((one) => one === path).length,
  };
}
const INSTALLED = [
  ["/3/0/3", "1.1.0"],
  ["/5/0/3", "0"],
  ["/5/0/5", "1"],
] as const;

/** The update once `isIt` says so. */
async function updateWhen(id: string, isIt: (update: Update) => boolean): Promise<Update> {
  for (;;) {
    const update = await second.updates.get(id);
    if (update !== undefined && isIt(update)) return update;
  }
}

test("an update under way, with what waits and is observed, goes on when the server that its device knows is back, without the device's next word, once", async (t) => {
  const device = await openDevice("faithful", { answers: "its server" });
  t.after(() => device.coap.close());
  const a = await openServer(scratch.stores);
  const { port } = a.address;
  await device.register(a);
  const update = await scratch.stores.updates.create({ endpoint: "faithful", imageId, by: "pull", apply: true });
  await a.engine.start(update);
  await updateWhen(update.id, ({ state }) => state === "transferring");
  await a.operations.observe({ endpoint: "faithful", timeoutMs: 60_000 }, ["/3/0/9"]);
  await kill(a, scratch.stores);
  device.forgets();

  const b = await openServer(second);
  t.after(() => b.close());
  assert.equal(b.isHere("faithful"), true);
  const { sentence } = await updateWhen(update.id, (one) => one.sentence.includes("NOT_ITS_SERVER"));
  assert.match(sentence, /it knows the server a, which is away, and goes on when that one is back/);
  await assert.rejects(b.operations.read({ endpoint: "faithful", timeoutMs: 60_000 }, ["/3/0/3"]), {
    message: /^the device knows the server a, which is away, and refuses this one \(4\.01\)/,
  });
  await b.queue.submit("faithful", { operation: "read", path: "/3/0/3" });
  await b.queue.submit("faithful", { operation: "execute", path: "/3/0/4" });
  device.hasDownloaded();

  const third = await openSecondStores(scratch, { node: { name: "a" } });
  const again = await openServer(third, port);
  t.after(() => again.close().then(() => third.close()));
  const ended = await updateWhen(update.id, ({ finishedAt }) => finishedAt !== null);
  assert.equal(ended.state, "succeeded");
  while ((await second.requests.list("faithful")).some(({ state }) => state !== "finished"));
  while (!device.isObserved()) await second.ping();
  assert.deepEqual(device.heard.toSorted(), ["/3/0/4", "/5/0/1", "/5/0/2"]);
  const requests = await second.requests.list("faithful");
  assert.deepEqual(
    requests.map(({ outcome, answer }) => [outcome, answer?.code]),
    [
      ["answered", "2.04"],
      ["answered", "2.05"],
    ],
  );
  while (b.isHere("faithful")) await second.ping();
  assert.equal(b.engine.runningCount, 0);
  assert.equal((await second.nodes.holderOf("faithful"))?.id, "a");
});

test("a device that does what the other server asks of it stays there", async (t) => {
  const device = await openDevice("open", { answers: "anybody" });
  t.after(() => device.coap.close());
  const third = await openSecondStores(scratch, { node: { name: "c" } });
  const c = await openServer(third);
  const { port } = c.address;
  await device.register(c);
  await kill(c, third);

  const b = await openServer(second);
  t.after(() => b.close());
  const update = await second.updates.create({ endpoint: "open", imageId, by: "pull", apply: true });
  await b.engine.start(update);
  await updateWhen(update.id, ({ state }) => state === "transferring");
  await second.devices.flush();
  const fourth = await openSecondStores(scratch, { node: { name: "c" } });
  const again = await openServer(fourth, port);
  t.after(() => again.close().then(() => Promise.all([third.close(), fourth.close()])));
  assert.deepEqual([b.isHere("open"), again.isHere("open")], [true, false]);
  device.hasDownloaded();
  assert.equal((await updateWhen(update.id, ({ finishedAt }) => finishedAt !== null)).state, "succeeded");
  assert.deepEqual(device.heard, ["/5/0/1", "/5/0/2"]);
});
