/** The device's agent, over DTLS, against a LwM2M server on Leshan's libraries and Scandium's DTLS. */
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createUpdateAgent, type UpdateAgent } from "@airlift/device/agent";
import type { UpdateAgentOptions } from "@airlift/device/agent-options";
import type { ServerCredentials } from "@airlift/device/credentials";
import { createAuthority } from "../certificates.ts";
import { Gateway } from "../e2e/gateway.ts";
import { createMemoryDevice } from "../e2e/memory-handlers.ts";
import { openScriptedServer } from "../e2e/scripted-server.ts";
import { hexOfCertificate, hexOfPem, type LeshanServer, skipWithoutLeshan, startLeshanServer } from "./leshan-peers.ts";

const skip = skipWithoutLeshan();
const HOST = "127.0.0.1";
const IMAGE = Uint8Array.from(randomBytes(50_000)).fill(0x11, 0, 1);
const folder = mkdtempSync(join(tmpdir(), "leshan-secure-"));
after(() => rmSync(folder, { recursive: true }));

interface Secrets {
  readonly credentials: ServerCredentials;
  /** What Leshan is told of them. */
  readonly parts: readonly string[];
}

function rawKey() {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    publicPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function secretsFor(mode: "psk" | "rpk" | "x509", endpoint: string): Secrets {
  if (mode === "psk") {
    const key = Uint8Array.from(randomBytes(16));
    return {
      credentials: { psk: { identity: "airlift-id", key } },
      parts: ["airlift-id", Buffer.from(key).toString("hex")],
    };
  }
  if (mode === "rpk") {
    const [device, server] = [rawKey(), rawKey()];
    return {
      credentials: { rpk: { keyPem: device.keyPem }, trust: { rpkPem: server.publicPem } },
      parts: [device.publicPem, server.publicPem, server.keyPem].map(hexOfPem),
    };
  }
  const authority = createAuthority(folder, "airlift-ca");
  const [device, server] = [authority.issue(endpoint), authority.issue("server")];
  return {
    credentials: {
      certificate: { chainPem: device.certificate, keyPem: device.privateKey },
      trust: { certificatesPem: authority.certificate },
    },
    parts: [hexOfCertificate(authority.certificate), hexOfCertificate(server.certificate), hexOfPem(server.privateKey)],
  };
}

interface Pair {
  readonly leshan: LeshanServer;
  readonly agent: UpdateAgent;
  image(): Uint8Array | undefined;
}

/** A Leshan with the length of its Connection ID, and an agent that has registered there. */
async function registered(
  [mode, cid]: readonly ["psk" | "rpk" | "x509", string],
  options: Partial<UpdateAgentOptions> = {},
  through: (port: number) => Promise<number> = async (port) => port,
): Promise<Pair> {
  const endpoint = `airlift-${mode}`;
  const { credentials, parts } = secretsFor(mode, endpoint);
  const leshan = await startLeshanServer(cid, endpoint, mode, ...parts);
  const device = createMemoryDevice();
  const agent = createUpdateAgent({
    ...{ endpoint, credentials, handlers: device.handlers, store: device.store, upgradeDelayMs: 10 },
    server: `coaps://${HOST}:${await through(leshan.port)}`,
    identity: { manufacturer: "Example", model: "M1", serialNumber: "7", firmwareVersion: "1.0.0" },
    ...options,
  });
  await agent.start();
  assert.match(await leshan.told("registered"), new RegExp(`^registered ${endpoint} `));
  return { leshan, agent, image: device.image };
}

for (const pair of [
  ["psk", "-"],
  ["rpk", "-"],
  ["x509", "-"],
  ["psk", "6"],
  ["rpk", "5"],
  ["x509", "8"],
] as const)
  test(`Leshan reads and updates the device over coaps: ${pair[0]}, Connection ID ${pair[1]}`, {
    skip,
    timeout: 120_000,
  }, async (t) => {
    const files = await openScriptedServer();
    t.after(() => files.close());
    files.files.set("a", { bytes: IMAGE, etag: 1 });
    const { leshan, agent, image } = await registered(pair);
    t.after(() => leshan.stop());
    t.after(() => agent.close());
    assert.equal(await leshan.ask("read /3/0/0"), "2.05 Example");
    assert.equal(await leshan.ask("observe /5/0/3"), "2.05 0");
    assert.equal(await leshan.ask(`write /5/0/1 ${files.uri}/fw/a`), "2.04");
    assert.equal(await leshan.told("notified /5/0/3 2"), "notified /5/0/3 2");
    assert.deepEqual(image(), IMAGE);
    assert.equal(await leshan.ask("execute /5/0/2"), "2.04");
    assert.equal(await leshan.told("notified /5/0/3 3"), "notified /5/0/3 3");
    agent.setResult("success");
    assert.equal(await leshan.told("notified /5/0/3 0"), "notified /5/0/3 0");
    assert.equal(await leshan.ask("read /5/0/5"), "2.05 1");
    await agent.close();
    assert.match(await leshan.told("unregistered"), /^unregistered /);
  });

test("a device behind a gateway that gives it another port is asked by Leshan there: its Connection ID saves the handshake", {
  skip,
  timeout: 120_000,
}, async (t) => {
  let gateway: Gateway | undefined;
  const { leshan, agent } = await registered(["psk", "6"], { lifetimeS: 6 }, async (port) => {
    gateway = await Gateway.open(port);
    return gateway.port;
  });
  t.after(() => leshan.stop());
  t.after(() => agent.close());
  t.after(() => gateway?.close());
  await gateway?.rebind();
  assert.match(await leshan.told("updated"), /^updated /);
  assert.equal(await leshan.ask("read /3/0/0"), "2.05 Example");
});
