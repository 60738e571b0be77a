/** The whole way at the real server: factory credential → bootstrap → registered with a key of its own → updated, over coaps alone. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { createUpdateAgent, type UpdateAgent } from "@airlift/device/agent";
import type { AgentEvent } from "@airlift/device/agent-options";
import { createCredentialFile } from "@airlift/device/node/credential-file";
import { Lwm2mServer } from "@airlift/server/links/lwm2m-server";
import { loadServerIdentity } from "@airlift/server/links/server-identity";
import { openScratchStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import { pino } from "pino";
import { MemoryCredentials } from "./memory-credentials.ts";
import { createMemoryDevice } from "./memory-handlers.ts";

const HOST = "127.0.0.1";
const image = randomBytes(100_000).fill(0x11, 0, 1);
const credentials = new MemoryCredentials();
/** What the factory has put in, by PSK identity. */
const scopes = new Map<string, string>();
let scratch: ScratchStores;
let server: Lwm2mServer;
let agent: UpdateAgent | undefined;

before(async () => {
  scratch = await openScratchStores();
  const place = { host: HOST };
  server = await Lwm2mServer.open({
    stores: scratch.stores,
    log: pino({ level: "silent" }),
    ...{ udp: place, dtls: place, tcp: place, tls: place, credentials },
    identity: await loadServerIdentity({ dataDir: scratch.folder, certificateFile: null, keyFile: null }),
    publicHost: null,
    httpPort: () => 0,
    bootstrap: {
      scopeOf: async ({ name }) => scopes.get(name),
      isInUse: async () => false,
      issueDeviceCredential: async (endpoint) => credentials.give(endpoint, `${endpoint}-own`),
    },
  });
});
after(async () => {
  await agent?.close();
  await server.close();
  await scratch.close();
});

for (const [transport, scheme] of [
  ["dtls", "coaps"],
  ["tls", "coaps+tcp"],
] as const) {
  test(`bootstrapped over ${scheme}, the device takes an update over the session with its own key`, async () => {
    const endpoint = `from-${transport}`;
    const factory = credentials.give(`factory of ${endpoint}`, `factory-${transport}`);
    scopes.set(factory.identity, endpoint);
    const device = createMemoryDevice();
    const downloaded = Promise.withResolvers<void>();
    const bootstrapped = Promise.withResolvers<AgentEvent>();
    agent = createUpdateAgent({
      endpoint,
      bootstrap: {
        server: `${scheme}://${HOST}:${server.addressOf(transport)?.port}`,
        credentials: { psk: factory },
        store: createCredentialFile(join(scratch.folder, endpoint)),
      },
      handlers: device.handlers,
      store: device.store,
      identity: { manufacturer: "Example", model: "Pump", serialNumber: "7", firmwareVersion: "1.0.0" },
      onEvent: (event) => {
        if (event.kind === "bootstrapped") bootstrapped.resolve(event);
        if (event.kind === "bootstrapFailed") bootstrapped.reject(new Error(event.reason));
        if (event.kind === "state" && event.state === "downloaded") downloaded.resolve();
      },
    });
    await agent.start();
    const told = await bootstrapped.promise;
    assert.deepEqual(told, { kind: "bootstrapped", server: `coaps://${HOST}:${server.addressOf("dtls")?.port}` });
    await scratch.stores.devices.flush();
    assert.equal((await scratch.stores.devices.get(endpoint))?.transport, "dtls");
    const name = { manufacturer: "Example", model: "Pump", version: `2.0.${scheme.length}`, hardware: [] };
    const { image: stored } = await scratch.stores.images.add(Readable.from([image]), name);
    const update = await scratch.stores.updates.create({ endpoint, imageId: stored.id, by: "pull", apply: false });
    await server.engine.start(update);
    await downloaded.promise;
    assert.deepEqual(device.image(), Uint8Array.from(image));
    const events = await scratch.stores.events.after({ endpoint }, 100);
    assert.ok(events.some(({ kind, sentence }) => kind === "device.bootstrapped" && /a key of its own/.test(sentence)));
    await agent.close();
  });
}

test("a device's own credential is not good for bootstrapping", async () => {
  const refused = Promise.withResolvers<string>();
  const psk = credentials.give("plain", "plain-own");
  agent = createUpdateAgent({
    endpoint: "plain",
    bootstrap: {
      server: `coaps://${HOST}:${server.addressOf("dtls")?.port}`,
      credentials: { psk },
      store: createCredentialFile(join(scratch.folder, "plain")),
    },
    handlers: createMemoryDevice().handlers,
    identity: { manufacturer: "Example", model: "Pump", serialNumber: "7", firmwareVersion: "1.0.0" },
    onEvent: (event) => event.kind === "bootstrapFailed" && refused.resolve(event.reason),
  });
  await agent.start();
  assert.equal(await refused.promise, "the bootstrap server refused with 4.03");
});
