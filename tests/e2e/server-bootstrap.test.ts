/** The whole way at the real server: factory credential → bootstrap → registered with a key of its own → updated, over coaps alone. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { createUpdateAgent, type UpdateAgent } from "@airlift/device/agent";
import type { AgentEvent } from "@airlift/device/agent-options";
import { createCredentialFile } from "@airlift/device/node/credential-file";
import { fromHex } from "@airlift/protocol/lib/bytes";
import { bootstrapKeys } from "@airlift/server/fleet/bootstrap-keys";
import { Lwm2mServer } from "@airlift/server/links/lwm2m-server";
import { loadServerIdentity } from "@airlift/server/links/server-identity";
import { openScratchStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import { pino } from "pino";
import { createMemoryDevice } from "./memory-handlers.ts";

const HOST = "127.0.0.1";
const image = randomBytes(100_000).fill(0x11, 0, 1);
let scratch: ScratchStores;
let server: Lwm2mServer;
let agent: UpdateAgent | undefined;

before(async () => {
  scratch = await openScratchStores();
  const place = { host: HOST };
  const { credentials } = scratch.stores;
  server = await Lwm2mServer.open({
    stores: scratch.stores,
    log: pino({ level: "silent" }),
    ...{ udp: place, dtls: place, tcp: place, tls: place, credentials },
    identity: await loadServerIdentity({ dataDir: scratch.folder, certificateFile: null, keyFile: null }),
    publicHost: null,
    httpPort: () => 0,
    bootstrap: bootstrapKeys(credentials),
  });
});
/** A key as `airlift device-key add` gives it out. */
async function give(endpoint: string, purpose: "device" | "bootstrap") {
  const { identity, key } = await scratch.stores.credentials.add(endpoint, { kind: "psk", purpose });
  return { identity, key: fromHex(key ?? "") ?? assert.fail("no key") };
}

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
    const factory = await give(endpoint, "bootstrap");
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
  const psk = await give("plain", "device");
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
  await agent.close();
});

test("a factory credential does not register", async () => {
  const psk = await give("eager", "bootstrap");
  const refused = Promise.withResolvers<string>();
  agent = createUpdateAgent({
    endpoint: "eager",
    server: `coaps://${HOST}:${server.addressOf("dtls")?.port}`,
    credentials: { psk },
    handlers: createMemoryDevice().handlers,
    identity: { manufacturer: "Example", model: "Pump", serialNumber: "7", firmwareVersion: "1.0.0" },
    onEvent: (event) => event.kind === "registrationFailed" && refused.resolve(event.code),
  });
  await agent.start();
  assert.equal(await refused.promise, "4.03");
  await agent.close();
});

test("bootstrapped again and again, a device has one key in use and at most one that waits", async () => {
  const keys = bootstrapKeys(scratch.stores.credentials);
  for (let count = 0; count < 6; count += 1) await keys.issueDeviceCredential("restless");
  const kept = await scratch.stores.credentials.list("restless");
  assert.ok(kept.length <= 2, `${kept.length} keys`);
});

test("devices of a batch share what the factory put in, and each gets a key of its own", async () => {
  const psk = await give("batch-7-*", "bootstrap");
  for (const endpoint of ["batch-7-0001", "batch-7-0002"]) {
    const bootstrapped = Promise.withResolvers<void>();
    agent = createUpdateAgent({
      endpoint,
      bootstrap: {
        server: `coaps://${HOST}:${server.addressOf("dtls")?.port}`,
        credentials: { psk },
        store: createCredentialFile(join(scratch.folder, endpoint)),
      },
      handlers: createMemoryDevice().handlers,
      identity: { manufacturer: "Example", model: "Pump", serialNumber: endpoint, firmwareVersion: "1.0.0" },
      onEvent: (event) => {
        if (event.kind === "bootstrapped") bootstrapped.resolve();
        if (event.kind === "bootstrapFailed") bootstrapped.reject(new Error(event.reason));
      },
    });
    await agent.start();
    await bootstrapped.promise;
    await agent.close();
    assert.equal((await scratch.stores.credentials.list(endpoint)).length, 1);
  }
});
