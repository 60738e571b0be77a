/** Leshan's client, over Scandium's DTLS, at the server's own secured door: it registers, is read, and is updated. */
import assert from "node:assert/strict";
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { bootstrapKeys } from "@airlift/server/fleet/bootstrap-keys";
import { fingerprintOf, loadServerIdentity, type ServerIdentity } from "@airlift/server/links/server-identity";
import { createAuthority } from "../certificates.ts";
import { Gateway } from "../e2e/gateway.ts";
import { MemoryCredentials } from "../e2e/memory-credentials.ts";
import { openUpdateStage, type UpdateStage } from "../e2e/update-stage.ts";
import { hexOfCertificate, hexOfPem, runLeshan, skipWithoutLeshan } from "./leshan-peers.ts";

const skip = skipWithoutLeshan();
const HOST = "127.0.0.1";
const folder = mkdtempSync(join(tmpdir(), "leshan-secure-"));
after(() => rmSync(folder, { recursive: true }));

interface Secured {
  readonly stage: UpdateStage;
  readonly port: number;
  /** What the device is told of its security. */
  readonly parts: readonly string[];
}

async function secured(mode: "psk" | "rpk" | "x509", endpoint: string): Promise<Secured> {
  const credentials = new MemoryCredentials();
  let identity: ServerIdentity = await loadServerIdentity({ dataDir: folder, certificateFile: null, keyFile: null });
  const parts: string[] = [mode];
  if (mode === "psk") {
    const psk = credentials.give(endpoint, "leshan-id");
    parts.push(psk.identity, Buffer.from(psk.key).toString("hex"));
  } else if (mode === "rpk") {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pkcs8 = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    credentials.rpks.set(fingerprintOf(pkcs8), endpoint);
    const own = publicKey.export({ type: "spki", format: "der" }).toString("hex");
    parts.push(own, hexOfPem(pkcs8), publicHexOf(identity.rpkKeyPem));
  } else {
    const authority = createAuthority(folder, "leshan-ca");
    const server = authority.issue("server");
    const device = authority.issue(endpoint);
    credentials.trust(authority.certificate);
    identity = {
      ...identity,
      certificate: { chainPem: server.certificate, keyPem: server.privateKey },
      isForDtls: true,
    };
    parts.push(hexOfCertificate(device.certificate), hexOfPem(device.privateKey), hexOfCertificate(server.certificate));
  }
  const stage = await openUpdateStage(() => ({ udp: undefined, dtls: { host: HOST }, credentials, identity }));
  return { stage, port: stage.server.addressOf("dtls")?.port ?? assert.fail(), parts };
}

/** The public half of a private key, SubjectPublicKeyInfo as hex. */
function publicHexOf(keyPem: string): string {
  return createPublicKey(createPrivateKey(keyPem)).export({ type: "spki", format: "der" }).toString("hex");
}

for (const [mode, cid] of [
  ["psk", "-"],
  ["rpk", "-"],
  ["x509", "-"],
  ["psk", "6"],
  ["rpk", "0"],
  ["x509", "4"],
] as const)
  test(`Leshan's client is updated by pull over coaps: ${mode}, Connection ID ${cid}`, {
    skip,
    timeout: 120_000,
  }, async (t) => {
    const endpoint = `leshan-${mode}-${randomBytes(3).toString("hex")}`;
    const { stage, port, parts } = await secured(mode, endpoint);
    t.after(() => stage.close());
    const device = runLeshan("LeshanDevice", [`coaps://${HOST}:${port}`, endpoint, "1.1.0", "pull", cid, ...parts]);
    t.after(() => device.stop());
    const done = await stage.reaches(await stage.update(endpoint));
    assert.deepEqual([done.state, done.method], ["succeeded", "pull"], done.sentence);
    assert.match(done.packageUri ?? "", /^coaps:/);
    const digest = createHash("sha256").update(stage.image).digest("hex");
    assert.ok(device.lines.includes(`image ${stage.image.length} ${digest}`), device.lines.join("\n"));
    assert.equal(stage.server.registrationOf(endpoint)?.transport, "dtls");
  });

test("Leshan's client behind a gateway that gives it another port: its Connection ID saves the handshake", {
  skip,
  timeout: 120_000,
}, async (t) => {
  const endpoint = "leshan-roaming";
  const { stage, port, parts } = await secured("psk", endpoint);
  t.after(() => stage.close());
  const gateway = await Gateway.open(port);
  t.after(() => gateway.close());
  const device = runLeshan("LeshanDevice", [
    `coaps://${HOST}:${gateway.port}`,
    endpoint,
    "1.1.0",
    "push",
    "6",
    ...parts,
  ]);
  t.after(() => device.stop());
  const happened = (kind: string) =>
    new Promise<void>((resolve) => {
      const stop = stage.stores.events.subscribe((event) => {
        if (event.kind !== kind || event.endpoint !== endpoint) return;
        stop();
        resolve();
      });
    });
  await happened("device.registered");
  const addressOf = () => stage.server.registrationOf(endpoint)?.address;
  const before = addressOf();
  await gateway.rebind();
  device.say("update");
  while (addressOf() === before) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(addressOf(), `${HOST}:${gateway.outsidePort}`);
  const done = await stage.reaches(await stage.update(endpoint));
  assert.deepEqual([done.state, done.method], ["succeeded", "push"], done.sentence);
  assert.equal(stage.server.doorLoads().find(({ transport }) => transport === "dtls")?.sessions, 1);
});

test("Leshan's client begins with a factory credential, is bootstrapped by our server, and is updated under its own key", {
  skip,
  timeout: 120_000,
}, async (t) => {
  const endpoint = "leshan-fresh";
  const identity = await loadServerIdentity({ dataDir: folder, certificateFile: null, keyFile: null });
  const stage = await openUpdateStage(({ stores: { credentials } }) => ({
    ...{ udp: undefined, dtls: { host: HOST }, credentials, identity },
    bootstrap: bootstrapKeys(credentials),
  }));
  t.after(() => stage.close());
  const { credentials } = stage.stores;
  const factory = await credentials.add(endpoint, { kind: "psk", purpose: "bootstrap", identity: "leshan-factory" });
  const uri = `coaps://${HOST}:${stage.server.addressOf("dtls")?.port}`;
  const parts = ["bootstrap-psk", factory.identity, factory.key ?? ""];
  const device = runLeshan("LeshanDevice", [uri, endpoint, "1.1.0", "pull", "6", ...parts]);
  t.after(() => device.stop());
  const done = await stage.reaches(await stage.update(endpoint));
  assert.deepEqual([done.state, done.method], ["succeeded", "pull"], done.sentence);
  await credentials.tidy();
  const own = (await credentials.list(endpoint)).filter(({ purpose }) => purpose === "device");
  assert.deepEqual(
    own.map(({ state, lastUsedAt }) => [state, lastUsedAt !== null]),
    [["active", true]],
  );
});
