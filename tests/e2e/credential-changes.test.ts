/** What a change of credentials does to devices that are here: the doors over the store that keeps the credentials. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import type { Transport } from "@airlift/server/fleet/sender";
import { Lwm2mServer, type Lwm2mServerOptions } from "@airlift/server/links/lwm2m-server";
import { loadServerIdentity, type ServerIdentity } from "@airlift/server/links/server-identity";
import { openScratchStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import { pino } from "pino";
import { type Authority, createAuthority, skipWithoutOpenssl } from "../certificates.ts";
import { certifiedDevice, closeDevices, type DoorDevice, dtlsDevice, tcpDevice, udpDevice } from "./door-device.ts";

const HOST = "127.0.0.1";
let scratch: ScratchStores;
let identity: ServerIdentity;
let server: Lwm2mServer;
let authority: Authority | undefined;

before(async () => {
  scratch = await openScratchStores();
  identity = await loadServerIdentity({ dataDir: scratch.folder, certificateFile: null, keyFile: null });
  if (skipWithoutOpenssl() === false) {
    authority = createAuthority(scratch.folder);
    const { certificate: chainPem, privateKey: keyPem } = authority.issue("server");
    identity = { ...identity, certificate: { chainPem, keyPem }, isForDtls: true };
  }
  server = await openServer();
});
after(async () => {
  await closeDevices();
  await server.close();
  await scratch.close();
});

function openServer(options: Partial<Lwm2mServerOptions> = {}): Promise<Lwm2mServer> {
  const place = { host: HOST };
  return Lwm2mServer.open({
    stores: scratch.stores,
    log: pino({ level: "silent" }),
    ...{ udp: place, dtls: place, tls: place, credentials: scratch.stores.credentials, identity },
    publicHost: null,
    httpPort: () => 0,
    ...options,
  });
}

async function restart(options: Partial<Lwm2mServerOptions> = {}): Promise<void> {
  await server.close();
  await scratch.stores.devices.flush();
  server = await openServer(options);
}

const store = () => scratch.stores.credentials;
const door = (transport: Transport) => server.addressOf(transport) ?? assert.fail(transport);
const locationIn = (answer: string): string => /^2\.01 (\/rd\/[0-9a-f]+)$/.exec(answer)?.[1] ?? assert.fail(answer);
async function presenceOf(endpoint: string) {
  await scratch.stores.devices.flush();
  return (await scratch.stores.devices.get(endpoint))?.presence;
}
const fingerprints = async (endpoint: string) => (await store().list(endpoint)).map(({ fingerprint }) => fingerprint);
const close = (...devices: DoorDevice[]) => Promise.all(devices.map(({ coap }) => coap.close()));

function rawKey(): { readonly publicKeyPem: string; readonly keyPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    publicKeyPem: `${publicKey.export({ type: "spki", format: "pem" })}`,
    keyPem: `${privateKey.export({ type: "pkcs8", format: "pem" })}`,
  };
}

test("a raw public key that replaces another ends it by its first use, and goes on itself", async () => {
  const [old, fresh] = [rawKey(), rawKey()];
  const certificatesPem = authority?.certificate;
  const serverKey = `${readFileSync(`${scratch.folder}/server-key.pub.pem`, "utf8")}`;
  const trust = { rpkPem: serverKey, certificatesPem, host: HOST };
  const before = await store().add("pump", { kind: "rpk", publicKeyPem: old.publicKeyPem });
  const first = await certifiedDevice(door("dtls"), { rpk: old, trust });
  const location = locationIn(await first.register(""));
  const after = await store().rotate("pump", { kind: "rpk", publicKeyPem: fresh.publicKeyPem });
  assert.equal(await first.update(location), "2.04");
  const second = await certifiedDevice(door("dtls"), { rpk: fresh, trust });
  const renewed = locationIn(await second.register(""));
  assert.deepEqual(await fingerprints("pump"), [after.fingerprint]);
  await assert.rejects(first.update(location));
  assert.equal(await second.update(renewed), "2.04");
  assert.notEqual(before.fingerprint, after.fingerprint);
  await close(first, second);
});

test("a device's own certificate keeps out another of its name, whoever signed it, over DTLS and TLS", {
  skip: skipWithoutOpenssl(),
}, async () => {
  const ca = authority ?? assert.fail();
  await store().addAuthority(ca.certificate);
  const own = ca.issue("meter");
  const other = createAuthority(scratch.folder, "again");
  await store().add("meter", { kind: "x509", certificatePem: own.certificate });
  await store().addAuthority(other.certificate);
  // The doors have heard of all that.
  await restart();
  const forged = other.issue("meter");
  const over = {
    dtls: (shown: typeof own) =>
      certifiedDevice(door("dtls"), {
        certificate: { chainPem: shown.certificate, keyPem: shown.privateKey },
        trust: { certificatesPem: ca.certificate, host: HOST },
      }),
    tls: (shown: typeof own) =>
      tcpDevice(door("tls"), {
        ...{ kind: "certificate", trust: ca.certificate, serverName: "localhost" },
        ...{ certificate: shown.certificate, privateKey: shown.privateKey },
      }),
  };
  for (const connect of [over.dtls, over.tls]) {
    const stranger = await connect(forged);
    assert.match(await stranger.register("&ep=meter"), /^4\.03 /);
    const device = await connect(own);
    locationIn(await device.register("&ep=meter"));
    await close(stranger, device);
  }
});

test("a device that an authority alone vouches for is not impersonated in the clear while it is away, until an operator says so", {
  skip: skipWithoutOpenssl(),
}, async () => {
  const ca = authority ?? assert.fail();
  await store().addAuthority(ca.certificate);
  await restart();
  const { certificate: chainPem, privateKey: keyPem } = ca.issue("vouched");
  const credential = {
    certificate: { chainPem, keyPem },
    trust: { certificatesPem: ca.certificate, host: HOST },
  };
  const comeAndGo = async () => {
    const device = await certifiedDevice(door("dtls"), credential);
    assert.equal(await device.deregister(locationIn(await device.register(""))), "2.02");
    await close(device);
  };
  const refused = /^4\.03 this endpoint has registered over a secured transport before and has to use one/;
  await comeAndGo();
  const stranger = await udpDevice(door("udp"));
  assert.match(await stranger.register("&ep=vouched"), refused);
  await restart();
  const again = await udpDevice(door("udp"));
  assert.match(await again.register("&ep=vouched"), refused, "a restart forgets nothing");
  // The journal is in order: when this one is on record, all before it are.
  await scratch.stores.events.append({ kind: "device.reported", sentence: "the end" });
  const told = await scratch.stores.events.list({ endpoint: "vouched" }, { limit: 100 });
  assert.ok(told.items.some(({ kind, sentence }) => kind === "device.refused" && /secured transport/.test(sentence)));
  assert.equal(await scratch.stores.devices.allowPlain("vouched"), true);
  await scratch.stores.events.append({ kind: "device.plainAllowed", endpoint: "vouched", sentence: "allowed" });
  assert.equal(await again.deregister(locationIn(await again.register("&ep=vouched"))), "2.02");
  await comeAndGo();
  assert.match(await again.register("&ep=vouched"), refused, "it is forgiven once");
  await close(stranger, again);
});

test("a credential that is removed ends the registration of a device that has no session now", async () => {
  const { id, identity: name, key } = await store().add("away", { kind: "psk" });
  const { device } = await dtlsDevice(door("dtls"), { identity: name, key: Buffer.from(key ?? "", "hex") });
  locationIn(await device.register(""));
  // Without a file of sessions, as after a crash.
  await restart();
  assert.equal(server.registrationOf("away")?.transport, "dtls");
  const ended = new Promise<void>((resolve) => {
    scratch.stores.events.subscribe(({ kind, endpoint }) => {
      if (kind === "device.deregistered" && endpoint === "away") resolve();
    });
  });
  await store().remove("away", id);
  await ended;
  assert.equal(await presenceOf("away"), "deregistered");
  await close(device);
});

test("a credential for the Bootstrap interface that is removed leaves the registration alone", async () => {
  const { identity: name, key } = await store().add("kept", { kind: "psk" });
  const factory = await store().add("kept", { kind: "psk", purpose: "bootstrap", identity: "kept-factory" });
  const { device } = await dtlsDevice(door("dtls"), { identity: name, key: Buffer.from(key ?? "", "hex") });
  const location = locationIn(await device.register(""));
  await store().remove("kept", factory.id);
  assert.equal(await device.update(location), "2.04");
  await close(device);
});

test("a device that registered in the clear has to use the credential that it is given", async () => {
  const device = await udpDevice(door("udp"));
  const location = locationIn(await device.register("&ep=late"));
  assert.equal(await device.update(location), "2.04");
  await store().add("late", { kind: "psk" });
  assert.equal(await device.update(location), "4.04");
  assert.match(await device.register("&ep=late"), /^4\.03 this endpoint has a credential and has to use it$/);
  assert.equal(await presenceOf("late"), "deregistered");
  await close(device);
});

test("plain registrations of the last run end at a start that refuses plain devices, or that finds a credential", async () => {
  const device = await udpDevice(door("udp"));
  const [plain, given] = [await device.register("&ep=plain"), await device.register("&ep=given")].map(locationIn);
  const { port } = door("udp");
  await server.close();
  await store().add("given", { kind: "psk" });
  await restart({ udp: { host: HOST, port } });
  assert.equal(await device.update(given ?? ""), "4.04");
  assert.equal(await device.update(plain ?? ""), "2.04");
  await restart({ udp: { host: HOST, port }, plainDevices: "refuse" });
  assert.equal(await device.update(plain ?? ""), "4.04");
  assert.match(
    await device.register("&ep=plain"),
    /^4\.03 this server takes registrations over secured transports only$/,
  );
  await close(device);
});
