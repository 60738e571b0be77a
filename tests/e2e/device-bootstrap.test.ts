/** From a factory credential to a key of the device's own, over real DTLS; and everything that may go wrong on the way. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { createUpdateAgent, type UpdateAgent } from "@airlift/device/agent";
import type { AgentEvent, UpdateAgentOptions } from "@airlift/device/agent-options";
import type { BootstrapOptions, CredentialStore } from "@airlift/device/bootstrap-options";
import { createCredentialFile } from "@airlift/device/node/credential-file";
import { CODE } from "@airlift/protocol/coap/codes";
import { createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { uriPath } from "@airlift/protocol/coap/options";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { entriesOfAccount, readAccounts } from "@airlift/protocol/lwm2m/bootstrap/accounts";
import { bootstrapFinish, bootstrapWrite } from "@airlift/protocol/lwm2m/bootstrap/messages";
import { toCoapRequest } from "@airlift/protocol/lwm2m/coap-mapping";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { STANDARD_MODELS } from "@airlift/protocol/lwm2m/objects/standard";
import type { Path } from "@airlift/protocol/lwm2m/path";
import { encodePayload } from "@airlift/protocol/lwm2m/payload";
import { CoapNode } from "@airlift/runtime/coap-node";
import { type DtlsPeer, type DtlsServer, openDtlsServer } from "@airlift/runtime/dtls";
import { BootstrapDoor, type BootstrapNews } from "@airlift/server/links/bootstrap-door";
import pino from "pino";
import { createMemoryDevice, type MemoryDevice } from "./memory-handlers.ts";
import { type ScriptedServer, scriptServer } from "./scripted-server.ts";

const HOST = "127.0.0.1";
const FACTORY = { identity: "factory-7", key: encodeUtf8("made at factory!") };
const IMAGE = Uint8Array.from(randomBytes(20_000)).fill(0x11, 0, 1);

let folder: string;
let device: MemoryDevice;
let agent: UpdateAgent | undefined;
let events: AgentEvent[];
let waiting: { readonly isIt: (event: AgentEvent) => boolean; readonly resolve: (event: AgentEvent) => void }[];
let management: ScriptedServer;
let bootstrap: { readonly dtls: DtlsServer; readonly node: CoapNode<DtlsPeer>; readonly uri: string };
let door: BootstrapDoor | undefined;
let news: BootstrapNews[];
/** What the server has issued, by identity. */
let keys: Map<string, Uint8Array>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "airlift-bootstrap-"));
  device = createMemoryDevice();
  [events, waiting, news, keys] = [[], [], [], new Map()];
  const dtls = await openDtlsServer({
    udp: { host: HOST },
    credentials: { psk: async (identity) => keys.get(identity) },
  });
  management = scriptServer(new CoapNode(dtls), `coaps://${HOST}:${dtls.address.port}`);
  const psk = async (identity: string) => (identity === FACTORY.identity ? FACTORY.key : undefined);
  const own = await openDtlsServer({ udp: { host: HOST }, credentials: { psk } });
  bootstrap = { dtls: own, node: new CoapNode<DtlsPeer>(own), uri: `coaps://${HOST}:${own.address.port}` };
});

afterEach(async () => {
  await agent?.close();
  door?.close();
  agent = undefined;
  door = undefined;
  await management.close();
  await bootstrap.node.close();
  await rm(folder, { recursive: true });
});

/** A bootstrap server such as ours, for devices of this scope. */
function openDoor(scope = "node-1", serverUri: () => string = () => management.uri): void {
  let count = 0;
  const used = new Set<string>();
  door = new BootstrapDoor({
    credentials: {
      scopeOf: async ({ name }) => (name === FACTORY.identity ? scope : undefined),
      isInUse: async (endpoint) => used.has(endpoint),
      issueDeviceCredential: async (endpoint) => {
        count += 1;
        const issued = { identity: `${endpoint}-${count}`, key: Uint8Array.from(randomBytes(16)) };
        keys.set(issued.identity, issued.key);
        used.add(endpoint);
        return issued;
      },
    },
    log: pino({ level: "silent" }),
    serverUri: async () => serverUri(),
    onNews: (each) => void news.push(each),
  });
  const { node } = bootstrap;
  node.serve((request, peer) => {
    const { identity, address } = peer;
    const proven = identity.kind === "anonymous" ? undefined : { kind: identity.kind, name: identity.name };
    const ask = (asked: Parameters<typeof node.requestWhole>[1]) => node.requestWhole(peer, asked);
    return door?.answer(request, { identity: proven, address: address.key, request: ask }) ?? assert.fail();
  });
}

async function start(
  options: Partial<UpdateAgentOptions> = {},
  how: Partial<BootstrapOptions> = {},
): Promise<CredentialStore> {
  const store = createCredentialFile(join(folder, "credentials"));
  agent = createUpdateAgent({
    endpoint: "node-1",
    bootstrap: {
      server: bootstrap.uri,
      credentials: { psk: FACTORY },
      store,
      retry: { firstDelayMs: 20, longestDelayMs: 100 },
      ...how,
    },
    handlers: device.handlers,
    store: device.store,
    identity: { manufacturer: "Example", model: "M1", serialNumber: "7", firmwareVersion: "1.0.0" },
    registrationRetry: { firstDelayMs: 10, longestDelayMs: 50, limit: { tries: 2, sequences: 1, restMs: 20 } },
    onEvent: (event) => {
      events.push(event);
      for (const { isIt, resolve } of waiting) if (isIt(event)) resolve(event);
    },
    ...options,
  });
  await agent.start();
  return store;
}

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

for (const lwm2mVersion of ["1.0", "1.1", "1.2"] as const) {
  test(`from a factory credential to an update over coaps, LwM2M ${lwm2mVersion}`, async () => {
    openDoor();
    const store = await start({ lwm2mVersion });
    await management.registered();
    assert.equal((await event("bootstrapped")).server, management.uri);
    assert.equal(management.registrations[0]?.endpoint, "node-1");
    assert.deepEqual([...keys.keys()], ["node-1-1"]);
    management.files.set("app", { bytes: IMAGE, etag: 1 });
    assert.equal(await management.write("/5/0/1", `${management.uri}/fw/app`), "2.04");
    await event("state", ({ state }) => state === "downloaded");
    assert.deepEqual(device.image(), IMAGE);
    const { former, untried } = await store.load();
    assert.equal(untried, undefined);
    assert.deepEqual(readAccounts(former ?? []).accounts[0]?.security, {
      mode: "psk",
      identity: "node-1-1",
      key: keys.get("node-1-1"),
    });
    assert.deepEqual(
      news.map(({ outcome, endpoint }) => `${outcome} ${endpoint}`),
      ["done node-1"],
    );
  });
}

test("a restart needs no bootstrap server; the file is its owner's alone", async () => {
  openDoor();
  await start();
  await event("bootstrapped");
  await agent?.close();
  await bootstrap.node.close();
  [events, waiting] = [[], []];
  await start();
  await event("registered");
  assert.equal(
    events.some(({ kind }) => kind === "bootstrapping"),
    false,
  );
  assert.equal((await stat(join(folder, "credentials", "state-1"))).mode & 0o777, 0o600);
});

test("Bootstrap-Request Trigger (/1/0/9): a new key while the old one works; a normal server has no say in object 0", async () => {
  openDoor();
  await start();
  await event("bootstrapped");
  assert.equal(await management.read("/1/0/0"), "1");
  assert.equal(await management.read("/0/1/5"), "4.01");
  assert.equal(await management.write("/0/1/5", "x"), "4.01");
  assert.equal(await management.execute("/bs"), "4.04");
  const erase = createRequest("delete", "/");
  assert.equal((await management.coap.request(management.device(), erase)).code, CODE.methodNotAllowed);
  await management.registered();
  assert.equal(await management.execute("/1/0/9"), "2.04");
  await management.registered();
  await event("bootstrapped", (each) => each !== events.find(({ kind }) => kind === "bootstrapped"));
  assert.deepEqual([...keys.keys()], ["node-1-1", "node-1-2"]);
});

test("LwM2M 1.2: everything in one pack", async () => {
  openDoor();
  await start({ lwm2mVersion: "1.2" }, { pack: true });
  await management.registered();
  await event("bootstrapped");
  assert.equal(news[0]?.sentence, "the device was given a pack with a key of its own");
});

test("a name that the factory credential is not for is refused, and told on both sides", async () => {
  openDoor("node-2");
  await start();
  const failed = await event("bootstrapFailed");
  assert.equal(failed.reason, "the bootstrap server refused with 4.03");
  assert.match(news[0]?.sentence ?? "", /"node-1": its credential is for node-2 alone/);
  assert.equal(keys.size, 0);
});

test("a credential that a batch shares is good once for each name", async () => {
  openDoor("node-*");
  await start();
  await event("bootstrapped");
  await agent?.close();
  await rm(join(folder, "credentials"), { recursive: true });
  [events, waiting] = [[], []];
  await start();
  await event("bootstrapFailed");
  assert.match(news.at(-1)?.sentence ?? "", /the name is in use/);
});

test("a wrong factory key is one sentence", async () => {
  openDoor();
  await start({}, { credentials: { psk: { ...FACTORY, key: encodeUtf8("another factory!") } } });
  const { reason } = await event("bootstrapFailed");
  assert.equal(reason, "no secure session with the server: the server knows another key for this identity");
});

test("what cannot register is rolled back to what worked", async () => {
  let uri = management.uri;
  openDoor("node-1", () => uri);
  await start({ transmission: { ackTimeoutMs: 20, ackRandomFactor: 1, maxRetransmit: 0 } });
  await event("bootstrapped");
  await management.registered();
  // Nobody listens there.
  uri = "coaps+tcp://127.0.0.1:9";
  assert.equal(await management.execute("/1/0/9"), "2.04");
  await event("registrationFailed");
  await management.registered();
  assert.equal(await management.read("/3/0/0"), "Example");
});

test("a server that is away for long, and says so in its account: the device asks for another", async () => {
  openDoor();
  const transmission = { ackTimeoutMs: 20, ackRandomFactor: 1, maxRetransmit: 0 };
  await start({ transmission });
  await event("bootstrapped");
  management.isRefusing = true;
  assert.equal(await management.execute("/1/0/8"), "2.04");
  keys.clear();
  await agent?.close();
  [events, waiting] = [[], []];
  await start({ transmission });
  await event("registrationFailed");
  await event("bootstrapping");
});

// ---- bootstrap servers that bend the rules ----

/** Answers 2.04 to the request, then does what `act` does. */
function bend(act: (ask: (request: Parameters<typeof toCoapRequest>[0]) => Promise<string>) => Promise<void>): void {
  const { node } = bootstrap;
  node.serve((request, peer) => {
    assert.deepEqual(uriPath(request.options), ["bs"]);
    const ask = async (asked: Parameters<typeof toCoapRequest>[0]) => {
      const { code } = await node.requestWhole(peer, toCoapRequest(asked));
      return `${code >> 5}.${String(code & 31).padStart(2, "0")}`;
    };
    setImmediate(() => void act(ask).catch(() => undefined));
    return createResponse(CODE.changed);
  });
}

function instance(path: Path, entries: ReturnType<typeof entriesOfAccount>["security"]) {
  const contentFormat = CONTENT_FORMATS.senmlCbor;
  return bootstrapWrite(path, {
    contentFormat,
    payload: encodePayload(contentFormat, entries, { base: path, models: STANDARD_MODELS }),
  });
}

test("a server that never finishes is given up, and asked again", async () => {
  let visits = 0;
  bend(async () => {
    visits += 1;
  });
  const store = await start({}, { silenceMs: 30 });
  const failed = await event("bootstrapFailed");
  assert.equal(failed.code, "BOOTSTRAP_SILENCE");
  await event("bootstrapping", (each) => each !== events.find(({ kind }) => kind === "bootstrapping"));
  assert.ok(visits >= 1);
  assert.deepEqual(await store.load(), { former: undefined, untried: undefined });
});

test("an agent that is closed in the middle of it is gone at once, and has what it had", async () => {
  const begun = Promise.withResolvers<void>();
  bend(async () => begun.resolve());
  const store = await start();
  await begun.promise;
  await agent?.close();
  assert.deepEqual(await store.load(), { former: undefined, untried: undefined });
});

test("wrong order, half an account, a scheme that nobody speaks: Finish is 4.06, and then comes what fits", async () => {
  const codes: string[] = [];
  keys.set("node-1", encodeUtf8("sixteen octets!!"));
  const account = {
    uri: management.uri,
    security: { mode: "psk", identity: "node-1", key: encodeUtf8("sixteen octets!!") },
    shortServerId: 3,
    lifetimeS: 60,
    binding: "U",
  } as const;
  bend(async (ask) => {
    const at = { securityInstance: 1, serverInstance: 4 };
    codes.push(await ask(bootstrapFinish()));
    codes.push(await ask(instance([1, 4], entriesOfAccount(account, at).server)));
    codes.push(await ask(bootstrapFinish()));
    codes.push(await ask(instance([0, 1], entriesOfAccount({ ...account, uri: "mqtt://a" }, at).security)));
    codes.push(await ask(bootstrapFinish()));
    codes.push(await ask(instance([0, 1], entriesOfAccount({ ...account, uri: "coap://a" }, at).security)));
    codes.push(await ask(bootstrapFinish()));
    codes.push(await ask(instance([0, 1], entriesOfAccount(account, at).security)));
    codes.push(await ask(bootstrapFinish()));
  });
  await start();
  await event("bootstrapped");
  assert.deepEqual(codes.slice(0, 8), ["4.06", "2.04", "4.06", "2.04", "4.06", "2.04", "4.06", "2.04"]);
  assert.equal(await management.read("/1/4/0"), "3", "the instance that the server chose");
  assert.equal(management.registrations[0]?.lifetimeS, 60);
});
