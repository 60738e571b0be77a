/** The update agent against a scripted server, over real sockets of this machine. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { createUpdateAgent, type UpdateAgent } from "@airlift/device/agent";
import type { AgentEvent, UpdateAgentOptions } from "@airlift/device/agent-options";
import { DEFAULT_PULL_POLICY } from "@airlift/device/transfer/pull";
import { blockOption } from "@airlift/protocol/coap/block-option";
import { METHOD } from "@airlift/protocol/coap/codes";
import { createRequest } from "@airlift/protocol/coap/exchange";
import { findOption, OPTION, uintOption } from "@airlift/protocol/coap/options";
import { decodeUtf8 } from "@airlift/protocol/lib/bytes";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { requestOf } from "@airlift/protocol/lwm2m/request";
import { seeded } from "@airlift/sim/world";
import { createMemoryDevice, type MemoryDevice } from "./memory-handlers.ts";
import { codeText, formatOf, openScriptedServer, type ScriptedServer } from "./scripted-server.ts";

let server: ScriptedServer;
let device: MemoryDevice;
let agent: UpdateAgent;
let events: AgentEvent[];
let waiting: { readonly isIt: (event: AgentEvent) => boolean; readonly resolve: () => void }[];

const IDENTITY = { manufacturer: "Example", model: "M1", serialNumber: "7", firmwareVersion: "1.0.0" };
const IMAGE = Uint8Array.from(randomBytes(5_000)).fill(0x11, 0, 1);

beforeEach(async () => {
  server = await openScriptedServer();
  device = createMemoryDevice();
  events = [];
  waiting = [];
});

afterEach(async () => {
  await agent.close();
  await server.close();
});

async function start(options: Partial<UpdateAgentOptions> = {}): Promise<void> {
  agent = createUpdateAgent({
    endpoint: "node-1",
    server: server.uri,
    handlers: device.handlers,
    store: device.store,
    identity: IDENTITY,
    upgradeDelayMs: 10,
    onEvent: (event) => {
      events.push(event);
      for (const { isIt, resolve } of waiting) if (isIt(event)) resolve();
    },
    ...options,
  });
  await agent.start();
  await server.registered();
}

function state(wanted: string): Promise<void> {
  if (agent.state === wanted) return Promise.resolve();
  return new Promise((resolve) => {
    waiting.push({ isIt: (event) => event.kind === "state" && event.state === wanted, resolve });
  });
}

test("§6.2.1: registers with what it has, refreshes when told to, says goodbye", async () => {
  await start({ lifetimeS: 86_400, queueMode: true });
  const [registration] = server.registrations;
  assert.equal(registration?.endpoint, "node-1");
  assert.equal(registration.lifetimeS, 86_400);
  assert.equal(registration.queueMode, true);
  const objects = registration.objects.objects.map(
    ({ objectId, version }) => `${objectId}${version ? `;${version}` : ""}`,
  );
  assert.deepEqual(objects, ["1", "3", "5;1.1"]);
  assert.equal(await server.execute("/1/0/8"), "2.04");
  assert.equal(await server.write("/1/0/1", "600"), "2.04");
  assert.equal(await server.read("/1/0/1"), "600");
  await agent.close();
  assert.deepEqual(
    server.updates.map((update) => update.uriQuery),
    [[], ["lt=600"]],
  );
  assert.deepEqual(server.deregistrations, ["rd/1"]);
});

test("a server that is named by an IPv6 address is reached, and pulled from", async () => {
  await server.close();
  server = await openScriptedServer(undefined, "[::1]");
  await start();
  server.files.set("app", { bytes: IMAGE, etag: 1 });
  assert.equal(await server.write("/5/0/1", `${server.uri}/fw/app`), "2.04");
  await state("downloaded");
});

test("§6.3: reads, discovers and refuses", async () => {
  await start();
  assert.equal(await server.read("/3/0/0"), "Example");
  assert.equal(await server.read("/3/0/3"), "1.0.0");
  assert.equal(await server.read("/5/0/3"), "0");
  assert.equal(await server.read("/5/0/9"), "2");
  assert.equal(await server.read("/0/0"), "4.01", "the security object is nobody's business");
  assert.equal(await server.read("/5/0/6"), "4.04", "row 42");
  assert.equal(await server.read("/5/0/0"), "4.05");
  assert.equal(await server.read("/9"), "4.04");
  assert.equal(await server.read("/5/1"), "4.04");
  assert.equal(await server.read("/3/0/0", CONTENT_FORMATS.opaque), "4.06");
  assert.equal(await server.read("/3/0", CONTENT_FORMATS.text), "4.06");
  assert.equal(await server.write("/3/0/0", "x"), "4.05");
  assert.equal(await server.write("/5/0/11", "3"), "4.00", "row 41");
  assert.equal(await server.write("/1/0/1", "many"), "4.00");
  assert.equal(await server.execute("/5/0/2"), "4.05", "row 14");
  const cbor = requestOf({
    code: METHOD.put,
    uriPath: ["1", "0", "1"],
    contentFormat: 999,
    payload: Uint8Array.of(1),
  });
  assert.equal(codeText((await server.ask(cbor)).code), "4.15");
  const links = await server.read("/5", CONTENT_FORMATS.linkFormat);
  assert.match(links, /^<\/5>;ver=1\.1,<\/5\/0>,<\/5\/0\/0>/);
  assert.doesNotMatch(links, /<\/5\/0\/7>/, "row 42");
});

test("§7.4: without Accept one value is text, several are TLV in 1.0 and SenML-CBOR from 1.1 on", async () => {
  const formats = async (): Promise<(number | undefined)[]> => {
    const paths = [
      ["5", "0", "3"],
      ["5", "0", "8"],
      ["3", "0"],
    ];
    const answers = await Promise.all(paths.map((uriPath) => server.ask(requestOf({ code: METHOD.get, uriPath }))));
    return answers.map(formatOf);
  };
  await start();
  assert.deepEqual(await formats(), [0, 112, 112]);
  await agent.close();
  await start({ lwm2mVersion: "1.0" });
  assert.deepEqual(await formats(), [0, 11_542, 11_542]);
});

test("a push in blocks, installed, told by notifications in their order", async () => {
  let install = (): void => undefined;
  const installed = new Promise<"installed">((resolve) => {
    install = () => resolve("installed");
  });
  await start({ handlers: { ...device.handlers, performUpgrade: () => installed } });
  const told: string[] = [];
  const watch = (path: string) =>
    server.coap.observe(server.device(), createRequest("get", path), ({ payload }) => {
      told.push(`${path} ${decodeUtf8(payload)}`);
    });
  await Promise.all([watch("/5/0/3"), watch("/5/0/5")]);
  assert.equal(await server.push(IMAGE, 256), "2.04");
  assert.deepEqual(device.image(), IMAGE);
  assert.equal(await server.read("/5/0/3"), "2");
  assert.equal(await server.read("/5/0/7"), "2.0.0");
  assert.equal(await server.execute("/5/0/2"), "2.04");
  await state("updating");
  assert.equal(await server.read("/5/0/3"), "3");
  install();
  await state("idle");
  assert.equal(await server.read("/5/0/3"), "0");
  assert.equal(await server.read("/5/0/5"), "1");
  // A notification may be overtaken by a newer one; the last ones always arrive.
  assert.deepEqual(told.slice(-2).sort(), ["/5/0/3 0", "/5/0/5 1"]);
  assert.deepEqual(device.calls, ["openStream", "finish", "reset"]);
});

test("rows 4, 6, 7: a bad image, one zero octet, nothing at all", async () => {
  await start();
  assert.equal(await server.push(Uint8Array.from(IMAGE).fill(0xff, 0, 1)), "2.04");
  assert.equal(await server.read("/5/0/5"), "5");
  assert.equal(await server.push(Uint8Array.of(0)), "2.04");
  assert.equal(await server.read("/5/0/5"), "0");
  assert.equal(await server.push(new Uint8Array()), "2.04");
  assert.equal(await server.read("/5/0/3"), "2");
});

test("a pull: fetched, verified, and its URI kept", async () => {
  await start();
  server.files.set("a", { bytes: IMAGE, etag: 1 });
  assert.equal(await server.write("/5/0/1", `${server.uri}/fw/a`), "2.04");
  await state("downloaded");
  assert.deepEqual(device.image(), IMAGE);
  assert.deepEqual(device.origin, { uri: `${server.uri}/fw/a`, etag: Uint8Array.of(1) });
  assert.equal(await server.read("/5/0/1"), `${server.uri}/fw/a`);
  assert.ok(events.some((event) => event.kind === "progress" && event.storedBytes === IMAGE.length));
});

test("rows 11, 21: a scheme nobody speaks, a file that is not there", async () => {
  await start();
  assert.equal(await server.write("/5/0/1", "ftp://127.0.0.1/a"), "4.00");
  assert.equal(await server.read("/5/0/5"), "9");
  assert.equal(await server.write("/5/0/1", `${server.uri}/fw/none`), "2.04");
  await state("idle");
  assert.equal(await server.read("/5/0/5"), "7");
});

test("R2: killed in the middle of a pull, it goes on where it was", async () => {
  await start();
  const bytes = Uint8Array.from(randomBytes(60_000)).fill(1, 0, 1);
  server.files.set("a", { bytes, etag: 1 });
  const reached = new Promise<void>((resolve) => {
    waiting.push({ isIt: (event) => event.kind === "progress" && event.storedBytes >= 20_000, resolve });
  });
  await server.write("/5/0/1", `${server.uri}/fw/a`);
  await reached;
  await agent.close({ saysGoodbye: false });
  const before = device.image().length;
  assert.ok(before < bytes.length);
  await start();
  await state("downloaded");
  assert.deepEqual(device.image(), bytes);
  assert.equal(device.calls.filter((call) => call === "openStream").length, 1, "nothing was fetched twice");
});

test("row 23: the image changed while the device was away: begun anew", async () => {
  server.files.set("a", { bytes: IMAGE, etag: 2 });
  device.handlers.openStream({ uri: `${server.uri}/fw/a`, etag: Uint8Array.of(1) });
  device.handlers.write(Uint8Array.from(IMAGE.subarray(0, 2048)).fill(9));
  device.persisted = { state: "downloading", result: "initial", uri: `${server.uri}/fw/a`, offset: 0 };
  await start();
  await state("downloaded");
  assert.deepEqual(device.image(), IMAGE);
});

test("R4: an image on trial tells success when it has registered, before the server can ask", async () => {
  device.persisted = { state: "updating", result: "initial" };
  const confirmed: string[] = [];
  await start({ handlers: { ...device.handlers, confirm: () => void confirmed.push("confirmed") } });
  assert.equal(await server.read("/5/0/5"), "1");
  assert.deepEqual(confirmed, ["confirmed"]);
  assert.equal(device.persisted.state, "idle");
});

test("a stranger is told nothing", async () => {
  await start();
  const stranger = await openScriptedServer();
  const response = await stranger.coap.request(server.device(), createRequest("get", "/3/0/0"));
  assert.equal(codeText(response.code), "4.01");
  await stranger.close();
});

test("a pull over HTTP, cut off once: resumed by Range and If-Match", async () => {
  const bytes = Uint8Array.from(randomBytes(200_000)).fill(1, 0, 1);
  const asked: string[] = [];
  const files = createServer((request, response) => {
    asked.push(`${request.headers.range ?? "all"} ${request.headers["if-match"] ?? "any"}`);
    const from = Number(/bytes=([0-9]+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const range = from > 0 ? { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {};
    response.writeHead(from > 0 ? 206 : 200, { etag: '"v1"', "content-length": bytes.length - from, ...range });
    if (from > 0) response.end(bytes.subarray(from));
    else response.write(bytes.subarray(0, 100_000), () => response.destroy());
  }).listen(0, "127.0.0.1");
  await once(files, "listening");
  const { port } = files.address() as AddressInfo;
  await start({ pullPolicy: { ...DEFAULT_PULL_POLICY, firstDelayMs: 1 } });
  await server.write("/5/0/1", `http://127.0.0.1:${port}/a`);
  await state("downloaded");
  files.close();
  assert.deepEqual(device.image(), bytes);
  assert.equal(asked[0], "all any");
  assert.match(asked[1] ?? "", /^bytes=[1-9][0-9]*- "v1"$/);
});

test("on a link that loses a tenth of all datagrams, a push and a pull arrive whole", async () => {
  const random = seeded(20_261_121);
  const lose = (): boolean => random() < 0.1;
  await server.close();
  server = await openScriptedServer(lose);
  const transmission = { ackTimeoutMs: 100, ackRandomFactor: 1.5, maxRetransmit: 8 };
  await start({ transmission, loss: lose });
  assert.equal(await server.push(IMAGE), "2.04");
  assert.deepEqual(device.image(), IMAGE);
  assert.equal(await server.write("/5/0/1", ""), "2.04");
  server.files.set("a", { bytes: IMAGE, etag: 1 });
  await server.write("/5/0/1", `${server.uri}/fw/a`);
  await state("downloaded");
  assert.deepEqual(device.image(), IMAGE);
});

/** One block of a push, as a request of its own with a token of its own. */
async function block(number: number, more: boolean): Promise<string> {
  const options = [
    uintOption(OPTION.contentFormat, CONTENT_FORMATS.opaque),
    blockOption(OPTION.block1, { number, more, sizeBytes: 64 }),
  ];
  const payload = IMAGE.subarray(64 * number, 64 * number + 64);
  const response = await server.coap.request(server.device(), createRequest("put", "/5/0/0", { options, payload }));
  return codeText(response.code);
}

test("lesson 4: a server that takes a new token for every block pushes all the same", async () => {
  await start();
  assert.deepEqual([await block(0, true), await block(1, true), await block(2, false)], ["2.31", "2.31", "2.04"]);
  assert.deepEqual(device.image(), IMAGE.subarray(0, 192));
});

test("lesson 5: block 0 sent again is not a new update", async () => {
  await start();
  assert.deepEqual([await block(0, true), await block(0, true), await block(1, false)], ["2.31", "2.31", "2.04"]);
  assert.deepEqual(device.image(), IMAGE.subarray(0, 128));
  assert.equal(device.calls.filter((call) => call === "openStream").length, 1);
});

test("lesson 8: the first request of a pull leaves the size of the blocks to the server", async () => {
  await start();
  server.files.set("a", { bytes: IMAGE, etag: 1 });
  await server.write("/5/0/1", `${server.uri}/fw/a`);
  await state("downloaded");
  assert.equal(findOption(server.fetches[0]?.options ?? [], OPTION.block2), undefined);
  assert.equal(server.fetches.length, Math.ceil(IMAGE.length / 1024), "no block is fetched twice");
});

test("§5.1.2: a change within pmin is held back, and removed attributes no longer hold it", async () => {
  await start();
  const { promise: told, resolve } = Promise.withResolvers<string>();
  const attributes = (query: string) =>
    server.ask(requestOf({ code: METHOD.put, uriPath: ["5", "0", "11"], uriQuery: [query] }));
  assert.equal(codeText((await attributes("pmin=3600")).code), "2.04");
  assert.match(await server.read("/5", CONTENT_FORMATS.linkFormat), /<\/5\/0\/11>;pmin=3600/);
  await server.coap.observe(server.device(), createRequest("get", "/5/0/11"), ({ payload }) =>
    resolve(decodeUtf8(payload) ?? ""),
  );
  assert.equal(await server.write("/5/0/11", "0"), "2.04");
  assert.equal(await Promise.race([told, server.read("/5/0/11").then((value) => `read ${value}`)]), "read 0");
  await attributes("pmin=");
  assert.equal(await told, "0");
});

test("row 29: a link that is down in the middle of a pull is waited for, and the pull goes on where it was", async () => {
  const bytes = Uint8Array.from(randomBytes(60_000)).fill(1, 0, 1);
  server.files.set("a", { bytes, etag: 1 });
  let isDown = false;
  await start({
    transmission: { ackTimeoutMs: 10, ackRandomFactor: 1, maxRetransmit: 2 },
    pullPolicy: { ...DEFAULT_PULL_POLICY, firstDelayMs: 1 },
    loss: () => isDown,
  });
  const paused = new Promise<void>((resolve) => {
    waiting.push({ isIt: (event) => event.kind === "pullPaused" && event.reason === "connection", resolve });
  });
  let hasBeenDown = false;
  waiting.push({
    isIt: (event) => event.kind === "progress" && event.storedBytes >= 20_000 && !hasBeenDown,
    resolve: () => {
      hasBeenDown = true;
      isDown = true;
    },
  });
  await server.write("/5/0/1", `${server.uri}/fw/a`);
  await paused;
  assert.equal(agent.state, "downloading");
  isDown = false;
  await state("downloaded");
  assert.deepEqual(device.image(), bytes);
  assert.equal(device.calls.filter((call) => call === "openStream").length, 1);
});
