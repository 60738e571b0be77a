/** The server at all its doors, over real sockets: who may speak for whom, and how devices are reached. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { createRequest } from "@airlift/protocol/coap/exchange";
import { concat } from "@airlift/protocol/lib/bytes";
import type { Transport } from "@airlift/server/fleet/sender";
import { Lwm2mServer, type Lwm2mServerOptions } from "@airlift/server/links/lwm2m-server";
import { loadServerIdentity, type ServerIdentity } from "@airlift/server/links/server-identity";
import { openScratchStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import { pino } from "pino";
import { certifiedDevice, closeDevices, type DoorDevice, dtlsDevice, tcpDevice, udpDevice } from "./door-device.ts";
import { Gateway } from "./gateway.ts";
import { MemoryCredentials } from "./memory-credentials.ts";

const PEM: Readonly<Record<string, Readonly<Record<"certificatePem" | "keyPem", string>>>> = JSON.parse(
  readFileSync(new URL("../vectors/dtls-certificates.json", import.meta.url), "utf8"),
);
const pem = (name: string) => PEM[name] ?? assert.fail(name);
const HOST = "127.0.0.1";
const image = randomBytes(300_000);
const lines: string[] = [];
const onLine = new Set<() => void>();
const credentials = new MemoryCredentials();
let scratch: ScratchStores;
let identity: ServerIdentity;
let server: Lwm2mServer;
let imageId: string;

function log(line: string): void {
  lines.push(line);
  for (const look of onLine) look();
}

/** Resolves when the log has a line with this text. */
async function logs(text: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const look = () => lines.some((line) => line.includes(text)) && resolve();
    onLine.add(look);
    look();
  });
}

function openServer(options: Partial<Lwm2mServerOptions> = {}): Promise<Lwm2mServer> {
  const place = { host: HOST };
  return Lwm2mServer.open({
    stores: scratch.stores,
    log: pino({ level: "info" }, { write: log }),
    ...{ udp: place, dtls: place, tcp: place, tls: place, credentials, identity },
    publicHost: null,
    httpPort: () => 0,
    ...options,
  });
}

before(async () => {
  scratch = await openScratchStores();
  identity = await loadServerIdentity({ dataDir: scratch.folder, certificateFile: null, keyFile: null });
  server = await openServer();
  const name = { manufacturer: "Example", model: "Pump", version: "1.1.0", hardware: [] };
  imageId = (await scratch.stores.images.add(Readable.from([image]), name)).image.id;
});
after(async () => {
  await closeDevices();
  await server.close();
  await scratch.close();
});

const door = (transport: Transport, at = server) => {
  const address = at.addressOf(transport);
  assert.ok(address, transport);
  return address;
};
const locationIn = (answer: string): string => {
  assert.match(answer, /^2\.01 \/rd\/[0-9a-f]+$/);
  return answer.slice(5);
};
async function known(endpoint: string) {
  await scratch.stores.devices.flush();
  return await scratch.stores.devices.get(endpoint);
}

/** Resolves when the timeline of a device has a line like this. */
async function tells(endpoint: string, line: RegExp): Promise<void> {
  const { events } = scratch.stores;
  const hasIt = async () => (await events.after({ endpoint }, 100)).some(({ sentence }) => line.test(sentence));
  let stop = () => {};
  await new Promise<void>((resolve) => {
    const look = () => void hasIt().then((has) => has && resolve());
    stop = events.subscribe(look);
    look();
  });
  stop();
}

for (const transport of ["udp", "dtls", "tcp", "tls"] as const) {
  test(`${transport}: a device registers, is read, updates, reports, fetches, and goes`, async () => {
    const endpoint = `through-${transport}`;
    const psk = () => credentials.give(endpoint);
    const device =
      transport === "udp"
        ? await udpDevice(door(transport))
        : transport === "dtls"
          ? (await dtlsDevice(door(transport), psk())).device
          : await tcpDevice(door(transport), transport === "tls" ? psk() : undefined);
    const location = locationIn(await device.register(`&ep=${endpoint}`));
    await device.hears("GET /5/0/3");
    assert.equal((await known(endpoint))?.transport, transport);
    assert.match((await known(endpoint))?.address ?? "", /^127\.0\.0\.1:\d+$/);
    assert.equal(await device.update(location), "2.04");
    assert.equal(await device.report(), "2.04");
    const parts: Uint8Array[] = [];
    const sink = { write: (bytes: Uint8Array) => void parts.push(bytes.slice()) };
    await device.coap.download(device.server, createRequest("get", `/fw/${imageId}`), sink);
    assert.deepEqual(concat(parts), new Uint8Array(image));
    assert.equal(await device.deregister(location), "2.02");
    assert.equal((await known(endpoint))?.presence, "deregistered");
    await device.coap.close();
  });
}

test("no device speaks for another: not by name, not by location, not without its credential", async () => {
  const pump = (await dtlsDevice(door("dtls"), credentials.give("pump"))).device;
  const fan = (await dtlsDevice(door("dtls"), credentials.give("fan"))).device;
  const fanTls = await tcpDevice(door("tls"), credentials.give("fan", "fan-2"));
  const plain = await udpDevice(door("udp"));
  const plainTcp = await tcpDevice(door("tcp"));
  const location = locationIn(await pump.register("&ep=pump"));
  await pump.hears("GET /5/0/3");
  const facts = async () => {
    const { presence, transport, address, lastSeenAt } = (await known("pump")) ?? {};
    return { presence, transport, address, lastSeenAt };
  };
  const before = await facts();
  for (const stranger of [fan, fanTls, plain, plainTcp]) {
    assert.match(await stranger.register("&ep=pump"), /^4\.03 ./);
    assert.match(await stranger.update(location), /^4\.03 ./);
    assert.match(await stranger.deregister(location), /^4\.03 ./);
    assert.equal(await stranger.report(), "4.04");
  }
  assert.match(await plain.register("&ep=fan"), /^4\.03 this endpoint has a credential and has to use it$/);
  assert.deepEqual(await facts(), before);
  assert.equal(await pump.update(location), "2.04");
  await tells("pump", /^the device fan wanted to speak for pump from 127\.0\.0\.1:\d+ over dtls: the credential/);
  const all = [pump, fan, fanTls, plain, plainTcp];
  await Promise.all(all.map(({ coap }) => coap.close()));
});

test("LwM2M 1.1 §6.2.1: a device that names no endpoint has the name of its credential; one without credential has none", async () => {
  const { device } = await dtlsDevice(door("dtls"), credentials.give("nameless"));
  locationIn(await device.register(""));
  assert.equal((await known("nameless"))?.presence, "registered");
  const plain = await udpDevice(door("udp"));
  assert.match(await plain.register(""), /^4\.00 ./);
  await Promise.all([device.coap.close(), plain.coap.close()]);
});

test("one device moves from UDP to DTLS to TLS under its name, and is asked where it registered last", async () => {
  const plain = await udpDevice(door("udp"));
  const location = locationIn(await plain.register("&ep=nomad"));
  const { device } = await dtlsDevice(door("dtls"), credentials.give("nomad"));
  const secured = locationIn(await device.register(""));
  assert.equal((await known("nomad"))?.transport, "dtls");
  assert.match(await plain.update(secured), /^4\.03/);
  assert.equal(await plain.update(location), "4.04");
  const tls = await tcpDevice(door("tls"), credentials.give("nomad", "nomad-tls"));
  locationIn(await tls.register("&ep=nomad"));
  await tls.hears("GET /5/0/3");
  assert.equal((await known("nomad"))?.transport, "tls");
  await Promise.all([plain, device, tls].map(({ coap }) => coap.close()));
});

test("a withdrawn credential ends the session and the registration at once; an overlapping one keeps them", async () => {
  const { device } = await dtlsDevice(door("dtls"), credentials.give("rotated", "old"));
  locationIn(await device.register(""));
  const next = await dtlsDevice(door("dtls"), credentials.give("rotated", "new"));
  const location = locationIn(await next.device.register(""));
  credentials.withdraw("old");
  assert.equal(await next.device.update(location), "2.04");
  credentials.withdraw("new");
  await assert.rejects(next.device.update(location));
  assert.equal((await known("rotated"))?.presence, "deregistered");
  await tells("rotated", /credential was withdrawn/);
  await Promise.all([device.coap.close(), next.device.coap.close()]);
});

async function isAsked(device: DoorDevice, endpoint: string, at = server): Promise<void> {
  device.heard.length = 0;
  const update = await scratch.stores.updates.create({ endpoint, imageId, by: "push", apply: false });
  await at.engine.start(update);
  await device.hears("GET /5/0/3");
  await at.engine.cancel(update.id);
}

test("a resumed session is the device's from its first moment on", async () => {
  const { device, dtls, opened } = await dtlsDevice(door("dtls"), credentials.give("resumed"));
  locationIn(await device.register(""));
  await device.hears("GET /5/0/3");
  dtls.renew();
  // Any answer will do: it shows that the new session stands.
  await device.coap.request(device.server, createRequest("get", "/"));
  assert.equal(opened(), 2);
  await isAsked(device, "resumed");
  await device.coap.close();
});

test("a certificate of an authority that is trusted while the server runs is taken, and no longer once it is not", async () => {
  const own = { chainPem: pem("server").certificatePem + pem("issuer").certificatePem, keyPem: pem("server").keyPem };
  const shown = { ...identity, certificate: own, isForDtls: true };
  const certified = await openServer({ identity: shown });
  const credential = {
    certificate: { chainPem: pem("device").certificatePem, keyPem: pem("device").keyPem },
    trust: { certificatesPem: pem("authority").certificatePem },
  };
  const tls = {
    kind: "certificate" as const,
    trust: pem("authority").certificatePem,
    serverName: "airlift.test",
    certificate: credential.certificate.chainPem,
    privateKey: credential.certificate.keyPem,
  };
  const overDtls = async () => (await certifiedDevice(door("dtls", certified), credential)).register("");
  await assert.rejects(overDtls());
  credentials.trust(pem("authority").certificatePem);
  await new Promise((resolve) => setImmediate(resolve));
  const device = await certifiedDevice(door("dtls", certified), credential);
  const location = locationIn(await device.register(""));
  assert.equal((await known("device-7"))?.transport, "dtls");
  assert.match(await device.register("&ep=device-8"), /^4\.03/);
  const stream = await tcpDevice(door("tls", certified), tls);
  locationIn(await stream.register("&ep=device-7"));
  assert.equal((await known("device-7"))?.transport, "tls");
  credentials.trust("");
  await assert.rejects(device.update(location));
  await assert.rejects(stream.update(location));
  await assert.rejects(tcpDevice(door("tls", certified), tls).then((again) => again.register("&ep=device-7")));
  await Promise.all([device.coap.close(), stream.coap.close()]);
  await certified.close();
});

for (const [protocols, scheme] of [
  [["1"], "coaps"],
  [["5"], "coaps+tcp"],
  [["0"], "push"],
] as const)
  test(`object 5, resource 8: a device on a secured door that fetches over ${protocols} is served by ${scheme}`, async () => {
    const endpoint = `fetches-${scheme}`;
    const { device } = await dtlsDevice(door("dtls"), credentials.give(endpoint));
    device.resources.set("/5/0/8", protocols[0]);
    locationIn(await device.register(""));
    await device.hears("GET /5/0/3");
    const update = await scratch.stores.updates.create({ endpoint, imageId, by: "auto", apply: false });
    await server.engine.start(update);
    const { port } = door(scheme === "coaps+tcp" ? "tls" : "dtls");
    await device.hears(
      scheme === "push" ? "PUT /5/0/0" : `PUT /5/0/1 ${scheme}://${HOST}:${port}/fw/${imageId}?u=${update.id}`,
    );
    await server.engine.cancel(update.id);
  });

test("a device without a connection is told of at once in the update's timeline", async () => {
  const connections = () => server.doorLoads().find(({ transport }) => transport === "tls")?.sessions;
  const before = connections();
  const device = await tcpDevice(door("tls"), credentials.give("away"));
  locationIn(await device.register(""));
  await device.hears("GET /5/0/3");
  await device.coap.close();
  while (connections() !== before) await new Promise((resolve) => setImmediate(resolve));
  const update = await scratch.stores.updates.create({ endpoint: "away", imageId, by: "auto", apply: true });
  await server.engine.start(update);
  await tells("away", /DEVICE_DISCONNECTED: the device has no connection now; only the device itself can begin one/);
  await server.engine.cancel(update.id);
});

for (const transport of ["dtls", "tcp", "tls"] as const)
  test(`${transport}: a device whose connection is gone is away until it comes back, and what waits is sent then`, async () => {
    const endpoint = `back-${transport}`;
    const psk = transport === "tcp" ? undefined : credentials.give(endpoint);
    const connect = async () =>
      transport === "dtls" && psk
        ? (await dtlsDevice(door(transport), psk)).device
        : await tcpDevice(door(transport), psk);
    const device = await connect();
    const location = locationIn(await device.register(`&ep=${endpoint}`));
    await device.hears("GET /5/0/3");
    const state = () => server.presence.of(endpoint).state;
    assert.equal(server.reachabilityOf(endpoint).reachability, "awake: it always listens");
    await device.coap.close();
    while (state() === "awake") await new Promise((resolve) => setImmediate(resolve));
    const { awake, reachability } = server.reachabilityOf(endpoint);
    assert.match(reachability, /^away since .* until it comes back: only the device can begin/);
    assert.equal(awake, "unknown");
    await server.queue.submit(endpoint, { operation: "read", path: "/3/0/3" });
    assert.equal((await server.queue.list(endpoint))[0]?.state, "waiting");
    const again = await connect();
    assert.equal(await again.update(location), "2.04");
    await tells(endpoint, /^read \/3\/0\/3: the device answered 2.05/);
    assert.equal(state(), "awake");
    await again.coap.close();
  });

test("RFC 9146 §6: a new port in mid-download at the server costs no handshake and no block", async () => {
  const gateway = await Gateway.open(door("dtls").port);
  const { device, opened } = await dtlsDevice({ address: HOST, port: gateway.port }, credentials.give("roaming"));
  const location = locationIn(await device.register(""));
  const parts: Uint8Array[] = [];
  let retransmissionCount = 0;
  const sink = {
    write: async (bytes: Uint8Array) => {
      parts.push(bytes.slice());
      if (parts.length % 60 === 0) await gateway.rebind();
    },
  };
  await device.coap.download(device.server, createRequest("get", `/fw/${imageId}`), sink, {
    onProgress: (progress) => {
      retransmissionCount = progress.retransmissionCount;
    },
  });
  assert.deepEqual(concat(parts), new Uint8Array(image));
  assert.deepEqual([opened(), retransmissionCount], [1, 0]);
  assert.equal(await device.update(location), "2.04");
  assert.equal((await known("roaming"))?.address, `${HOST}:${gateway.outsidePort}`);
  await isAsked(device, "roaming");
  await device.coap.close();
  gateway.close();
});

test("a restart keeps every session: its file is the owner's alone, is read once, and a device is asked unprompted", async () => {
  const sessionFile = join(scratch.folder, "sessions.json");
  const udp = undefined;
  const first = await openServer({ udp, sessionFile });
  const { device, opened } = await dtlsDevice(door("dtls", first), credentials.give("kept"));
  const location = locationIn(await device.register(""));
  await device.hears("GET /5/0/3");
  const { port } = door("dtls", first);
  await first.close();
  await scratch.stores.devices.flush();
  assert.equal(statSync(sessionFile).mode & 0o777, 0o600);
  const taken = { host: HOST, port: door("dtls").port };
  await assert.rejects(openServer({ udp, sessionFile, dtls: taken }), { code: "PORT_IN_USE" });
  assert.ok(existsSync(sessionFile), "a start that fails costs no session");
  const second = await openServer({ udp, sessionFile, dtls: { host: HOST, port } });
  assert.ok(!existsSync(sessionFile));
  assert.equal(second.presence.of("kept").state, "awake");
  assert.ok(second.reachabilityOf("away").reachability.startsWith("away since"), "its connection was not kept");
  await isAsked(device, "kept", second);
  assert.equal(await device.update(location), "2.04");
  assert.equal(opened(), 1);
  await device.coap.close();
  await second.close();
});

test("a handshake that is refused is counted, and told once with its reason; keys appear nowhere", async () => {
  const { key } = credentials.give("guarded");
  const wrong = await dtlsDevice(door("dtls"), { identity: "guarded-id", key: new Uint8Array(16) });
  const unknown = await dtlsDevice(door("dtls"), { identity: "nobody", key: new Uint8Array(16) });
  for (const { device } of [wrong, unknown]) await assert.rejects(device.register("&ep=guarded"));
  await assert.rejects(tcpDevice(door("tls"), { identity: "nobody", key: new Uint8Array(16) }));
  await logs("the peer's key for PSK identity");
  const codes = new Map(
    [...server.refusalCounts()].map(({ transport, code, count }) => [`${transport} ${code}`, count]),
  );
  for (const code of ["dtls PSK_KEY_WRONG", "dtls PSK_IDENTITY_UNKNOWN", "tls ERR_SSL_PSK_IDENTITY_NOT_FOUND"])
    assert.ok((codes.get(code) ?? 0) >= 1, `${code} in ${[...codes.keys()]}`);
  const told = lines.filter((line) => line.includes('no key is known for the PSK identity \\"nobody\\"'));
  assert.equal(told.length, 1);
  const secrets = [key, ...[...credentials.psks.values()].map((psk) => psk.key)];
  for (const secret of secrets)
    for (const form of ["hex", "base64"] as const)
      assert.ok(!lines.join().includes(Buffer.from(secret).toString(form)));
  await Promise.all([wrong.device.coap.close(), unknown.device.coap.close()]);
});

test("a server that refuses plain devices takes none, and still serves those with a credential", async () => {
  const strict = await openServer({ plainDevices: "refuse" });
  const plain = await udpDevice(door("udp", strict));
  assert.match(
    await plain.register("&ep=anybody"),
    /^4\.03 this server takes registrations over secured transports only/,
  );
  const { device } = await dtlsDevice(door("dtls", strict), credentials.give("somebody"));
  locationIn(await device.register(""));
  await Promise.all([plain.coap.close(), device.coap.close()]);
  await strict.close();
});

test("one socket on :: serves devices over IPv4 and IPv6, over every transport", async (t) => {
  const both = { host: "::" };
  const dual = await openServer({ udp: both, dtls: both, tcp: both, tls: both }).catch(() => undefined);
  if (dual === undefined) return t.skip("this machine has no IPv6");
  for (const address of [HOST, "::1"]) {
    const at = (transport: Transport) => ({ address, port: door(transport, dual).port });
    const name = address === HOST ? "v4" : "v6";
    const shown = address === HOST ? /^127\.0\.0\.1:\d+$/ : /^\[::1\]:\d+$/;
    const devices = {
      udp: await udpDevice(at("udp")),
      dtls: (await dtlsDevice(at("dtls"), credentials.give(`dtls-${name}`))).device,
      tcp: await tcpDevice(at("tcp")),
      tls: await tcpDevice(at("tls"), credentials.give(`tls-${name}`)),
    };
    for (const [transport, device] of Object.entries(devices)) {
      locationIn(await device.register(`&ep=${transport}-${name}`));
      await device.hears("GET /5/0/3");
      assert.match((await known(`${transport}-${name}`))?.address ?? "", shown);
      await device.coap.close();
    }
  }
  await dual.close();
});

test("the server's raw public key is made once, and is for its owner alone", async () => {
  const path = join(scratch.folder, "server-key.pem");
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const again = await loadServerIdentity({ dataDir: scratch.folder, certificateFile: null, keyFile: null });
  assert.equal(again.rpkKeyPem, readFileSync(path, "utf8"));
  assert.equal(again.rpkKeyPem, identity.rpkKeyPem);
});
