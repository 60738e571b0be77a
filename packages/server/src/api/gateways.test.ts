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
