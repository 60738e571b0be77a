/** Handshakes with certificates and raw public keys in virtual time: RFC 8422, 7250, 5280, and every way to fail. */
import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { ClientCredentials } from "@airlift/protocol/dtls/client-offer";
import type { Certificate, SigningKey } from "@airlift/protocol/dtls/crypto-port";
import type { DtlsOptions } from "@airlift/protocol/dtls/endpoint-types";
import type { ServerCredentials } from "@airlift/protocol/dtls/server-choice";
import { SUITES } from "@airlift/protocol/dtls/suites";
import { dtlsCrypto, dtlsSigningKey } from "@airlift/runtime/dtls-crypto";
import { DtlsWorld, type Lookup, WorldNode } from "./dtls-world.ts";

interface Pem {
  readonly certificatePem: string;
  readonly keyPem: string;
}
const PEM: Readonly<Record<string, Pem>> = JSON.parse(
  readFileSync(new URL("../vectors/dtls-certificates.json", import.meta.url), "utf8"),
);

function keyOf(name: string): SigningKey {
  const key = dtlsSigningKey(createPrivateKey(PEM[name]?.keyPem ?? ""));
  if (key === undefined) throw new Error(`${name} has no key on P-256`);
  return key;
}

function certificateOf(name: string): Certificate {
  const body = (PEM[name]?.certificatePem ?? "").replace(/-----[^-]+-----/g, "");
  const certificate = dtlsCrypto.parseCertificate(Buffer.from(body, "base64"));
  if (certificate === undefined) throw new Error(`${name} is no certificate`);
  return certificate;
}

/** A chain with the key of its first certificate. */
function own(...names: string[]): { chain: Uint8Array[]; key: SigningKey } {
  const [first = ""] = names;
  return { chain: names.map((name) => certificateOf(name).der), key: keyOf(first) };
}

const NOW = Date.UTC(2030, 0, 1);
const SERVER: ServerCredentials = {
  hasPsk: false,
  x509: own("server", "issuer"),
  clientKinds: ["x509"],
  anchors: [certificateOf("authority")],
};
const CLIENT: ClientCredentials = {
  x509: own("device"),
  anchors: [certificateOf("authority")],
  serverKeys: [],
  host: "airlift.test",
};

interface Case {
  readonly server?: Partial<ServerCredentials>;
  readonly client?: Partial<ClientCredentials>;
  readonly utcMs?: number;
  readonly options?: Partial<DtlsOptions>;
  readonly lookup?: Lookup;
}

function handshake({ server = {}, client = {}, utcMs = NOW, options = {}, lookup }: Case = {}) {
  const time = { utcMs: () => utcMs };
  const serverNode = new WorldNode("server", { server: { ...SERVER, ...server }, ...time, ...options }, lookup);
  const clientNode = new WorldNode("client", { connectionIds: "send", ...time, ...options });
  const world = new DtlsWorld([serverNode, clientNode]);
  const credentials = { ...CLIENT, ...client };
  world.feed(clientNode, { kind: "connect", address: serverNode.address, credentials });
  world.run(100_000);
  return { world, server: serverNode, client: clientNode };
}

for (const suite of SUITES.filter(({ keyExchange }) => keyExchange === "ecdheEcdsa")) {
  test(`RFC 8422 §5: ${suite.name} with certificates both ways`, () => {
    const { server, client } = handshake({ options: { suites: [suite] } });
    assert.equal(server.opened.length, 1, server.sentences.join());
    assert.deepEqual(server.session.identity, {
      kind: "x509",
      name: "device-7",
      fingerprint: certificateOf("device").fingerprint,
    });
    assert.equal(client.session.identity.name, "airlift.test");
    assert.equal(client.session.suiteName, suite.name);
  });
}

test("RFC 5246 §7.4.4: a client that is not asked stays anonymous", () => {
  const { server } = handshake({ server: { clientKinds: [] } });
  assert.deepEqual(server.session.identity, { kind: "anonymous", name: "" });
});

test("RFC 6347 §4.2.3: messages that do not fit into a datagram go in pieces, in any order, some twice", () => {
  for (const datagramBytes of [120, 200, 333, 600]) {
    const { server } = handshake({ options: { datagramBytes } });
    assert.equal(server.opened.length, 1, `${datagramBytes}: ${server.sentences}`);
  }
  for (let seed = 1; seed <= 30; seed += 1) {
    const options = { datagramBytes: 150, utcMs: () => NOW };
    const server = new WorldNode("server", { server: SERVER, ...options });
    const client = new WorldNode("client", options);
    const link = { loss: 0.05, duplication: 0.3, minDelayMs: 1, maxDelayMs: 200 };
    const world = new DtlsWorld([server, client], link, seed);
    world.feed(client, { kind: "connect", address: server.address, credentials: CLIENT });
    world.run(100_000);
    for (const { datagram } of world.flights) assert.ok(datagram.length <= 150 || datagram[13] === 1);
    assert.ok(client.opened.length === 1 || client.sentences.length > 0, `seed ${seed}`);
  }
});

test("RFC 6347 §4.1.1.1: a link that loses large datagrams gets smaller ones after two tries", () => {
  const server = new WorldNode("server", { server: SERVER, utcMs: () => NOW });
  const client = new WorldNode("client", { utcMs: () => NOW });
  const world = new DtlsWorld([server, client]);
  world.tamper = ({ datagram }) => (datagram.length > 600 ? undefined : datagram);
  world.feed(client, { kind: "connect", address: server.address, credentials: CLIENT });
  world.run(100_000);
  assert.equal(server.opened.length, 1, server.sentences.join());
});

const FAILURES: readonly (Case & {
  readonly what: string;
  readonly at: "server" | "client";
  readonly line: RegExp;
  readonly alert: string;
})[] = [
  {
    what: "the device's certificate has expired",
    client: { x509: own("expired") },
    at: "server",
    line: /^the certificate of "device-expired" expired on 2021-01-01$/,
    alert: "certificate_expired",
  },
  {
    what: "the device's certificate is not valid yet",
    client: { x509: own("early") },
    at: "server",
    line: /^the certificate of "device-early" is valid only from 2040-01-01 on: one of the clocks is wrong$/,
    alert: "certificate_expired",
  },
  {
    what: "the device's certificate comes from somebody else",
    client: { x509: own("stranger") },
    at: "server",
    line: /^the certificate of "stranger" was not issued by an authority trusted here$/,
    alert: "unknown_ca",
  },
  {
    what: "the device's certificate was issued by a device",
    client: { x509: own("forger", "device") },
    at: "server",
    line: /^the certificate of "device-7" was not issued by an authority trusted here$/,
    alert: "unknown_ca",
  },
  {
    what: "the device has no certificate",
    client: { x509: undefined },
    at: "server",
    line: /^the peer sent no certificate, and one is required here$/,
    alert: "handshake_failure",
  },
  {
    what: "the device's certificate is on another curve",
    client: { x509: { chain: [certificateOf("curve384").der], key: keyOf("device") } },
    at: "server",
    line: /^the peer's key or certificate is of a kind not accepted here$/,
    alert: "unsupported_certificate",
  },
  {
    what: "the device's certificate is no certificate",
    client: { x509: { chain: [new Uint8Array(40)], key: keyOf("device") } },
    at: "server",
    line: /^the peer's certificate cannot be read$/,
    alert: "bad_certificate",
  },
  {
    what: "the device shows the certificate of another one",
    client: { x509: { chain: [certificateOf("device").der], key: keyOf("early") } },
    at: "server",
    line: /^the peer did not prove that it holds the private key of its certificate$/,
    alert: "decrypt_error",
  },
  {
    what: "the server's certificate is for another name",
    client: { host: "other.test" },
    at: "client",
    line: /^the certificate is for "airlift.test", not for "other.test"$/,
    alert: "certificate_unknown",
  },
  {
    what: "the server's certificate is for another address",
    client: { host: "127.0.0.2" },
    at: "client",
    line: /^the certificate is for "airlift.test", not for "127.0.0.2"$/,
    alert: "certificate_unknown",
  },
  {
    what: "the server leaves out its issuer",
    server: { x509: own("server") },
    at: "client",
    line: /^the certificate of "airlift.test" was not issued by an authority trusted here$/,
    alert: "unknown_ca",
  },
  {
    what: "the server shows the certificate of another one",
    server: { x509: { ...own("server", "issuer"), key: keyOf("device") } },
    at: "client",
    line: /^the peer did not prove that it holds the private key of its certificate$/,
    alert: "decrypt_error",
  },
  {
    what: "the authority itself has expired",
    utcMs: Date.UTC(2050, 0, 1),
    at: "client",
    line: /^the certificate of "airlift.test" expired on 2046-01-01$/,
    alert: "certificate_expired",
  },
];

for (const { what, at, line, alert, ...situation } of FAILURES) {
  test(`RFC 5280 §6: ${what}: ${alert}`, () => {
    const { server, client } = handshake(situation);
    const [here, there] = at === "server" ? [server, client] : [client, server];
    assert.equal(here.sentences.length, 1);
    assert.match(here.sentences[0] ?? "", line);
    assert.deepEqual(there.sentences, [`the peer refused the handshake: ${alert}`]);
    assert.deepEqual([server.opened.length, client.opened.length], [0, 0]);
  });
}

test("RFC 6125 §6.4: a certificate is for its names and addresses; without a clock no time is checked", () => {
  for (const host of ["airlift.test", "localhost", "127.0.0.1", undefined])
    assert.equal(handshake({ client: { host } }).client.opened.length, 1, host);
  const server = new WorldNode("server", { server: SERVER, utcMs: () => NOW });
  const client = new WorldNode("client", { connectionIds: "send" });
  const world = new DtlsWorld([server, client]);
  world.feed(client, { kind: "connect", address: server.address, credentials: CLIENT });
  world.run(10_000);
  assert.equal(client.opened.length, 1);
});

test("a certificate of a single device can be trusted itself", () => {
  const { server } = handshake({
    server: { anchors: [certificateOf("stranger")] },
    client: { x509: own("stranger") },
  });
  assert.equal(server.session.identity.name, "stranger");
});

const RAW_SERVER = { x509: undefined, rpk: keyOf("server"), clientKinds: ["rpk"] as const };
const RAW_CLIENT = { x509: undefined, rpk: keyOf("device"), anchors: [], serverKeys: [keyOf("server").spki] };
const namePump: Lookup = (wanted) =>
  wanted.kind === "rpk" && Buffer.from(wanted.spki).equals(Buffer.from(keyOf("device").spki))
    ? { found: { kind: "rpk", name: "pump-3" }, afterMs: 1_500 }
    : { kind: "rpk", name: undefined };

test("RFC 7250 §4: raw public keys both ways, the device's looked up for a while", () => {
  const { server, client } = handshake({ server: RAW_SERVER, client: RAW_CLIENT, lookup: namePump });
  assert.equal(server.opened.length, 1, server.sentences.join());
  const { identity } = server.session;
  assert.deepEqual([identity.kind, identity.name], ["rpk", "pump-3"]);
  assert.equal(client.session.identity.kind, "rpk");
});

test("RFC 7250 §4.1: each side may show something else: a raw key to a server with a certificate", () => {
  const { server, client } = handshake({
    server: { clientKinds: ["rpk"] },
    client: { x509: undefined, rpk: keyOf("device") },
    lookup: namePump,
  });
  assert.deepEqual([server.session.identity.kind, client.session.identity.kind], ["rpk", "x509"]);
});

test("RFC 7250 §4.2: a client that can do X.509 alone is not asked for a raw key", () => {
  const { server, client } = handshake({ server: { clientKinds: ["rpk"] }, lookup: namePump });
  assert.deepEqual(server.sentences, ["the peer's key or certificate is of a kind not accepted here"]);
  assert.deepEqual(client.sentences, ["the peer refused the handshake: unsupported_certificate"]);
});

test("RFC 7250 §6: a raw key that nobody knows is refused, at both ends", () => {
  const unknown = handshake({ server: RAW_SERVER, client: { ...RAW_CLIENT, rpk: keyOf("early") }, lookup: namePump });
  assert.match(unknown.server.sentences[0] ?? "", /^the raw public key with SHA-256 [0-9a-f]{64} is not known here$/);
  assert.deepEqual(unknown.client.sentences, ["the peer refused the handshake: certificate_unknown"]);
  const wrong = handshake({ server: { ...RAW_SERVER, rpk: keyOf("early") }, client: RAW_CLIENT, lookup: namePump });
  assert.match(wrong.client.sentences[0] ?? "", /^the raw public key with SHA-256 [0-9a-f]{64} is not known here$/);
  const none = handshake({
    server: RAW_SERVER,
    client: { ...RAW_CLIENT, rpk: keyOf("device") },
    lookup: () => ({ kind: "failed" }),
  });
  assert.deepEqual(none.server.sentences, ["the credential could not be looked up"]);
});

test("RFC 5246 §7.3: a session with a certificate is resumed without showing it again", () => {
  const { world, server, client } = handshake();
  world.feed(client, { kind: "close", session: client.session });
  world.run(200_000);
  const before = world.flights.length;
  world.feed(client, { kind: "connect", address: server.address, credentials: CLIENT });
  world.run(300_000);
  assert.deepEqual([server.session.isResumed, server.session.identity.name], [true, "device-7"]);
  assert.equal(world.flights.length - before, 5);
});
