/** What no device should send: bounded, answered with the right code, counted, and told on the device's page. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { after, before, type TestContext, test } from "node:test";
import { blockOption, findBlock } from "@airlift/protocol/coap/block-option";
import { CODE, formatCode, METHOD } from "@airlift/protocol/coap/codes";
import { type CoapResponse, createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { type CoapMessage, decodeMessage, encodeMessage, MESSAGE_TYPE } from "@airlift/protocol/coap/message";
import { OPTION, optionTexts, pathOptions, queryOptions, uintOption } from "@airlift/protocol/coap/options";
import { EMPTY, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { CONTENT_FORMATS as F } from "@airlift/protocol/lwm2m/content-formats";
import { type CoapTcp, openCoapTcp } from "@airlift/runtime/coap-tcp";
import { type CoapUdp, openCoapUdp } from "@airlift/runtime/coap-udp";
import { udpPeer } from "@airlift/runtime/udp";
import { closeDevices, dtlsDevice } from "../e2e/door-device.ts";
import { OperationBench } from "./operation-bench.ts";

let bench: OperationBench;
const endpoints: (CoapUdp | CoapTcp)[] = [];
before(async () => {
  // Far more than these tests send one after the other, and far less than the flood of one of them.
  bench = await OperationBench.open(undefined, "udp", { requestsPerSecond: 200 });
});
after(async () => {
  for (const endpoint of endpoints) await endpoint.close();
  await bench.close();
});

const LINKS = [uintOption(OPTION.contentFormat, F.linkFormat)];

interface Bad {
  readonly coap: CoapUdp;
  ask(...parts: Parameters<typeof createRequest>): Promise<CoapResponse>;
  /** The code of a registration, sent in as many blocks as it needs. */
  register(query: string, links?: string): Promise<string>;
}

async function bad(): Promise<Bad> {
  const coap = await openCoapUdp({ host: "127.0.0.1" });
  endpoints.push(coap);
  coap.serve(() => createResponse(CODE.notFound));
  const server = udpPeer("127.0.0.1", bench.server.address.port);
  return {
    coap,
    ask: (...parts) => coap.request(server, createRequest(...parts)),
    register: async (query, links = "</3/0>") => {
      const request = createRequest("post", `/rd?${query}`, { payload: encodeUtf8(links), options: LINKS });
      return formatCode((await coap.requestWhole(server, request)).code);
    },
  };
}

/** One block of a body that says that more will come. */
const block = (number: number, sizeBytes: number) => ({
  payload: new Uint8Array(sizeBytes).fill(0x20),
  options: [...LINKS, blockOption(OPTION.block1, { number, more: true, sizeBytes })],
});

const told = (endpoint: string, line: RegExp) =>
  bench.event((event) => event.endpoint === endpoint && line.test(event.sentence));

const objects = (count: number) => Array.from({ length: count }, (_, id) => `</${id}/0>`).join(",");

test("a registration of 64 KB and one of 10,000 objects are refused with 4.13, before they are whole", async () => {
  const device = await bad();
  const before = bench.server.faults.countOf("body", "4.13");
  const countBefore = bench.server.registrationCount;
  assert.equal(await device.register("ep=huge&lt=60&lwm2m=1.1&b=U", `</3/0>;x="${"y".repeat(65_536)}"`), "4.13");
  assert.equal(await device.register("ep=huge&lt=60&lwm2m=1.1&b=U", objects(10_000)), "4.13");
  assert.equal(bench.server.faults.countOf("body", "4.13"), before + 2);
  assert.equal(bench.server.registrationCount, countBefore);
  await told(
    "huge",
    /^a body in blocks from .* for \/rd was refused with 4\.13: the body is longer than 65536 octets$/,
  );
});

test("1,024 objects may register, one more is refused with 4.00", async () => {
  const device = await bad();
  assert.equal(await device.register("ep=many&lt=60&lwm2m=1.1&b=U", objects(1_025)), "4.00");
  await told("many", /^a registration from .* was refused with 4\.00/);
  assert.equal(await device.register("ep=many&lt=60&lwm2m=1.1&b=U", objects(1_024)), "2.01");
});

test("a lifetime of 0, of no number and of more than 68 years is refused with 4.00, one of 68 years is kept", async () => {
  const device = await bad();
  for (const lifetime of ["0", "-1", "1e3", "2147483649", "99999999999999999999"])
    assert.equal(await device.register(`ep=eternal&lt=${lifetime}&lwm2m=1.1&b=U`), "4.00", lifetime);
  await told("eternal", /^a registration from .* was refused with 4\.00/);
  assert.equal(bench.server.registrationOf("eternal"), undefined);
  assert.equal(await device.register("ep=eternal&lt=2147483648&lwm2m=1.1&b=U"), "2.01");
});

test("links that do not parse are refused with 4.00, an unknown version with 4.12", async () => {
  const device = await bad();
  for (const links of ["</3/0", "no links", "</3/0>,,", '</3/0>;ct="0'])
    assert.equal(await device.register("ep=broken&lt=60&lwm2m=1.1&b=U", links), "4.00", links);
  await told("broken", /^a registration from .* was refused with 4\.00/);
  assert.equal(await device.register("ep=broken&lwm2m=9.9"), "4.12");
  assert.equal(bench.server.faults.countOf("registration", "4.12"), 1);
});

test("a name of any characters but control characters is a device's name", async () => {
  const device = await bad();
  for (const name of ["urn:imei:1", "a/b", "ä🙂", "' or 1=1 --", "<b>", "%", "."]) {
    assert.equal(await device.register(`ep=${encodeURIComponent(name)}&lt=60&lwm2m=1.1&b=U`), "2.01", name);
    await bench.stores.devices.flush();
    assert.equal((await bench.stores.devices.get(name))?.endpoint, name);
  }
  assert.equal(await device.register("ep=a%00b&lwm2m=1.1"), "4.00");
});

test("a Send that lies about its paths is refused, counted, and told", async () => {
  const device = await bad();
  assert.equal(await device.register("ep=teller&lt=60&lwm2m=1.1&b=U"), "2.01");
  const send = async (records: string) => {
    const options = [uintOption(OPTION.contentFormat, F.senmlJson)];
    return formatCode((await device.ask("post", "/dp", { payload: encodeUtf8(records), options })).code);
  };
  assert.equal(await send('[{"bn":"/3303/0/5700","v":21.5}]'), "4.04");
  await told("teller", /^a report \(Send\) from .* was refused with 4\.04: an object that is not registered$/);
  for (const records of ['[{"bn":"/3/zero/9","v":1}]', '[{"bn":"/3/0/9","vs":"full"}]', '[{"bn":"//","v":1}]', "[{]"])
    assert.equal(await send(records), "4.00", records);
  const stranger = await bad();
  assert.equal((await stranger.ask("post", "/dp", { payload: encodeUtf8("[]") })).code, CODE.notFound);
  assert.equal(bench.server.faults.countOf("send", "4.00"), 4);
  assert.equal(bench.server.faults.countOf("send", "4.04"), 2);
});

test("RFC 7959 §2.9.3: a registration whose blocks never end is cut off with 4.13, and what follows is 4.08", async () => {
  const device = await bad();
  const codes: string[] = [];
  for (let number = 0; number < 66; number += 1)
    codes.push(formatCode((await device.ask("post", "/rd?ep=endless&lt=60", block(number, 1024))).code));
  assert.deepEqual([...new Set(codes.slice(0, 64))], ["2.31"]);
  assert.deepEqual(codes.slice(64), ["4.13", "4.08"]);
  await told("endless", /^a body in blocks from .* was refused with 4\.13/);
});

test("a Send whose blocks never end is cut off too, also in the smallest blocks", async () => {
  const device = await bad();
  assert.equal(await device.register("ep=drip&lt=60&lwm2m=1.1&b=U"), "2.01");
  let number = 0;
  let code = "2.31";
  for (; code === "2.31" && number < 1_100; number += 1)
    code = formatCode((await device.ask("post", "/dp", block(number, 64))).code);
  // 200 a second is what this server gives one device: it may be told to wait before it is cut off.
  assert.match(code, /^4\.(13|29)$/);
});

test("a device that begins one body after the other keeps four, and no other device from its own", async () => {
  const device = await bad();
  for (let at = 0; at < 6; at += 1)
    assert.equal((await device.ask("post", `/rd?ep=begins&at=${at}`, block(0, 16))).code, CODE.continue);
  const next = async (at: number) =>
    formatCode((await device.ask("post", `/rd?ep=begins&at=${at}`, block(1, 16))).code);
  assert.deepEqual(await Promise.all([next(0), next(1)]), ["4.08", "4.08"]);
  assert.deepEqual(await Promise.all([2, 3, 4, 5].map(next)), ["2.31", "2.31", "2.31", "2.31"]);
  await told("begins", /^a body in blocks from .* was refused with 4\.08: the peer began too many bodies$/);
  const other = await bad();
  assert.equal(await other.register("ep=whole&lt=60&lwm2m=1.1&b=U", objects(900)), "2.01");
});

/** A registered device that is a socket, and keeps to no rule but what `onMessage` says. */
async function socketDevice(
  t: TestContext,
  endpoint: string,
  onMessage: (message: CoapMessage) => CoapMessage | undefined = () => undefined,
) {
  const socket = createSocket("udp4");
  t.after(() => socket.close());
  const { port } = bench.server.address;
  const send = (message: CoapMessage) => void socket.send(encodeMessage(message), port, "127.0.0.1");
  socket.on("message", (datagram) => {
    const answer = onMessage(decodeMessage(new Uint8Array(datagram)));
    if (answer) send(answer);
  });
  const registered = told(endpoint, /^the device registered/);
  send({
    type: MESSAGE_TYPE.confirmable,
    code: METHOD.post,
    messageId: 1,
    token: Uint8Array.of(1),
    options: [...pathOptions("/rd"), ...LINKS, ...queryOptions(`ep=${endpoint}&lt=60&lwm2m=1.1&b=U`)],
    payload: encodeUtf8("</1/0>"),
  });
  await registered;
  return { send };
}

test("an answer whose blocks never end is cut off, counted, and told", async (t) => {
  await socketDevice(t, "talker", ({ type, code, messageId, token, options }) => {
    if (type !== MESSAGE_TYPE.confirmable || code !== METHOD.get) return undefined;
    const number = findBlock(options, OPTION.block2)?.number ?? 0;
    const format = uintOption(OPTION.contentFormat, F.text);
    return {
      type: MESSAGE_TYPE.acknowledgement,
      code: CODE.content,
      messageId,
      token,
      options: [format, blockOption(OPTION.block2, { number, more: true, sizeBytes: 1024 })],
      payload: new Uint8Array(1024).fill(0x61),
    };
  });
  const target = { endpoint: "talker", timeoutMs: 60_000 };
  await assert.rejects(bench.operations.read(target, ["/3/0/0"]), { code: "DEVICE_ANSWER" });
  await told("talker", /^its answer about \/.* was cut off: the body is larger than allowed$/);
  assert.ok(bench.server.faults.countOf("answer", "BODY_TOO_LARGE") >= 1);
});

test("a device that floods is held back and told of, and another one is served", async (t) => {
  const { send } = await socketDevice(t, "flooder");
  const good = await bad();
  const flooded = told(
    "flooder",
    /^more came from .* over udp than one device may send: \d+ messages? (was|were) held back$/,
  );
  let isOver = false;
  void flooded.then(() => {
    isOver = true;
  });
  const type = MESSAGE_TYPE.nonConfirmable;
  const message = { type, code: METHOD.post, token: EMPTY, options: pathOptions("/rd/nowhere"), payload: EMPTY };
  for (let messageId = 0; !isOver; ) {
    for (let at = 0; at < 200; at += 1, messageId += 1) send({ ...message, messageId: messageId & 0xffff });
    // A good device's answer is the clock here: it comes between two bursts of the bad one.
    assert.equal((await good.ask("post", "/rd/unknown")).code, CODE.notFound);
  }
  assert.equal((await flooded).kind, "device.flood");
  const [load] = bench.server.doorLoads();
  assert.ok((load?.droppedMessageCount ?? 0) > 0);
});

test("RFC 8516: a confirmable request that is too much is answered 4.29, with the time to wait", async (t) => {
  const strict = await OperationBench.open(undefined, "udp", { requestsPerSecond: 0.001 });
  t.after(() => strict.close());
  const coap = await openCoapUdp({ host: "127.0.0.1" });
  t.after(() => coap.close());
  const server = udpPeer("127.0.0.1", strict.server.address.port);
  const answers: CoapResponse[] = [];
  for (let at = 0; at < 2; at += 1) answers.push(await coap.request(server, createRequest("post", "/rd/x")));
  const refused = answers.find(({ code }) => code === CODE.tooManyRequests);
  assert.ok(refused?.options.some(({ number }) => number === OPTION.maxAge));
  // What fetches an image is another allowance.
  assert.equal((await coap.request(server, createRequest("get", "/fw/none"))).code, CODE.notFound);
});

test("over DTLS a session has its own allowance, and the device that it speaks for is told of", async (t) => {
  const secured = await OperationBench.open(undefined, "dtls", { requestsPerSecond: 0.001 });
  t.after(() => secured.close());
  t.after(closeDevices);
  const at = secured.server.addressOf("dtls");
  assert.ok(at);
  const [bad, good] = await Promise.all(["session", "other"].map((name) => dtlsDevice(at, secured.giveKey(name))));
  assert.match((await bad?.device.register("")) ?? "", /^2\.01/);
  assert.match((await bad?.device.report()) ?? "", /^4\.29/);
  assert.match((await good?.device.register("")) ?? "", /^2\.01/);
  await secured.event(({ kind, endpoint }) => kind === "device.flood" && endpoint === "session");
});

test("over TCP a device that floods is read more slowly, and loses nothing", async (t) => {
  const streams = await OperationBench.open(undefined, "tcp", { requestsPerSecond: 5 });
  t.after(() => streams.close());
  const coap = await openCoapTcp();
  t.after(() => coap.close());
  const { port = 0 } = streams.server.addressOf("tcp") ?? {};
  const server = await coap.connect({ host: "127.0.0.1", port });
  const request = createRequest("post", "/rd?ep=stream&lt=60&lwm2m=1.1&b=T", {
    payload: encodeUtf8("</3/0>"),
    options: LINKS,
  });
  const { options } = await coap.request(server, request);
  const update = createRequest("post", `/${optionTexts(options, OPTION.locationPath).join("/")}`);
  const answers = await Promise.all(Array.from({ length: 40 }, () => coap.request(server, update)));
  assert.deepEqual([...new Set(answers.map(({ code }) => code))], [CODE.changed]);
  await streams.event(({ kind, endpoint }) => kind === "device.flood" && endpoint === "stream");
});
