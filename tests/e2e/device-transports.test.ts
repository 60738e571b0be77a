/** The update agent over every secured and every reliable transport, on real sockets of this machine. */
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { createUpdateAgent, type UpdateAgent } from "@airlift/device/agent";
import type { AgentEvent, UpdateAgentOptions } from "@airlift/device/agent-options";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { CoapNode } from "@airlift/runtime/coap-node";
import { type CoapTcp, openCoapTcp } from "@airlift/runtime/coap-tcp";
import { type DtlsServer, openDtlsServer } from "@airlift/runtime/dtls";
import type { DtlsServerCredentials } from "@airlift/runtime/dtls-credentials";
import type { ServerSecurity } from "@airlift/runtime/tls";
import { createAuthority, skipWithoutOpenssl } from "../certificates.ts";
import { createMemoryDevice, type MemoryDevice } from "./memory-handlers.ts";
import { type ScriptedServer, scriptServer } from "./scripted-server.ts";

const HOST = "127.0.0.1";
const IMAGE = Uint8Array.from(randomBytes(40_000)).fill(0x11, 0, 1);
const PSK = { identity: "node-1", key: encodeUtf8("sixteen octets!!") };
const skip = skipWithoutOpenssl();

let device: MemoryDevice;
let agent: UpdateAgent | undefined;
let servers: ScriptedServer[] = [];
let events: AgentEvent[] = [];
let waiting: { readonly isIt: (event: AgentEvent) => boolean; readonly resolve: (event: AgentEvent) => void }[] = [];

afterEach(async () => {
  await agent?.close();
  for (const server of servers) await server.close();
  agent = undefined;
  servers = [];
});

async function start(server: string, options: Partial<UpdateAgentOptions>): Promise<void> {
  device = createMemoryDevice();
  events = [];
  waiting = [];
  agent = createUpdateAgent({
    endpoint: "node-1",
    server,
    handlers: device.handlers,
    store: device.store,
    identity: { manufacturer: "Example", model: "M1", serialNumber: "7", firmwareVersion: "1.0.0" },
    registrationRetry: { firstDelayMs: 20, longestDelayMs: 100 },
    onEvent: (event) => {
      events.push(event);
      for (const { isIt, resolve } of waiting) if (isIt(event)) resolve(event);
    },
    ...options,
  });
  await agent.start();
}

/** The first event that `isIt`, of the past or the future. */
function event<Kind extends AgentEvent["kind"]>(
  kind: Kind,
  isIt: (event: Extract<AgentEvent, { kind: Kind }>) => boolean = () => true,
): Promise<Extract<AgentEvent, { kind: Kind }>> {
  type Wanted = Extract<AgentEvent, { kind: Kind }>;
  const found = (each: AgentEvent): boolean => each.kind === kind && isIt(each as Wanted);
  const past = events.find(found);
  if (past) return Promise.resolve(past as Wanted);
  return new Promise((resolve) => waiting.push({ isIt: found, resolve: (each) => resolve(each as Wanted) }));
}

const stateIs = (state: string): Promise<AgentEvent> => event("state", (each) => each.state === state);

async function overDtls(
  credentials: DtlsServerCredentials,
  port = 0,
): Promise<{ server: ScriptedServer; dtls: DtlsServer }> {
  const dtls = await openDtlsServer({ udp: { host: HOST, port }, credentials });
  const server = scriptServer(new CoapNode(dtls), `coaps://${HOST}:${dtls.address.port}`);
  servers.push(server);
  return { server, dtls };
}

async function overTcp(security?: ServerSecurity, port = 0): Promise<{ server: ScriptedServer; tcp: CoapTcp }> {
  const tcp = await openCoapTcp({ listen: { host: HOST, port, security } });
  const server = scriptServer(tcp, `coap${security ? "s" : ""}+tcp://${HOST}:${tcp.address?.port}`);
  servers.push(server);
  return { server, tcp };
}

/** Registered, read, and fed an image over the very session that it registered with. */
async function updatesOver(server: ScriptedServer, options: Partial<UpdateAgentOptions>): Promise<void> {
  await start(server.uri, options);
  await server.registered();
  const own = server.device().key;
  assert.equal(await server.read("/3/0/0"), "Example");
  server.files.set("app", { bytes: IMAGE, etag: 1 });
  assert.equal(await server.write("/5/0/1", `${server.uri}/fw/app`), "2.04");
  await stateIs("downloaded");
  assert.deepEqual(device.image(), IMAGE);
  assert.ok(server.fetchedFrom.every(({ key }) => key === own));
}

const psk = async (identity: string): Promise<Uint8Array | undefined> =>
  identity === PSK.identity ? PSK.key : undefined;

test("coaps with a pre-shared key: registers, answers, pulls over the same session, says goodbye", async () => {
  const { server } = await overDtls({ psk });
  await updatesOver(server, { credentials: { psk: PSK } });
  assert.equal(server.registrations[0]?.binding, "U");
  await agent?.close();
  assert.deepEqual(server.deregistrations, ["rd/1"]);
});

function rawKeyPair(): { keyPem: string; publicPem: string } {
  const pair = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  return { keyPem: pair.privateKey, publicPem: pair.publicKey };
}

test("coaps with raw public keys (RFC 7250)", async () => {
  const [ours, theirs] = [rawKeyPair(), rawKeyPair()];
  const { server } = await overDtls({ rpk: { keyPem: theirs.keyPem }, trust: { rpk: () => "node-1" } });
  await updatesOver(server, { credentials: { rpk: { keyPem: ours.keyPem }, trust: { rpkPem: theirs.publicPem } } });
});

test("coaps and coaps+tcp with certificates", { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "airlift-transports-"));
  try {
    const authority = createAuthority(folder);
    const [theirs, ours] = [authority.issue("server"), authority.issue("node-1")];
    const credentials = {
      certificate: { chainPem: ours.certificate, keyPem: ours.privateKey },
      trust: { certificatesPem: authority.certificate },
    };
    const { server } = await overDtls({
      certificate: { chainPem: theirs.certificate, keyPem: theirs.privateKey },
      trust: { certificatesPem: authority.certificate },
    });
    await updatesOver(server, { credentials });
    await agent?.close();
    const { certificate, privateKey } = theirs;
    const secured = await overTcp({ certificate, privateKey, trust: authority.certificate });
    await updatesOver(secured.server, { credentials });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("coap+tcp: registers with binding T, and pulls over the same connection", async () => {
  const { server } = await overTcp();
  await updatesOver(server, {});
  assert.equal(server.registrations[0]?.binding, "T");
});

test("coaps+tcp with a pre-shared key", async () => {
  const { server } = await overTcp({ pskOf: (identity) => (identity === PSK.identity ? PSK.key : undefined) });
  await updatesOver(server, { credentials: { psk: PSK } });
});

test("a connection that falls is made anew, and the device registers again", async () => {
  const { server, tcp } = await overTcp();
  await start(server.uri, {});
  await server.registered();
  tcp.disconnect(server.device() as Parameters<CoapTcp["disconnect"]>[0]);
  await server.registered();
  assert.equal(await server.read("/3/0/0"), "Example");
  assert.equal((await event("registrationFailed")).code, "CONNECTION_LOST");
});

test("a server that lost its sessions is found again: no answer leads to a new handshake", async () => {
  const { server, dtls } = await overDtls({ psk });
  const transmission = { ackTimeoutMs: 50, ackRandomFactor: 1, maxRetransmit: 1 };
  await start(server.uri, { credentials: { psk: PSK }, transmission, lifetimeS: 1 });
  await server.registered();
  const { port } = dtls.address;
  await server.close();
  const second = await overDtls({ psk }, port);
  await second.server.registered();
  assert.equal(await second.server.read("/3/0/0"), "Example");
});

test("a refused handshake is one sentence with the reason's code", async () => {
  const { server } = await overDtls({ psk });
  await start(server.uri, { credentials: { psk: { ...PSK, key: encodeUtf8("sixteen others!!") } } });
  const failed = await event("registrationFailed");
  assert.equal(failed.reason, "no secure session with the server: the server knows another key for this identity");
  assert.equal(failed.code, "PEER_REFUSED");
  await agent?.close();
  await start(server.uri, { credentials: { psk: { ...PSK, identity: "stranger" } } });
  assert.match((await event("registrationFailed")).reason, /the server knows no key for this PSK identity/);
  await agent?.close();
  const other = rawKeyPair();
  await start(server.uri, { credentials: { trust: { rpkPem: other.publicPem } } });
  assert.match((await event("registrationFailed")).reason, /no cipher suite in common/);
});

test("TLS: the same sentences", async () => {
  const { server } = await overTcp({ pskOf: (identity) => (identity === PSK.identity ? PSK.key : undefined) });
  await start(server.uri, { credentials: { psk: { ...PSK, identity: "stranger" } } });
  const failed = await event("registrationFailed");
  assert.match(failed.reason, /^no secure connection with the server: the server knows/);
  assert.equal(failed.code, "TLS_FAILED");
});

test("a package on another server is pulled over coaps with what securityFor says", async () => {
  const { server } = await overTcp();
  const other = await overDtls({ psk: () => encodeUtf8("the other secret") });
  other.server.files.set("app", { bytes: IMAGE, etag: 1 });
  await start(server.uri, {});
  await server.registered();
  device.handlers.securityFor = (uri) =>
    uri.startsWith(other.server.uri)
      ? { kind: "psk", identity: "fetcher", key: encodeUtf8("the other secret") }
      : undefined;
  assert.equal(await server.write("/5/0/1", `${other.server.uri}/fw/app`), "2.04");
  await stateIs("downloaded");
  assert.deepEqual(device.image(), IMAGE);
  assert.equal(await server.write("/5/0/1", ""), "2.04");
  assert.equal(await server.write("/5/0/1", "coaps://127.0.0.1:9/app"), "2.04");
  await event("state", ({ result }) => result === "unsupportedProtocol");
});

test("a socket of its own towards the server uses the server's credentials", async () => {
  const { server } = await overDtls({ psk });
  await start(server.uri, { credentials: { psk: PSK }, sameSocketDownloads: false });
  await server.registered();
  server.files.set("app", { bytes: IMAGE, etag: 1 });
  assert.equal(await server.write("/5/0/1", `${server.uri}/fw/app`), "2.04");
  await stateIs("downloaded");
  assert.ok(server.fetchedFrom.every(({ key }) => key !== server.device().key));
});

test("credentials that do not fit the server are told before anything begins", () => {
  const mistakesOf = (server: string, credentials?: UpdateAgentOptions["credentials"]): readonly string[] => {
    try {
      createUpdateAgent({
        endpoint: "node-1",
        server,
        handlers: createMemoryDevice().handlers,
        identity: { manufacturer: "Example", model: "M1", serialNumber: "7", firmwareVersion: "1.0.0" },
        ...(credentials && { credentials }),
      });
      return [];
    } catch (error) {
      return (error as { facts: { mistakes: string[] } }).facts.mistakes;
    }
  };
  assert.match(mistakesOf("coaps://a")[0] ?? "", /coaps needs a pre-shared key/);
  assert.match(mistakesOf("coap://a", { psk: PSK })[0] ?? "", /coap is not secured/);
  assert.match(mistakesOf("coaps://a", { psk: { ...PSK, identity: "" } })[0] ?? "", /identity has 1/);
  assert.match(mistakesOf("coaps://a", { psk: { ...PSK, key: new Uint8Array() } })[0] ?? "", /key has 1/);
  assert.match(mistakesOf("coaps://a", { rpk: { keyPem: "" } })[0] ?? "", /whom it trusts/);
  assert.match(mistakesOf("coaps+tcp://a", { trust: { rpkPem: "x" } })[0] ?? "", /not over coaps\+tcp/);
  assert.match(mistakesOf("coaps://a", { psk: PSK, rpk: { keyPem: "" } })[0] ?? "", /only one of them/);
  assert.match(mistakesOf("https://a")[0] ?? "", /^server: not coap/);
  assert.deepEqual(mistakesOf("coaps://a", { psk: PSK }), []);
});
