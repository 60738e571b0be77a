/** What is asked of devices outlives the server, and goes with the device to another one. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CODE } from "@airlift/protocol/coap/codes";
import { createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, optionUint, uintOption } from "@airlift/protocol/coap/options";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { CONTENT_FORMATS as F } from "@airlift/protocol/lwm2m/content-formats";
import type { ServerObservation } from "@airlift/runtime/coap";
import { openCoapUdp } from "@airlift/runtime/coap-udp";
import { udpPeer } from "@airlift/runtime/udp";
import { Lwm2mServer } from "@airlift/server/links/lwm2m-server";
import type { Stores } from "@airlift/server/store/ports";
import { openScratchStores, openSecondStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import { pino } from "pino";

let scratch: ScratchStores;
let second: Stores;
before(async () => {
  scratch = await openScratchStores({ node: { name: "a" } });
  second = await openSecondStores(scratch, { node: { name: "b" } });
});
after(async () => {
  await second.close();
  await scratch.close();
});

const openServer = (stores: Stores, port = 0): Promise<Lwm2mServer> =>
  Lwm2mServer.open({
    stores,
    log: pino({ level: "silent" }),
    udp: { host: "127.0.0.1", port },
    publicHost: null,
    httpPort: () => 0,
  });

/** A device whose battery is at 50 %, and that notes what it is asked to tell. */
async function openDevice(endpoint: string) {
  const coap = await openCoapUdp({ host: "127.0.0.1" });
  const offers: ServerObservation[] = [];
  const content = (level: string) =>
    createResponse(CODE.content, encodeUtf8(level), [uintOption(OPTION.contentFormat, F.text)]);
  const formats: (number | undefined)[] = [];
  coap.serve(({ options }, _, offer) => {
    if (offer !== undefined) {
      offers.push(offer.accept());
      formats.push(optionUint(options, OPTION.accept));
    }
    return content("50");
  });
  const register = async (server: Lwm2mServer): Promise<string> => {
    const options = [uintOption(OPTION.contentFormat, F.linkFormat)];
    const request = createRequest("post", `/rd?ep=${endpoint}&lt=600&lwm2m=1.1&b=U`, {
      payload: encodeUtf8("</3/0>"),
      options,
    });
    const answer = await coap.request(udpPeer("127.0.0.1", server.address.port), request);
    assert.equal(answer.code, CODE.created);
    return answer.options
      .filter(({ number }) => number === OPTION.locationPath)
      .map(({ value }) => Buffer.from(value).toString())
      .join("/");
  };
  const refresh = (server: Lwm2mServer, place: string) =>
    coap.request(udpPeer("127.0.0.1", server.address.port), createRequest("post", `/${place}`));
  const tell = (level: string) => offers.at(-1)?.notify(content(level), { confirmable: false });
  return { coap, offers, formats, register, refresh, tell };
}

/** Resolves with the next value of a device that a notification brings. */
function nextValue(stores: Stores, endpoint: string): Promise<unknown> {
  return new Promise((resolve) => {
    const stop = stores.events.subscribe((event) => {
      if (event.kind !== "device.value" || event.endpoint !== endpoint || event.facts["by"] !== "notify") return;
      stop();
      resolve((event.facts["values"] as { value: unknown }[])[0]?.value);
    });
  });
}

const target = (endpoint: string) => ({ endpoint, timeoutMs: 60_000 });

test("what was observed is observed again after a restart, under its id and in its format, until it is withdrawn", async (t) => {
  const { stores } = scratch;
  const device = await openDevice("pump");
  t.after(() => device.coap.close());
  const first = await openServer(stores);
  const { port } = first.address;
  await device.register(first);
  const { observation } = await first.operations.observe(target("pump"), ["/3/0/9"], F.lwm2mCbor);
  await stores.devices.flush();
  await first.close();

  const renewed = nextValue(stores, "pump");
  const next = await openServer(stores, port);
  assert.equal(await renewed, 50);
  assert.deepEqual(device.formats, [F.lwm2mCbor, F.lwm2mCbor]);
  const told = nextValue(stores, "pump");
  device.tell("49");
  assert.equal(await told, 49);
  const [kept] = await next.operations.observationsOf("pump");
  assert.deepEqual([kept?.id, kept?.paths, kept?.state], [observation.id, ["/3/0/9"], "active"]);
  assert.ok(kept?.lastToldAt);
  await next.operations.cancel("pump", observation.id);
  assert.deepEqual(await next.operations.observationsOf("pump"), []);
  await assert.rejects(next.operations.cancel("pump", observation.id), { code: "UNKNOWN_OBSERVATION" });
  await next.close();
  assert.deepEqual(await stores.observations.of(["pump"]), []);
});

test("what waits for a device can be put on record at any server, as the device registered", async (t) => {
  const device = await openDevice("asked-anywhere");
  t.after(() => device.coap.close());
  const a = await openServer(scratch.stores);
  const b = await openServer(second);
  t.after(() => Promise.all([a.close(), b.close()]));
  const place = await device.register(a);
  await scratch.stores.devices.flush();
  const wish = { operation: "readComposite", paths: ["/3/0/9", "/3/0/1"] } as const;
  const content = await b.operations.contentOf("asked-anywhere", wish);
  assert.deepEqual(content, await a.operations.contentOf("asked-anywhere", wish));
  await device.coap.request(udpPeer("127.0.0.1", a.address.port), createRequest("delete", `/${place}`));
  await scratch.stores.devices.flush();
  await assert.rejects(b.operations.contentOf("asked-anywhere", wish), { code: "DEVICE_GONE" });
});

test("a device takes its observations along; what is withdrawn elsewhere meanwhile does not come back", async (t) => {
  const device = await openDevice("moves");
  t.after(() => device.coap.close());
  const a = await openServer(scratch.stores);
  const b = await openServer(second);
  t.after(() => Promise.all([a.close(), b.close()]));
  await device.register(a);
  const { observation } = await a.operations.observe(target("moves"), ["/3/0/9"]);
  const atB = nextValue(second, "moves");
  await device.register(b);
  assert.equal(await atB, 50);
  assert.equal((await b.operations.observationsOf("moves"))[0]?.state, "active");
  await b.operations.cancel("moves", observation.id);
  // The first one hears that the device has left.
  while (a.isHere("moves")) await scratch.stores.ping();
  const asked = device.offers.length;
  const place = await device.register(a);
  await a.operations.observations.onArrived(["moves"]);
  await device.refresh(a, place);
  assert.deepEqual(await a.operations.observationsOf("moves"), []);
  // Whatever it would be asked for comes before this.
  await a.operations.read(target("moves"), ["/3/0/9"]);
  assert.equal(device.offers.length, asked);
});

test("a request that waits goes out from the server that has the device, and from the other one when that is gone", async (t) => {
  const device = await openDevice("asked");
  t.after(() => device.coap.close());
  const third = await openSecondStores(scratch, { node: { name: "c" } });
  const [a, c] = [await openServer(scratch.stores), await openServer(third)];
  await device.register(c);
  await third.devices.flush();
  const answered = async (count: number) => {
    const states = () => a.queue.list("asked").then((all) => all.map(({ state, outcome }) => outcome ?? state));
    while (`${await states()}` !== Array(count).fill("answered").join()) await scratch.stores.ping();
  };
  await a.queue.submit("asked", { operation: "read", path: "/3/0/9" });
  await answered(1);
  // It ends, and lets go of its lease.
  await c.close();
  await third.close();
  await device.register(a);
  await a.queue.submit("asked", { operation: "read", path: "/3/0/13" });
  await answered(2);
  await a.close();
});

test("of a device that is not here an observation waits on record, and is withdrawn all the same", async () => {
  await second.observations.add({ id: "o1", endpoint: "away", paths: ["/3/0/9"], format: null }, 1);
  await assert.rejects(second.observations.add({ id: "o2", endpoint: "away", paths: ["/3/0/9"], format: null }, 1), {
    code: "OBSERVATIONS_FULL",
  });
  const server = await openServer(scratch.stores);
  const [kept] = await server.operations.observationsOf("away");
  assert.deepEqual([kept?.id, kept?.state, kept?.lastToldAt], ["o1", "waiting", null]);
  await server.operations.cancel("away", "o1");
  assert.deepEqual(await server.operations.observationsOf("away"), []);
  await server.close();
});
