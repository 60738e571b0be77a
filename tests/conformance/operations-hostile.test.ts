/** Devices that lie, flood, refuse and keep silent: what an operation makes of them. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CODE } from "@airlift/protocol/coap/codes";
import { type CoapRequest, type CoapResponse, createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, optionUint, uintOption, uriPath } from "@airlift/protocol/coap/options";
import { EMPTY, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { CONTENT_FORMATS as F } from "@airlift/protocol/lwm2m/content-formats";
import { sendRequest } from "@airlift/protocol/lwm2m/reporting";
import type { ServerObservation } from "@airlift/runtime/coap";
import { type CoapUdp, openCoapUdp } from "@airlift/runtime/coap-udp";
import { udpPeer } from "@airlift/runtime/udp";
import { DEVICE_OBSERVATION_LIMIT } from "@airlift/server/links/observation-table";
import { OperationBench } from "./operation-bench.ts";

/** Values of one device that are taken; no other one becomes room for within this file, however slow the machine. */
const BURST = 40;

let bench: OperationBench;
const sockets: CoapUdp[] = [];
before(async () => {
  bench = await OperationBench.open({ perSecond: 0.001, burst: BURST, toleranceMs: 20 });
});
after(async () => {
  for (const socket of sockets) await socket.close();
  await bench.close();
});

interface Hostile {
  readonly coap: CoapUdp;
  /** Observations that the server asked for, oldest first. */
  readonly observations: ServerObservation[];
  register(links?: string): Promise<void>;
  ask(...parts: Parameters<typeof createRequest>): Promise<CoapResponse>;
}

async function device(
  endpoint: string,
  answer: (request: CoapRequest) => CoapResponse | Promise<CoapResponse>,
): Promise<Hostile> {
  const coap = await openCoapUdp({ host: "127.0.0.1" });
  sockets.push(coap);
  const observations: ServerObservation[] = [];
  coap.serve((request, _, offer) => {
    if (offer !== undefined) observations.push(offer.accept());
    return answer(request);
  });
  const server = udpPeer("127.0.0.1", bench.server.address.port);
  const ask = (...parts: Parameters<typeof createRequest>) => coap.request(server, createRequest(...parts));
  const register = async (links = "</3/0>"): Promise<void> => {
    const options = [uintOption(OPTION.contentFormat, F.linkFormat)];
    const payload = encodeUtf8(links);
    const { code } = await ask("post", `/rd?ep=${endpoint}&lt=600&lwm2m=1.1&b=U`, { payload, options });
    assert.equal(code, CODE.created);
  };
  await register();
  return { coap, observations, register, ask };
}

const content = (format: number, payload: string | Uint8Array): CoapResponse =>
  createResponse(CODE.content, typeof payload === "string" ? encodeUtf8(payload) : payload, [
    uintOption(OPTION.contentFormat, format),
  ]);

const target = (endpoint: string, timeoutMs = 10_000) => ({ endpoint, timeoutMs });
const failure =
  (code: string, facts: Record<string, unknown> = {}) =>
  (error: unknown) => {
    const found = error as { code: string; facts: Record<string, unknown> };
    assert.equal(found.code, code, `${error}`);
    for (const [name, value] of Object.entries(facts)) assert.equal(found.facts[name], value);
    return true;
  };

test("a value that lies about its type is the device's mistake, and not told as a value", async () => {
  const answers = new Map([
    ["3/0/9", content(F.text, "full")],
    ["3/0/13", content(F.senmlJson, '[{"bn":"/3/0/13","vs":"noon"}]')],
    ["3/0/11", content(F.tlv, Uint8Array.of(0xc3, 11, 1, 2, 3))],
    ["3/0/10", content(F.senmlJson, '[{"bn":"/5/0/3","v":1}]')],
    ["3/0/0", content(9999, "x")],
  ]);
  await device("liar", (request) => answers.get(uriPath(request.options).join("/")) ?? createResponse(CODE.notFound));
  for (const path of answers.keys())
    await assert.rejects(bench.operations.read(target("liar"), [path]), failure("DEVICE_ANSWER"), path);
  assert.deepEqual(bench.operations.lastValues("liar").items, []);
});

test("links that do not parse, and more links than there can be, are the device's mistake", async () => {
  let payload = "</3/0>;;;";
  await device("links", () => content(F.linkFormat, payload));
  const discover = () => bench.operations.discover(target("links"), "/3");
  await assert.rejects(discover(), failure("DEVICE_ANSWER", { reason: "LINK_FORMAT" }));
  payload = Array.from({ length: 3_000 }, (_, at) => `</3/${at}>`).join(",");
  await assert.rejects(discover(), failure("DEVICE_ANSWER", { reason: "TOO_MANY" }));
  payload = "</3/0>;pmin=x;pmax=9,</3/0/3>;dim=1e9,</1/0>,<http://elsewhere>";
  const { items } = await discover();
  assert.deepEqual(
    items.map(({ path, attributes, instanceCount }) => [path, attributes, instanceCount]),
    [
      ["/3/0", { pmax: 9 }, null],
      ["/3/0/3", {}, null],
    ],
  );
});

test("an answer without an end is cut off", async () => {
  await device("endless", () => content(F.text, "x".repeat(400_000)));
  await assert.rejects(bench.operations.read(target("endless"), ["/3/0/0"]), failure("DEVICE_ANSWER"));
});

test("a format that is refused is not asked for again, and the next one is", async () => {
  const asked: number[] = [];
  await device("picky", (request) => {
    const accept = optionUint(request.options, OPTION.accept);
    if (accept !== undefined) asked.push(accept);
    if (request.code === 3) {
      const format = optionUint(request.options, OPTION.contentFormat);
      return createResponse(format === F.tlv ? CODE.changed : CODE.unsupportedContentFormat, EMPTY);
    }
    return accept === F.senmlJson
      ? content(F.senmlJson, '[{"bn":"/3/0/9","v":7}]')
      : createResponse(CODE.notAcceptable, EMPTY);
  });
  const read = async () => (await bench.operations.read(target("picky"), ["/3/0"])).values[0]?.value;
  asked.length = 0;
  assert.equal(await read(), 7);
  assert.deepEqual(asked, [F.senmlCbor, F.tlv, F.senmlJson]);
  assert.equal(await read(), 7);
  assert.equal(asked.length, 4);
  const write = { given: { value: "+01:00" }, mode: "replace" } as const;
  assert.equal((await bench.operations.write(target("picky"), "/3/0/14", write)).code, "2.04");
});

test("a device that answers nothing is silent, one that left is gone", async () => {
  await device("mute", () => new Promise(() => {}));
  await assert.rejects(bench.operations.read(target("mute", 300), ["/3/0/0"]), failure("DEVICE_SILENT"));
  await assert.rejects(bench.operations.read(target("nobody"), ["/3/0/0"]), failure("DEVICE_GONE"));
});

test("a device that does not notify is told from one that does", async () => {
  const coap = await device("still", () => createResponse(CODE.notFound, EMPTY));
  await assert.rejects(
    bench.operations.observe(target("still"), ["/3/0/9"]),
    failure("DEVICE_REFUSED", { code: "4.04" }),
  );
  assert.deepEqual(await bench.operations.observationsOf("still"), []);
  assert.equal(coap.observations.length, 1);
});

test("§6.4.1: a device that registers anew is observed anew", async () => {
  const pump = await device("returns", () => content(F.text, "50"));
  await bench.operations.observe(target("returns"), ["/3/0/9"]);
  const renewed = bench.value("returns", "notify");
  await pump.register();
  await renewed;
  assert.equal(pump.observations.length, 2);
  const told = bench.value("returns", "notify");
  pump.observations[1]?.notify(content(F.text, "49"), { confirmable: false });
  assert.equal(((await told).facts["values"] as { value: unknown }[])[0]?.value, 49);
  assert.equal((await bench.operations.observationsOf("returns")).length, 1);
});

test("§6.4.1: all that is observed of a device is asked for anew, one after the other, and leaves turns for others", async () => {
  const many = await device("many", () => content(F.text, "50"));
  for (let at = 0; at < DEVICE_OBSERVATION_LIMIT; at += 1)
    await bench.operations.observe(target("many"), [`/1/${at}/1`]);
  await many.register();
  while (many.observations.length < 2 * DEVICE_OBSERVATION_LIMIT)
    await bench.operations.read(target("many"), ["/3/0/9"]);
  // The answer to the last one comes before that to this.
  await bench.operations.read(target("many"), ["/3/0/9"]);
  const states = (await bench.operations.observationsOf("many")).map(({ state }) => state);
  assert.deepEqual(states, new Array(DEVICE_OBSERVATION_LIMIT).fill("active"));
});

test("§6.4.1: whoever waits for the first answer of an observation hears that the device registered anew", async () => {
  let isMute = true;
  const forgetful = await device("forgetful", () => (isMute ? new Promise(() => {}) : content(F.text, "50")));
  const asked = bench.operations.observe(target("forgetful"), ["/3/0/9"]);
  const refused = assert.rejects(asked, failure("DEVICE_SILENT"));
  while (forgetful.observations.length === 0) await bench.stores.ping();
  isMute = false;
  await forgetful.register();
  await refused;
  assert.deepEqual(await bench.operations.observationsOf("forgetful"), []);
});

test("1,000 notifications a second: few are taken, the observation is ended, and another device is served", async () => {
  const flooding = await device("flood", () => content(F.text, "50"));
  await device("good", () => content(F.text, "60"));
  await bench.operations.observe(target("flood"), ["/3/0/9"]);
  const { table } = bench.operations.observations;
  const before = table.notificationCount;
  const ended = bench.event(({ kind, endpoint }) => kind === "device.flood" && endpoint === "flood");
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  void ended.then(over, over);
  const [observation] = flooding.observations;
  let sent = 0;
  let served = 0;
  while (!isOver) {
    for (let at = 0; at < 50; at += 1, sent += 1)
      observation?.notify(content(F.text, `${sent % 100}`), { confirmable: false });
    // A good device's answer is the clock here: it comes between two bursts of the bad one.
    served += (await bench.operations.read(target("good"), ["/3/0/9"])).values.length;
  }
  assert.match((await ended).sentence, /^the observation of \/3\/0\/9 was ended/);
  assert.deepEqual(await bench.operations.observationsOf("flood"), []);
  assert.ok(served > 0);
  assert.ok(table.notificationCount - before < sent / 2, `${table.notificationCount - before} of ${sent}`);
  assert.ok(table.droppedCount > 0);
});

test("§6.4.6: a Send of what is not registered is 4.04, of what is no path 4.00, too many 4.29", async () => {
  const sender = await device("sender", () => createResponse(CODE.notFound, EMPTY));
  const send = async (payload: Uint8Array, format: number) =>
    (await sender.ask("post", "/dp", { payload, options: [uintOption(OPTION.contentFormat, format)] })).code;
  const report = (path: number[]) => sendRequest([{ path, value: 50 }]).payload;
  const told = bench.value("sender", "send");
  assert.equal(await send(report([3, 0, 9]), F.senmlCbor), CODE.changed);
  await told;
  assert.equal(bench.operations.lastValues("sender").items[0]?.value, 50);
  assert.equal(await send(report([3303, 0, 5700]), F.senmlCbor), CODE.notFound);
  assert.equal(await send(encodeUtf8('[{"bn":"/3/zero/9","v":1}]'), F.senmlJson), CODE.badRequest);
  assert.equal(await send(encodeUtf8('[{"bn":"/3/0/9","vs":"full"}]'), F.senmlJson), CODE.badRequest);
  const codes = [];
  for (let at = 1; at <= BURST; at += 1) codes.push(await send(report([3, 0, 9]), F.senmlCbor));
  const taken = new Array(BURST - 1).fill(CODE.changed);
  assert.deepEqual(codes, [...taken, CODE.tooManyRequests]);
});
