import assert from "node:assert/strict";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import type { FastifyInstance, InjectOptions } from "fastify";
import { pino } from "pino";
import { BroadcastDelivery } from "../links/broadcast-delivery.ts";
import { MeshDoor } from "../links/mesh-door.ts";
import { ExampleGateway, ExampleMeshDevice, octets } from "../links/mesh-example.ts";
import { MeshReleases } from "../links/mesh-releases.ts";
import { openScratchStores, type ScratchStores } from "../store/scratch-stores.ts";
import { createApi } from "./create-api.ts";
import { listen } from "./listen.ts";
import type { FleetCommands } from "./ports.ts";

const log = pino({ level: "silent" });
const fleet: FleetCommands = {
  isHere: () => true,
  asleepSinceMs: () => undefined,
  reachabilityOf: () => ({ awake: "unknown", awakeUntil: null, nextExpectedAt: null, reachability: "" }),
  queue: { submit: async () => "1", cancel: async () => {}, list: async () => [] },
};
const commands = {
  isRunning: () => true,
  start: async () => {},
  apply: async () => {},
  cancel: async () => {},
  onFetched: () => {},
};
const config = { httpHost: "127.0.0.1", publicHost: null, maxImageBytes: 10_000, noAuth: false };

let scratch: ScratchStores;
let api: FastifyInstance;
let broadcast: BroadcastDelivery;
let admin = "";
before(async () => {
  scratch = await openScratchStores({ node: { name: "a" } });
  await scratch.stores.nodes.join();
  const { stores } = scratch;
  const releases = new MeshReleases(stores, join(scratch.folder, "mesh"));
  broadcast = new BroadcastDelivery({ stores, releases, log, gatherMs: 0 });
  const mesh = new MeshDoor({ stores, releases, broadcast });
  api = await createApi({ config, stores, commands, fleet, mesh, log });
  admin = (await stores.tokens.create({ role: "admin", name: "ann" })).token;
});
after(async () => {
  await api.close();
  await scratch.close();
});

const ask = async (options: InjectOptions, token = admin) => {
  const headers = { host: "127.0.0.1", authorization: `Bearer ${token}`, ...options.headers };
  return await api.inject({ ...options, headers });
};

test("a gateway follows its orders, resumes, fetches in ranges and reports; its token is good for nothing else", async () => {
  const created = await ask({ method: "POST", url: "/api/v1/gateways", payload: { id: "gw-1", cells: ["hall"] } });
  assert.equal(created.statusCode, 201);
  const { token } = created.json() as { token: string };
  await ask({ method: "POST", url: "/api/v1/gateways", payload: { id: "gw-2", cells: ["yard"] } });
  const gateway = new ExampleGateway("gw-1");
  const device = new ExampleMeshDevice("dev-1", 1);
  const onboarding = { payload: device.label, manufacturer: "ACME", model: "TH", version: "1.0.0", cell: "hall" };
  assert.equal((await ask({ method: "POST", url: "/api/v1/mesh/devices", payload: onboarding })).statusCode, 201);
  const report = (id: string) =>
    ask({ method: "POST", url: `/api/v1/gateways/${id}/reports`, payload: gateway.batch() }, token);
  assert.equal((await report("gw-1")).statusCode, 200);
  assert.equal((await report("gw-2")).json().code, "GATEWAY_REFUSED");
  for (const url of ["/api/v1/gateways", "/api/v1/devices", "/api/v1/mesh/devices", "/api/v1/gateways/gw-1"])
    assert.equal((await ask({ url }, token)).json().code, "ROLE_REFUSED", url);
  const viewer = (await scratch.stores.tokens.create({ role: "viewer", name: "gw-1" })).token;
  assert.equal((await ask({ url: "/api/v1/gateways/gw-1/orders" }, viewer)).json().code, "ROLE_REFUSED");

  const url = await listen(api, "127.0.0.1", 0);
  const feed = await openFeed(`${url}/api/v1/gateways/gw-1/orders`, token);
  const name = { manufacturer: "ACME", model: "TH", version: "2.0.0", hardware: [] };
  const bytes = Buffer.concat(Array.from({ length: 50 }, (_, i) => octets(i, 32)));
  const { image } = await scratch.stores.images.add(Readable.from([bytes]), name);
  await scratch.stores.updates.create({ endpoint: "dev-1", imageId: image.id, by: "auto", apply: true });
  await broadcast.sweep();
  const first = await feed.next();
  assert.equal(first.number, 1);
  assert.equal(first.order.kind, "transmit");
  feed.close();
  const resumed = await openFeed(`${url}/api/v1/gateways/gw-1/orders`, token);
  assert.deepEqual(await resumed.next(), first);
  resumed.close();

  const path = `/api/v1/gateways/gw-1/contents/${first.order.parts?.[1]?.content.name}`;
  const whole = await ask({ url: path }, token);
  const part = await ask({ url: path, headers: { range: "bytes=12-59", "if-range": `${whole.headers.etag}` } }, token);
  assert.deepEqual([part.statusCode, part.headers["content-range"]], [206, `bytes 12-59/${whole.rawPayload.length}`]);
  assert.deepEqual(part.rawPayload, whole.rawPayload.subarray(12, 60));
  const packet = await api.inject({ url: "/zdm/sw/ACME-TH-2.0.0/1", headers: { host: "127.0.0.1" } });
  assert.deepEqual(packet.rawPayload, part.rawPayload);
  const text = (await ask({ url: "/api/v1/gateways/gw-1" })).body + (await ask({ url: "/api/v1/mesh/devices" })).body;
  for (const secret of [Buffer.from(device.channel.key).toString("hex"), first.order.pollChannel?.key ?? ""])
    assert.ok(secret.length === 32 && !text.includes(secret));
  const series = (await ask({ url: "/api/v1/gateways/gw-1/airtime" })).json() as { items: { points: unknown[] }[] };
  assert.equal(series.items[0]?.points.length, 1);
});

/** The code and what is wrong where. */
const refused = async (options: InjectOptions) => {
  const answer = await ask(options);
  const { code, facts } = answer.json() as { code: string; facts?: { problems: { path: string }[] } };
  return [answer.statusCode, code, ...(facts?.problems ?? []).map(({ path }) => path)];
};

test("a gateway that could never send, or never be asked for, is refused, with every mistake", async () => {
  const gateway = { id: "gw-x", cells: ["hall"] };
  const wrong: readonly (readonly [change: object, path: string])[] = [
    ...["999-1000", "868.6-868.0", "north", "", " 868.0-868.6", "863.0-870.0/lbt", "902.0-928.0/50", "\u0000"].map(
      (band) => [{ band }, "band"] as const,
    ),
    ...["", ".", "..", "a b", "x".repeat(65)].map((id) => [{ id }, "id"] as const),
    ...[[], ["hall", "hall"]].map((cells) => [{ cells }, "cells"] as const),
    ...[0, -1, 99, 10_000_001, 0.5, null, "50000"].map((rateBps) => [{ rateBps }, "rateBps"] as const),
    ...[-0.1, 0.91, null, "0"].map((loss) => [{ loss }, "loss"] as const),
    [{ subBand: "868.0-868.6" }, "subBand"],
  ];
  for (const [change, path] of wrong)
    assert.deepEqual(
      await refused({ method: "POST", url: "/api/v1/gateways", payload: { ...gateway, ...change } }),
      [400, "VALIDATION", path],
      JSON.stringify(change),
    );
  for (const [i, band] of ["wired", "917.0-923.5", "869.7-870.0/5mW"].entries())
    assert.equal(
      (await ask({ method: "POST", url: "/api/v1/gateways", payload: { ...gateway, id: `band-${i}`, band } }))
        .statusCode,
      201,
      band,
    );
});

test("a gateway's ledger that no law could have is not taken: plans count on it", async () => {
  const { token } = (
    await ask({ method: "POST", url: "/api/v1/gateways", payload: { id: "gw-l", cells: ["far"] } })
  ).json() as { token: string };
  const { state } = new ExampleGateway("gw-l");
  for (const change of [{ windowMs: 0 }, { windowMs: 1e308 }, { budgetMs: -1 }, { usedMs: 1e308 }, { doubtMs: null }]) {
    const ledgers = state.ledgers.map((ledger) => ({ ...ledger, ...change }));
    const payload = { state: { ...state, ledgers }, reports: [] };
    const answer = await ask({ method: "POST", url: "/api/v1/gateways/gw-l/reports", payload }, token);
    assert.equal(answer.json().code, "VALIDATION", JSON.stringify(change));
  }
});

test("reports of a kind that this server does not know are taken and ignored; the others of their batch count", async () => {
  const { token } = (
    await ask({ method: "POST", url: "/api/v1/gateways", payload: { id: "gw-n", cells: ["near"] } })
  ).json() as { token: string };
  const { state } = new ExampleGateway("gw-n");
  const report = async (reports: readonly object[]) =>
    await ask({ method: "POST", url: "/api/v1/gateways/gw-n/reports", payload: { state, reports } }, token);
  const order = { atMs: 0, kind: "order", order: 1, outcome: "refused", code: "BAND", detail: "of another band" };
  const answer = await report([
    { number: 1, atMs: 0, kind: "weather", wind: { speedKmh: 7 } },
    { ...order, number: 2 },
    { number: 5, atMs: 0, kind: "unknown" },
  ]);
  assert.deepEqual([answer.statusCode, answer.json().takenNumber], [200, 5], answer.body);
  const { items } = await scratch.stores.events.list({}, { limit: 5 });
  assert.ok(items.some(({ sentence }) => sentence === "the gateway gw-n refused order 1: of another band"));
  for (const wrong of [
    { ...order, number: 6, outcome: "lost" },
    { atMs: 0, kind: "weather" },
    { number: 6, atMs: 0 },
  ])
    assert.equal((await report([wrong])).json().code, "VALIDATION", JSON.stringify(wrong));
});

test("§9: a mesh device is not taken in with what it could not say of itself", async () => {
  const device = { payload: new ExampleMeshDevice("dev-x", 9).label, manufacturer: "ACME", model: "TX" };
  const wrong: readonly (readonly [change: object, path: string])[] = [
    ...["1.0.300", "256.0.0", "1.0", "newest", "1.2.3.4"].map((version) => [{ version }, "version"] as const),
    ...["", "A\u0000", "x".repeat(65)].map((model) => [{ model }, "model"] as const),
    [{ cell: "" }, "cell"],
    [{ cells: ["hall"] }, "cells"],
  ];
  for (const [change, path] of wrong)
    assert.deepEqual(
      await refused({ method: "POST", url: "/api/v1/mesh/devices", payload: { ...device, ...change } }),
      [400, "VALIDATION", path],
      JSON.stringify(change),
    );
  assert.equal((await ask({ url: "/api/v1/mesh/devices/dev-x" })).json().code, "UNKNOWN_DEVICE");
});

test("a plan is for a campaign or for an image, which a campaign has", async () => {
  const image = `imageId=${"0".repeat(16)}`;
  for (const query of ["", `${image}&campaignId=c`])
    assert.deepEqual(await refused({ url: `/api/v1/mesh/plan?${query}` }), [422, "MESH_PLAN"], query);
});

test("what a campaign's broadcasts come to is null for one that has none, and 404 for one that there is not", async () => {
  const name = { manufacturer: "ACME", model: "B", version: "2.0.0", hardware: [] };
  const { image } = await scratch.stores.images.add(Readable.from([octets(7, 32)]), name);
  const campaign = { name: "nobody by radio", image: image.id, targets: { query: "model==B" } };
  const created = await ask({ method: "POST", url: "/api/v1/campaigns", payload: campaign });
  assert.equal(created.statusCode, 201, created.body);
  const answer = await ask({ url: `/api/v1/campaigns/${created.json().id}/broadcast` });
  assert.deepEqual([answer.statusCode, answer.json()], [200, null]);
  for (const url of ["/api/v1/campaigns/nobody/broadcast", "/api/v1/mesh/plan?campaignId=nobody"])
    assert.deepEqual(await refused({ url }), [404, "UNKNOWN_CAMPAIGN"], url);
});

interface Order {
  readonly number: number;
  readonly order: {
    readonly kind: string;
    readonly parts?: readonly { readonly content: { readonly name: string } }[];
    readonly pollChannel?: { readonly key: string };
  };
}

async function openFeed(url: string, token: string) {
  const request = get(url, { headers: { authorization: `Bearer ${token}` } });
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  let text = "";
  answer.on("data", (chunk) => {
    text += chunk;
  });
  return {
    next: async (): Promise<Order> => {
      for (;;) {
        const found = /event: order\nid: \d+\ndata: (.*)\n\n/.exec(text);
        if (found !== null) return JSON.parse(found[1] ?? "") as Order;
        await once(answer, "data");
      }
    },
    close: () => void request.destroy(),
  };
}
