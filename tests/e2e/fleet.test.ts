/** A simulated fleet against a scripted server. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { makeMcubootImage } from "@airlift/protocol/image/make-mcuboot";
import { generateSigningKey, imageCrypto, loadSigningKey } from "@airlift/runtime/crypto";
import { Fleet } from "@airlift/sim/node/fleet";
import { seeded } from "@airlift/sim/world";
import { openScriptedServer, type ScriptedServer } from "./scripted-server.ts";

let server: ScriptedServer;
let fleet: Fleet;

beforeEach(async () => {
  server = await openScriptedServer();
});

afterEach(async () => {
  await fleet.stop();
  await server.close();
});

async function start(count: number, failShare: number): Promise<void> {
  fleet = new Fleet({
    count,
    server: server.uri,
    endpointPrefix: "sim",
    version: "1.0.0",
    manufacturer: "Example",
    model: "M1",
    loss: 0,
    failShare,
    random: seeded(7),
  });
  await fleet.start();
  do await server.registered();
  while (server.registrations.length < count);
}

function image(): Uint8Array {
  const version = { major: 2, minor: 0, revision: 0, build: 0 };
  const key = loadSigningKey(generateSigningKey("ed25519").privatePem);
  return makeMcubootImage(new Uint8Array(3_000), { version }, { crypto: imageCrypto, key });
}

test("every device of the fleet registers under a name of its own", async () => {
  await start(30, 0);
  const names = new Set(server.registrations.map(({ endpoint }) => endpoint));
  assert.equal(names.size, 30);
  assert.ok(names.has("sim-1") && names.has("sim-30"));
  assert.deepEqual(fleet.summary.versions, { "1.0.0": 30 });
});

test("a simulated device restarts into the version of the image", async () => {
  await start(1, 0);
  assert.equal(await server.push(image()), "2.04");
  assert.equal(await server.execute("/5/0/2"), "2.04");
  await server.registered();
  assert.equal(await server.read("/3/0/3"), "2.0.0");
  assert.equal(await server.read("/5/0/5"), "1");
  assert.deepEqual(fleet.summary.versions, { "2.0.0": 1 });
});
