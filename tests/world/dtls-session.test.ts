/** Established sessions in virtual time: records, replays, forgeries, Connection IDs, restarts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SUITES } from "@airlift/protocol/dtls/suites";
import { encodeUtf8, toHex } from "@airlift/protocol/lib/bytes";
import { dtlsCrypto } from "@airlift/runtime/dtls-crypto";
import { seeded } from "@airlift/sim/world";
import {
  addressOf,
  connect,
  DtlsWorld,
  type Flight,
  IDENTITY,
  KEY,
  PSK_SERVER,
  pskPair,
  say,
  WorldNode,
} from "./dtls-world.ts";

type Options = Parameters<typeof pskPair>[0];

function openPair(options: Options = {}) {
  const pair = pskPair(options);
  connect(pair.world, pair.client, pair.server);
  pair.world.run(1_000);
  assert.equal(pair.server.opened.length, 1, pair.client.sentences.join());
  return pair;
}

/** The datagram in which `node` says `text`; it is not delivered. */
function recordOf(world: DtlsWorld, node: WorldNode, text: string): Flight {
  const before = world.tamper;
  world.tamper = () => undefined;
  say(world, node, text);
  world.tamper = before;
  return world.flights.at(-1) as Flight;
}

const NO_IDS: Options = { server: { connectionIds: "off" }, client: { connectionIds: "off" } };

test("RFC 6347 §4.1.2.6: a record counts once, whenever it comes again, within the window and behind it", () => {
  const { world, server, client } = openPair();
  const records = Array.from({ length: 200 }, (_, i) => recordOf(world, client, `m${i}`));
  const random = seeded(7);
  for (const record of [...records, ...records].toSorted(() => random() - 0.5)) world.inject(record);
  world.run(2_000);
  for (const record of records) world.inject(record);
  world.run(3_000);
  assert.equal(new Set(server.received).size, server.received.length);
  assert.ok(server.received.length >= 1);
});

test("RFC 6347 §4.1.2.6: records that overtake each other by less than 64 all arrive", () => {
  const { world, server, client } = openPair();
  const records = Array.from({ length: 64 }, (_, i) => recordOf(world, client, `m${i}`)).reverse();
  for (const [i, record] of records.entries()) {
    world.nowMs += i;
    world.inject(record);
    world.run(world.nowMs + 1);
  }
  assert.equal(server.received.length, 64);
});

for (const suite of SUITES.filter(({ keyExchange }) => keyExchange === "psk")) {
  for (const connectionIds of ["off", "both"] as const) {
    test(`RFC 6347 §4.1.2.7: ${suite.name}, IDs ${connectionIds}: any octet changed, cut or added, and nothing happens`, () => {
      const { world, server, client } = openPair({
        server: { suites: [suite], connectionIds },
        client: { suites: [suite], connectionIds },
      });
      const record = recordOf(world, client, "valid");
      const state = () => JSON.stringify(server.core.load.sessions) + JSON.stringify(server.session.window);
      const before = state();
      const count = world.flights.length;
      for (let at = 0; at < record.datagram.length; at += 1) {
        const changed = record.datagram.slice();
        changed[at] = (changed[at] ?? 0) ^ 0x41;
        for (const datagram of [changed, record.datagram.slice(0, at)]) {
          const outputs = server.core.step({ kind: "datagram", address: client.address, datagram }, world.nowMs);
          assert.deepEqual(outputs, [], `octet ${at}`);
        }
      }
      assert.equal(state(), before);
      assert.equal(world.flights.length, count);
      world.inject(record);
      world.run(2_000);
      assert.deepEqual(server.received, ["valid"]);
    });
  }
}

test("RFC 6347 §4.1: records of another epoch, of epoch 0 after the handshake, and plain alerts are ignored", () => {
  const { world, server, client } = openPair(NO_IDS);
  const record = recordOf(world, client, "x").datagram;
  const otherEpoch = record.slice();
  otherEpoch[4] = 2;
  const plainData = Uint8Array.of(23, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 99, 0, 1, 65);
  const plainAlert = Uint8Array.of(21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2, 2, 40);
  const closeNotify = Uint8Array.of(21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2, 1, 0);
  for (const datagram of [otherEpoch, plainData, plainAlert, closeNotify]) {
    assert.deepEqual(server.core.step({ kind: "datagram", address: client.address, datagram }, 2_000), []);
    assert.deepEqual(client.core.step({ kind: "datagram", address: server.address, datagram }, 2_000), []);
  }
  assert.deepEqual([server.core.load.sessions, client.core.load.sessions], [1, 1]);
});

test("RFC 5246 §7.2.2: renegotiation is refused with a warning, and the session goes on", () => {
  const { world, server, client } = openPair(NO_IDS);
  // A hello under protection, as a client that wants to renegotiate sends it.
  const hello = world.flights.find(({ datagram }) => datagram[0] === 22)?.datagram.slice(13) ?? new Uint8Array();
  client.session.warm(dtlsCrypto);
  const sealed = client.session.seal(22, hello) as Uint8Array;
  const outputs = server.core.step({ kind: "datagram", address: client.address, datagram: sealed }, 2_000);
  assert.deepEqual(
    outputs.map(({ kind }) => kind),
    ["send"],
  );
  const [answer] = outputs;
  if (answer?.kind !== "send") return assert.fail();
  assert.deepEqual(
    client.core.step({ kind: "datagram", address: server.address, datagram: answer.datagram }, 2_000),
    [],
  );
  say(world, client, "still here");
  world.run(3_000);
  assert.deepEqual(server.received, ["still here"]);
});

test("RFC 9146 §3: each side's records carry what the other one chose: an ID, nothing, or the old format", () => {
  const cases = [
    ["both", "both", 25, 25],
    ["both", "send", 25, 23],
    ["send", "both", 23, 25],
    ["send", "send", 23, 23],
    ["off", "both", 23, 23],
    ["both", "off", 23, 23],
  ] as const;
  for (const [serverUse, clientUse, fromClient, fromServer] of cases) {
    const { world, server, client } = openPair({
      server: { connectionIds: serverUse },
      client: { connectionIds: clientUse },
    });
    const types = [recordOf(world, client, "x").datagram[0], recordOf(world, server, "x").datagram[0]];
    assert.deepEqual(types, [fromClient, fromServer], `${serverUse} ${clientUse}`);
  }
});

test("RFC 9146 §4: the Connection ID stands before the length, the true type inside", () => {
  const { world, server, client } = openPair();
  const record = recordOf(world, client, "x");
  assert.equal(record.datagram[0], 25);
  assert.equal(toHex(record.datagram.slice(11, 17)), toHex(server.session.ownConnectionId));
  world.inject(record);
  world.run(2_000);
  assert.deepEqual(server.received, ["x"]);
});

test("RFC 9146 §6: a new address is believed with the newest authentic record; key, identity and session stay", () => {
  const { world, server, client } = openPair();
  const { session } = server;
  const { key } = session;
  const late = recordOf(world, client, "late");
  client.address = addressOf("client", 2);
  say(world, client, "from the new port");
  world.run(2_000);
  assert.equal(session.address.key, client.address.key);
  // An older record, from where the device was before: heard, but it does not move the session back.
  world.inject({ ...late, from: addressOf("client", 1) });
  // A forged one from somewhere else moves nothing.
  const forged = recordOf(world, client, "forged");
  forged.datagram[forged.datagram.length - 1] = (forged.datagram.at(-1) ?? 0) ^ 1;
  world.inject({ ...forged, from: addressOf("attacker") });
  // A replayed one neither.
  world.inject({ ...late, from: addressOf("attacker") });
  world.run(3_000);
  assert.equal(session.address.key, client.address.key);
  say(world, server, "to the new port");
  world.run(4_000);
  assert.deepEqual([server.received, client.received], [["from the new port", "late"], ["to the new port"]]);
  assert.deepEqual([server.session, server.session.key, server.opened.length], [session, key, 1]);
});

test("without a Connection ID a new address is a stranger", () => {
  const { world, server, client } = openPair(NO_IDS);
  client.address = addressOf("client", 2);
  say(world, client, "lost");
  world.run(2_000);
  assert.deepEqual(server.received, []);
});

test("a restart keeps every session: both directions go on, old records are replays, numbers are never used twice", () => {
  const { world, server, client } = openPair();
  say(world, client, "before");
  say(world, server, "before");
  world.run(2_000);
  const old = recordOf(world, client, "old");
  world.inject(old);
  world.run(3_000);
  const fromBefore = recordOf(world, server, "never sent").datagram;
  const snapshot = JSON.parse(JSON.stringify(server.core.exportSessions(world.nowMs)));
  const { session } = server;
  assert.deepEqual(server.core.step({ kind: "send", session, bytes: encodeUtf8("x") }, world.nowMs), []);
  const restarted = new WorldNode("server", { server: PSK_SERVER });
  restarted.core.importSessions(snapshot, 50);
  const after = new DtlsWorld([restarted, client]);
  after.nowMs = world.nowMs;
  after.inject(old);
  after.feed(client, { kind: "send", session: client.session, bytes: encodeUtf8("after") });
  after.run(5_000);
  assert.deepEqual(restarted.received, ["after"]);
  const [output] = restarted.log;
  if (output?.kind !== "received") return assert.fail();
  assert.deepEqual([output.session.key, output.session.identity.name], [session.key, IDENTITY]);
  after.feed(restarted, { kind: "send", session: output.session, bytes: encodeUtf8("answer") });
  after.run(6_000);
  assert.deepEqual(client.received.slice(-1), ["answer"]);
  const numberOf = (datagram: Uint8Array): number => Buffer.from(datagram).readUIntBE(5, 6);
  // Also when some records went out after the snapshot was taken.
  assert.ok(numberOf((after.flights.at(-1) as Flight).datagram) > numberOf(fromBefore) + 10_000);
});

test("a snapshot that is none is a mistake of the caller, and nothing of it is repeated", () => {
  const { world, server } = openPair();
  const [good] = server.core.exportSessions(world.nowMs).sessions;
  for (const bad of [{ suite: "TLS_NULL" }, { keys: "xyz" }, { writeSequence: Number.NaN }]) {
    const fresh = new WorldNode("server", { server: PSK_SERVER });
    assert.throws(
      () => fresh.core.importSessions({ version: 1, sessions: [{ ...good, ...bad } as never] }, 0),
      (error: Error & { code?: string }) =>
        error.code === "DTLS_SNAPSHOT" && !error.message.includes(good?.master ?? "?"),
    );
  }
});

test("limits: one more session closes the most silent one, and one identity has its share", () => {
  const server = new WorldNode("server", { server: PSK_SERVER, sessions: 5, sessionsPerIdentity: 2 }, () => ({
    kind: "psk",
    key: KEY,
  }));
  const nodes = Array.from({ length: 9 }, (_, i) => new WorldNode(`host-${i}`, { connectionIds: "send" }));
  const world = new DtlsWorld([server, ...nodes]);
  for (const [i, node] of nodes.entries()) {
    connect(world, node, server, { psk: { identity: i < 3 ? "same" : `device-${i}`, key: KEY } });
    world.run(1_000 * (i + 1));
    assert.ok(server.core.load.sessions <= 5);
  }
  const count = (pattern: RegExp): number => server.sentences.filter((line) => pattern.test(line)).length;
  assert.deepEqual([count(/newer session/), count(/the table of sessions is full/)], [1, 3]);
});

test("a session is closed when nothing was heard for too long, and only then", () => {
  const { world, server, client } = openPair({ server: { idleMs: 600_000 } });
  for (let i = 1; i <= 5; i += 1) {
    world.wait(i * 500_000);
    say(world, client, `${i}`);
  }
  world.wait(2_900_000);
  assert.equal(server.core.load.sessions, 1);
  world.wait(3_200_000);
  assert.deepEqual(
    [server.core.load.sessions, server.sentences],
    [0, ["nothing was heard from the peer for too long"]],
  );
});

test("ciphers of sessions that are not in use are let go, and made again", () => {
  const server = new WorldNode("server", { server: PSK_SERVER, warmSessions: 2 }, () => ({ kind: "psk", key: KEY }));
  const nodes = Array.from({ length: 6 }, (_, i) => new WorldNode(`host-${i}`, { connectionIds: "send" }));
  const world = new DtlsWorld([server, ...nodes]);
  for (const [i, node] of nodes.entries()) connect(world, node, server, { psk: { identity: `device-${i}`, key: KEY } });
  world.run(1_000);
  for (const node of [...nodes, ...nodes]) {
    say(world, node, "x");
    world.run(world.nowMs + 100);
  }
  assert.equal(server.received.length, 12);
  assert.ok(server.opened.filter(({ isWarm }) => isWarm).length <= 2);
});

test("no key is in any output, error or line", () => {
  const secret = encodeUtf8("a-key-that-must-not-show");
  for (const known of [secret, KEY, undefined]) {
    const { world, server, client } = pskPair({ lookup: () => ({ kind: "psk", key: known }) });
    connect(world, client, server, { psk: { identity: IDENTITY, key: secret } });
    world.run(100_000);
    const { log } = server;
    const told = JSON.stringify([
      ...[...log, ...client.log].map((output) =>
        "session" in output
          ? { kind: output.kind, key: output.session.key, identity: output.session.identity }
          : output.kind === "ask"
            ? output.wanted
            : output,
      ),
      server.sentences,
      client.sentences,
      server.core.load,
      world.flights.map(({ datagram }) => [toHex(datagram), Buffer.from(datagram).toString("latin1")]),
    ]);
    const masters = [...server.opened, ...client.opened].flatMap(({ resumable, keys }) => [resumable.master, keys]);
    for (const hidden of [secret, ...masters]) {
      assert.ok(!told.includes(toHex(hidden)));
      assert.ok(!told.includes(Buffer.from(hidden).toString("base64")));
      assert.ok(!told.includes(JSON.stringify(Buffer.from(hidden).toString("latin1")).slice(1, -1)));
    }
  }
});
