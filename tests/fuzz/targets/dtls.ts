/** DTLS: records, every message's decoder, and both handshakes and an endpoint that get hostile octets. */
import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { decodeAlert } from "@airlift/protocol/dtls/alerts";
import { ClientHandshake } from "@airlift/protocol/dtls/client-handshake";
import type { ClientCredentials } from "@airlift/protocol/dtls/client-offer";
import type { Certificate, SigningKey } from "@airlift/protocol/dtls/crypto-port";
import { DtlsEndpoint } from "@airlift/protocol/dtls/endpoint";
import { decodeExtensions, encodeExtensions } from "@airlift/protocol/dtls/extensions";
import type { Handshake } from "@airlift/protocol/dtls/handshake";
import { decodeFragments, encodeFragment, encodeHandshake } from "@airlift/protocol/dtls/handshake-message";
import {
  DEFAULT_HANDSHAKE,
  type HandshakeOutput,
  type HandshakeSettings,
} from "@airlift/protocol/dtls/handshake-types";
import {
  decodeClientHello,
  decodeHelloVerify,
  decodeServerHello,
  encodeClientHello,
  encodeHelloVerify,
  encodeServerHello,
} from "@airlift/protocol/dtls/hello";
import {
  decodeCertificate,
  decodeCertificateRequest,
  decodeClientKeyExchange,
  decodePskHint,
  decodeSignature,
  decodeSignedShare,
  encodeCertificate,
  encodeClientKeyExchange,
  encodeSignature,
  encodeSignedShare,
} from "@airlift/protocol/dtls/key-exchange-messages";
import { CONTENT_TYPE, decodeRecords, encodePlainRecord, writeRecordHeader } from "@airlift/protocol/dtls/record";
import type { ServerCredentials } from "@airlift/protocol/dtls/server-choice";
import { ServerHandshake } from "@airlift/protocol/dtls/server-handshake";
import type { DtlsAddress } from "@airlift/protocol/dtls/session";
import { suiteByName } from "@airlift/protocol/dtls/suites";
import { EMPTY, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { PeerError } from "@airlift/protocol/lib/errors";
import { dtlsCrypto, dtlsSigningKey } from "@airlift/runtime/dtls-crypto";
import type { FuzzTarget } from "../target.ts";

const PEM: Readonly<Record<string, { readonly certificatePem: string; readonly keyPem: string }>> = JSON.parse(
  readFileSync(new URL("../../vectors/dtls-certificates.json", import.meta.url), "utf8"),
);
const keyOf = (name: string): SigningKey => dtlsSigningKey(createPrivateKey(PEM[name]?.keyPem ?? "")) as SigningKey;
const certificateOf = (name: string): Certificate => {
  const body = (PEM[name]?.certificatePem ?? "").replace(/-----[^-]+-----/g, "");
  return dtlsCrypto.parseCertificate(Buffer.from(body, "base64")) as Certificate;
};
const KEY = encodeUtf8("sixteen octets!!");
const own = (name: string, ...more: string[]) => ({
  chain: [name, ...more].map((each) => certificateOf(each).der),
  key: keyOf(name),
});

interface Scenario {
  readonly settings: HandshakeSettings;
  readonly server: ServerCredentials;
  readonly client: ClientCredentials;
}

function scenario(suite: string, server: Partial<ServerCredentials>, client: Partial<ClientCredentials>): Scenario {
  const chosen = suiteByName(suite);
  return {
    settings: { ...DEFAULT_HANDSHAKE, crypto: dtlsCrypto, suites: chosen ? [chosen] : [], utcMs: () => Date.UTC(2030) },
    server: { hasPsk: true, clientKinds: [], anchors: [certificateOf("authority")], ...server },
    client: { anchors: [], serverKeys: [], ...client },
  };
}

const psk = { psk: { identity: "device-7", key: KEY } };
const SCENARIOS: readonly Scenario[] = [
  scenario("TLS_PSK_WITH_AES_128_CCM_8", {}, psk),
  scenario("TLS_PSK_WITH_AES_128_CBC_SHA256", {}, psk),
  scenario("TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256", {}, psk),
  scenario(
    "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
    { x509: own("server", "issuer"), clientKinds: ["x509"] },
    { x509: own("device"), anchors: [certificateOf("authority")] },
  ),
  scenario(
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    { rpk: keyOf("server"), clientKinds: ["rpk"] },
    { rpk: keyOf("device"), serverKeys: [keyOf("server").spki] },
  ),
];

const NUMBERS = { messageNumber: 0, recordSequence: 0, ownConnectionId: Uint8Array.of(1, 2, 3, 4, 5, 6) };

function newServer({ settings, server }: Scenario): ServerHandshake {
  return new ServerHandshake(settings, server, { ...NUMBERS, resumable: undefined, newSessionId: new Uint8Array(16) });
}

function newClient({ settings, client }: Scenario): ClientHandshake {
  return new ClientHandshake(settings, client, { ownConnectionId: EMPTY, resumable: undefined });
}

/** Feeds a datagram and answers what is asked; the datagrams that come back. */
function feed(core: Handshake, datagram: Uint8Array, nowMs = 0): Uint8Array[] {
  const answers: Uint8Array[] = [];
  const perform = (outputs: HandshakeOutput[]): void => {
    for (const output of outputs) {
      assert.notEqual(output.kind, "opened", "a handshake must not open");
      if (output.kind === "send") answers.push(output.datagram);
      if (output.kind !== "ask") continue;
      const found = output.wanted.kind === "psk" ? { kind: "psk", key: KEY } : { kind: "rpk", name: "pump" };
      perform(core.step({ kind: "found", found: found as never }, nowMs));
    }
  };
  for (const record of decodeRecords(datagram, NUMBERS.ownConnectionId.length))
    perform(core.step({ kind: "record", record }, nowMs));
  return answers;
}

/** The datagrams of a handshake up to the client's Finished: its hello, the server's flight, the client's. */
function flightsOf(each: Scenario): { hello: Uint8Array[]; fromServer: Uint8Array[]; fromClient: Uint8Array[] } {
  const client = newClient(each);
  const server = newServer(each);
  const hello = client
    .step({ kind: "start" }, 0)
    .flatMap((output) => (output.kind === "send" ? [output.datagram] : []));
  const fromServer = hello.flatMap((datagram) => feed(server, datagram));
  return { hello, fromServer, fromClient: fromServer.flatMap((datagram) => feed(client, datagram)) };
}
const FLIGHTS = SCENARIOS.map(flightsOf);

/** Every message with the number of its scenario and its type in front. */
const messages = FLIGHTS.flatMap(({ hello, fromServer, fromClient }, number) =>
  [...hello, ...fromServer, ...fromClient].flatMap((datagram) =>
    decodeRecords(datagram, 6)
      .filter(({ type, epoch }) => type === CONTENT_TYPE.handshake && epoch === 0)
      .flatMap(({ fragment }) => decodeFragments(fragment))
      .map(({ type, bytes }) => new Uint8Array([number, type, ...bytes])),
  ),
);
const datagrams = FLIGHTS.flatMap(({ hello, fromServer, fromClient }) => [...hello, ...fromServer, ...fromClient]);

/** Whatever is read as records was there, octet for octet. */
export const dtlsRecords: FuzzTarget = {
  name: "dtls-records",
  corpus: datagrams,
  run(bytes) {
    let at = 0;
    for (const record of decodeRecords(bytes, 6)) {
      const again = new Uint8Array(13 + record.connectionId.length + record.fragment.length);
      const start = writeRecordHeader(again, { ...record, length: record.fragment.length });
      again.set(record.fragment, start);
      again.set(bytes.subarray(at + 1, at + 3), 1);
      assert.deepEqual(again, bytes.slice(at, at + again.length));
      at += again.length;
    }
    decodeAlert(bytes);
  },
};

/** What was decoded, once encoded, stays the same when it is decoded and encoded again. */
const same =
  <T>(decode: (bytes: Uint8Array) => T, encode: (value: T) => Uint8Array) =>
  (bytes: Uint8Array): void => {
    const encoded = encode(decode(bytes));
    assert.deepEqual(encode(decode(encoded)), encoded);
  };

const DECODERS: readonly ((bytes: Uint8Array) => void)[] = [
  same(decodeClientHello, encodeClientHello),
  same(decodeServerHello, encodeServerHello),
  same(decodeHelloVerify, encodeHelloVerify),
  same((bytes) => decodeCertificate(bytes, "x509"), encodeCertificate),
  same((bytes) => decodeCertificate(bytes, "rpk"), encodeCertificate),
  same(decodeSignedShare, ({ point, signature }) => encodeSignedShare(point, signature)),
  same(decodeSignature, encodeSignature),
  same((bytes) => decodeClientKeyExchange(bytes, { identity: true, point: true }), encodeClientKeyExchange),
  same(
    (bytes) => decodeExtensions(bytes, "client"),
    (value) => encodeExtensions(value, "client"),
  ),
  same(
    (bytes) => decodeExtensions(bytes, "server"),
    (value) => encodeExtensions(value, "server"),
  ),
  (bytes) => void decodePskHint(bytes, true),
  (bytes) => void decodePskHint(bytes, false),
  (bytes) => void decodeCertificateRequest(bytes),
  (bytes) => {
    for (const fragment of decodeFragments(bytes))
      assert.deepEqual(decodeFragments(encodeFragment(fragment)), [fragment]);
  },
];

/** Every decoder reads every input: `PeerError` or a value that encodes to the same meaning. */
export const dtlsMessages: FuzzTarget = {
  name: "dtls-messages",
  corpus: messages.map((message) => message.subarray(2)),
  run(bytes) {
    for (const decode of DECODERS) {
      try {
        decode(bytes);
      } catch (error) {
        if (!(error instanceof PeerError)) throw error;
      }
    }
  },
};

/** A handshake that has begun gets a message of any content, and then the octets as they are; it must end, and not open. */
function attack(core: Handshake, bytes: Uint8Array, nextNumber: number): void {
  const message = encodeHandshake({ type: bytes[1] ?? 0, number: nextNumber, body: bytes.subarray(2) });
  feed(core, encodePlainRecord(CONTENT_TYPE.handshake, 1, message), 10);
  feed(core, bytes.subarray(1), 20);
  for (let wakes = 0; core.wakeAtMs !== undefined; wakes += 1) {
    assert.ok(wakes < 50, "a handshake comes to its end");
    core.step({ kind: "wake" }, core.wakeAtMs);
  }
}

const scenarioOf = (bytes: Uint8Array): number => (bytes[0] ?? 0) % SCENARIOS.length;

export const dtlsServerHandshake: FuzzTarget = {
  name: "dtls-server-handshake",
  corpus: messages,
  run(bytes) {
    const number = scenarioOf(bytes);
    const core = newServer(SCENARIOS[number] as Scenario);
    const isHello = bytes[1] === 1;
    if (!isHello) for (const datagram of FLIGHTS[number]?.hello ?? []) feed(core, datagram);
    attack(core, bytes, isHello ? 0 : 1);
  },
};

export const dtlsClientHandshake: FuzzTarget = {
  name: "dtls-client-handshake",
  corpus: messages,
  run(bytes) {
    const core = newClient(SCENARIOS[scenarioOf(bytes)] as Scenario);
    core.step({ kind: "start" }, 0);
    attack(core, bytes, 0);
  },
};

const addressOf = (name: string): DtlsAddress => ({ key: name, address: name });
const PEER = addressOf("peer");

/** An endpoint with one session, which no octets of anybody else may change. */
function establish() {
  const options = { server: (SCENARIOS[0] as Scenario).server, handshakes: 8, handshakesPerHost: 4 };
  const server = new DtlsEndpoint<DtlsAddress>(dtlsCrypto, options);
  const client = new DtlsEndpoint<DtlsAddress>(dtlsCrypto, { connectionIds: "send" });
  const credentials = (SCENARIOS[0] as Scenario).client;
  const foreign: Uint8Array[] = [];
  let outgoing = client.step({ kind: "connect", address: PEER, credentials }, 0);
  while (outgoing.length > 0) {
    const answers: Uint8Array[] = [];
    for (const output of outgoing) {
      if (output.kind !== "send") continue;
      foreign.push(output.datagram);
      const outputs = server.step({ kind: "datagram", address: PEER, datagram: output.datagram }, 0);
      for (const each of outputs) {
        if (each.kind === "send") answers.push(each.datagram);
        if (each.kind === "ask")
          outputs.push(
            ...server.step({ kind: "found", handshake: each.handshake, found: { kind: "psk", key: KEY } }, 0),
          );
        if (each.kind === "opened") assert.equal(server.load.sessions, 1);
      }
    }
    outgoing = answers.flatMap((datagram) => client.step({ kind: "datagram", address: PEER, datagram }, 0));
  }
  assert.equal(server.load.sessions, 1);
  return { server, foreign };
}
const { server: endpoint } = establish();
const { foreign } = establish();
let nowMs = 1;

export const dtlsEndpoint: FuzzTarget = {
  name: "dtls-endpoint",
  corpus: [...foreign, ...datagrams],
  run(bytes) {
    nowMs += 1;
    const before = JSON.stringify(endpoint.load.sessions);
    for (const address of [PEER, addressOf(`stranger-${bytes.length % 16}`)]) {
      for (const output of endpoint.step({ kind: "datagram", address, datagram: bytes.slice() }, nowMs)) {
        if (output.kind === "ask")
          endpoint.step({ kind: "found", handshake: output.handshake, found: { kind: "failed" } }, nowMs);
        else assert.ok(output.kind === "send" || output.kind === "failed", output.kind);
      }
    }
    endpoint.step({ kind: "wake" }, nowMs);
    assert.equal(JSON.stringify(endpoint.load.sessions), before);
    assert.ok(endpoint.load.handshakes <= 8);
  },
};
