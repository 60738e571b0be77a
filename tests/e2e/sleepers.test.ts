/** Devices in queue mode and devices that register badly, over real sockets and a real database. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CODE, formatCode } from "@airlift/protocol/coap/codes";
import { createRequest } from "@airlift/protocol/coap/exchange";
import { OPTION, uintOption } from "@airlift/protocol/coap/options";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { udpPeer } from "@airlift/runtime/udp";
import { Lwm2mServer } from "@airlift/server/links/lwm2m-server";
import { openScratchStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import { pino } from "pino";
import { ScriptedDevice } from "./scripted-device.ts";

let scratch: ScratchStores;
let server: Lwm2mServer;
/** Short enough to see it end. */
const AWAKE_MS = 300;

const openServer = (port = 0): Promise<Lwm2mServer> =>
  Lwm2mServer.open({
    stores: scratch.stores,
    log: pino({ level: "silent" }),
    udp: { host: "127.0.0.1", port },
    publicHost: null,
    httpPort: () => 0,
    presence: { awakeMs: AWAKE_MS },
  });

before(async () => {
  scratch = await openScratchStores();
  server = await openServer();
});
after(async () => {
  await server.close();
  await scratch.close();
});

const becomes = (endpoint: string, state: string): Promise<void> =>
  new Promise((resolve) => {
    if (server.presence.of(endpoint).state === state) return resolve();
    const unsubscribe = server.presence.subscribe((change) => {
      if (change.endpoint !== endpoint || change.state !== state) return;
      unsubscribe();
      resolve();
    });
  });

/** Resolves with the event of a request that has ended. */
const requestEnds = (endpoint: string): Promise<string> =>
  new Promise((resolve) => {
    const unsubscribe = scratch.stores.events.subscribe((event) => {
      if (event.endpoint !== endpoint || event.kind !== "device.request") return;
      unsubscribe();
      resolve(event.sentence);
    });
  });

test("an Execute for a sleeping device outlives a restart and is done once it wakes up, before which it hears nothing", async () => {
  const device = await ScriptedDevice.open("sleeper", server.address.port);
  const location = await device.register("lt=3600&lwm2m=1.1&b=U&Q", "</3/0>");
  await becomes("sleeper", "asleep");
  assert.match(server.reachabilityOf("sleeper").reachability, /^asleep since .* next expected by .*lifetime 3600 s/);
  device.heard.length = 0;
  await server.queue.submit("sleeper", { operation: "execute", path: "/3/0/4" });
  const { port } = server.address;
  await server.close();
  await scratch.stores.devices.flush();
  server = await openServer(port);
  await becomes("sleeper", "asleep");
  assert.deepEqual(device.heard, []);
  const ended = requestEnds("sleeper");
  assert.equal((await device.request("post", location)).code, CODE.changed);
  assert.equal(await ended, "execute /3/0/4: the device answered 2.04");
  assert.deepEqual(device.heard, ["POST /3/0/4"]);
  await device.close();
});

test("a device without queue mode is asked at once", async () => {
  const device = await ScriptedDevice.open("listener", server.address.port);
  await device.register("lt=3600&lwm2m=1.1&b=U", "</3/0>");
  const ended = requestEnds("listener");
  await server.queue.submit("listener", { operation: "read", path: "/3/0/3" });
  assert.equal(await ended, "read /3/0/3: the device answered 2.05");
  const [record] = await server.queue.list("listener");
  assert.equal(Buffer.from(record?.answer?.payload ?? "", "base64").toString(), "1.0.0");
  await device.close();
});

const objects = (count: number) => Array.from({ length: count }, (_, id) => `</${id}/0>`).join(",");

test("registrations beyond all measure are refused with the right code, and told of", async (t) => {
  const device = await ScriptedDevice.open("bad", server.address.port);
  t.after(() => device.close());
  const peer = udpPeer("127.0.0.1", server.address.port);
  const options = [uintOption(OPTION.contentFormat, 40)];
  const register = async (query: string, links = "</3/0>"): Promise<string> => {
    const request = createRequest("post", `/rd?${query}`, { payload: encodeUtf8(links), options });
    return formatCode((await device.coap.requestWhole(peer, request)).code);
  };
  const good = "ep=bad&lwm2m=1.1&b=U";
  assert.equal(await register(`${good}&lt=60`, `</3/0>;x="${"y".repeat(65_536)}"`), "4.13");
  assert.equal(await register(`${good}&lt=60`, objects(10_000)), "4.13");
  assert.equal(await register(`${good}&lt=60`, objects(1_025)), "4.00");
  for (const lifetime of ["0", "-1", "1e3", "2147483649", "99999999999999999999"])
    assert.equal(await register(`${good}&lt=${lifetime}`), "4.00", lifetime);
  for (const links of ["</3/0", "no links", "</3/0>,,", '</3/0>;ct="0'])
    assert.equal(await register(good, links), "4.00");
  assert.equal(await register("ep=bad&lwm2m=9.9"), "4.12");
  assert.equal(await register("ep=a%00b&lwm2m=1.1"), "4.00");
  assert.equal(server.registrationCount, 2);
  assert.ok((server.registrationRefusals.counts.get("4.00") ?? 0) >= 10);
  assert.equal(await register(`${good}&lt=2147483648`, objects(1_024)), "2.01");
  // The journal is in order: when this one is on record, all before it are.
  await scratch.stores.events.append({ kind: "device.reported", sentence: "the end" });
  const { items } = await scratch.stores.events.list({ endpoint: "bad" }, { limit: 50 });
  assert.ok(items.some(({ kind, sentence }) => kind === "device.refused" && /refused with 4\.00/.test(sentence)));
});

test("a name of any characters but control characters is a device's name", async () => {
  const device = await ScriptedDevice.open("names", server.address.port);
  for (const name of ["urn:imei:1", "a/b", "ä🙂", "' or 1=1 --", "<b>", "%", "."]) {
    const options = [uintOption(OPTION.contentFormat, 40)];
    const path = `/rd?ep=${encodeURIComponent(name)}&lt=60&lwm2m=1.1&b=U`;
    const answer = await device.request("post", path, { payload: encodeUtf8("</3/0>"), options });
    assert.equal(formatCode(answer.code), "2.01", name);
    await scratch.stores.devices.flush();
    assert.equal((await scratch.stores.devices.get(name))?.endpoint, name);
  }
  await device.close();
});
