/** DTLS handshakes in virtual time: RFC 6347 clause by clause, with what RFC 5246, 5746 and 7627 add. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_TIMING } from "@airlift/protocol/dtls/handshake-types";
import { SUITES, suiteByName } from "@airlift/protocol/dtls/suites";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import {
  addressOf,
  connect,
  DtlsWorld,
  type Flight,
  IDENTITY,
  KEY,
  knowsDevice,
  PSK_CLIENT,
  PSK_SERVER,
  pskPair,
  say,
  WorldNode,
} from "./dtls-world.ts";

const HELLO_TYPE = 13;
const isPlainHandshake = (datagram: Uint8Array, type: number): boolean =>
  datagram[0] === 22 && datagram[HELLO_TYPE] === type;
const recordNumber = (datagram: Uint8Array): number => datagram[10] as number;
const only = (...names: string[]) => names.flatMap((name) => suiteByName(name) ?? []);

for (const suite of SUITES.filter(({ keyExchange }) => keyExchange !== "ecdheEcdsa")) {
  test(`RFC 5246 §7.3: ${suite.name} opens a session, and both ends know who is there`, () => {
    const { world, server, client } = pskPair({ server: { suites: [suite] }, client: { suites: [suite] } });
    connect(world, client, server);
    world.run(10_000);
    say(world, client, "up");
    say(world, server, "down");
    world.run(20_000);
    assert.deepEqual([server.received, client.received], [["up"], ["down"]]);
    for (const { session } of [server, client]) {
      assert.deepEqual(session.identity, { kind: "psk", name: IDENTITY });
      assert.deepEqual([session.suiteName, session.hasExtendedMasterSecret], [suite.name, true]);
    }
  });
}

test("RFC 6347 §4.2.1: a hello without a cookie costs no memory and is answered with less than it brought", () => {
  const { world, server, client } = pskPair();
  connect(world, client, server);
  const [hello] = world.flights as unknown as [Flight];
  for (let i = 0; i < 5_000; i += 1) {
    const outputs = server.core.step(
      { kind: "datagram", address: addressOf(`flood-${i}`), datagram: hello.datagram },
      1,
    );
    assert.equal(outputs.length, 1);
    assert.ok(outputs[0]?.kind === "send" && outputs[0].datagram.length < hello.datagram.length);
  }
  const { handshakes, sessions, resumable } = server.core.load;
  assert.deepEqual([handshakes, sessions, resumable, server.core.wakeAtMs], [0, 0, 0, undefined]);
});

test("RFC 6347 §4.2.1: a cookie is good for one address, one hello and two minutes", () => {
  const { world, server, client } = pskPair();
  connect(world, client, server);
  world.run(45);
  const hello = world.flights.filter(({ from }) => from === client.address)[1] as Flight;
  const isTaken = (datagram: Uint8Array, address = client.address, nowMs = 50): boolean => {
    const before = server.core.load.cookieCount;
    server.core.step({ kind: "datagram", address, datagram }, nowMs);
    return server.core.load.cookieCount === before;
  };
  const other = hello.datagram.slice();
  other[30] = (other[30] ?? 0) ^ 1;
  assert.ok(!isTaken(other), "another random");
  assert.ok(!isTaken(hello.datagram, addressOf("elsewhere")));
  assert.ok(!isTaken(hello.datagram, client.address, 120_001));
  assert.equal(server.core.load.handshakes, 0);
  assert.ok(isTaken(hello.datagram, client.address, 110_000));
});

test("RFC 6347 §4.2.1: HelloVerifyRequest and the first ServerHello carry the record numbers of their hellos", () => {
  const { world, server, client } = pskPair();
  connect(world, client, server);
  world.run(10_000);
  const records = world.flights.slice(0, 4).map(({ datagram }) => [datagram[HELLO_TYPE], recordNumber(datagram)]);
  assert.deepEqual(records, [
    [1, 0],
    [3, 0],
    [1, 1],
    [2, 1],
  ]);
});

test("RFC 6347 §4.2.1: the second hello is the first one with the cookie", () => {
  const { world, server, client } = pskPair();
  connect(world, client, server);
  world.run(10_000);
  const [first, second] = world.flights.filter(({ datagram }) => isPlainHandshake(datagram, 1)) as unknown as [
    Flight,
    Flight,
  ];
  assert.deepEqual(first.datagram.slice(27, 60), second.datagram.slice(27, 60));
  assert.equal(second.datagram.length - first.datagram.length, 17);
});

test("RFC 6347 §4.2.4: whichever datagram is lost, the handshake ends well, also when each is lost once", () => {
  for (const isResumption of [false, true]) {
    for (let lost = -1; lost < 6; lost += 1) {
      const { world, server, client } = pskPair();
      if (isResumption) {
        connect(world, client, server);
        world.run(1_000);
        world.feed(client, { kind: "close", session: client.session });
        world.run(2_000);
      }
      const start = world.flights.length;
      const seen = new Set<string>();
      world.tamper = ({ from, datagram }, index) => {
        const name = `${from.key} ${datagram[0]} ${datagram[HELLO_TYPE]} ${datagram.length}`;
        const isFirst = !seen.has(name);
        seen.add(name);
        return (lost < 0 && isFirst) || index - start === lost ? undefined : datagram;
      };
      connect(world, client, server);
      world.run(100_000);
      world.tamper = ({ datagram }) => datagram;
      say(world, client, "there");
      world.run(110_000);
      assert.deepEqual(server.received, ["there"], `datagram ${lost}: ${client.sentences} ${server.sentences}`);
      assert.equal(client.session.isResumed, isResumption);
    }
  }
});

test("RFC 6347 §4.2.4: 300 seeds with loss, doubles and overtaking: sessions or reasons, and no word is heard twice", () => {
  let openCount = 0;
  for (let seed = 1; seed <= 300; seed += 1) {
    const link = { loss: 0.2, duplication: 0.2, minDelayMs: 1, maxDelayMs: 300 };
    const { world, server, client } = pskPair({ link, seed });
    connect(world, client, server);
    world.run(120_000);
    if (client.opened.length === 0) {
      assert.ok(client.sentences.length > 0, `seed ${seed}: neither open nor failed`);
      continue;
    }
    openCount += 1;
    say(world, client, "one");
    say(world, client, "two");
    world.run(240_000);
    assert.equal(new Set(server.received).size, server.received.length, `seed ${seed}: ${server.received}`);
  }
  assert.ok(openCount >= 290, `only ${openCount} of 300 opened`);
});

test("RFC 6347 §4.2.4.1: a silent server is asked at 0, 1, 3, 7, 15 and 31 s and given up at 63 s", () => {
  const client = new WorldNode("client", {});
  const world = new DtlsWorld([client]);
  world.feed(client, { kind: "connect", address: addressOf("nobody"), credentials: PSK_CLIENT });
  world.run();
  assert.deepEqual(
    world.flights.map(({ atMs }) => atMs / 1000),
    [0, 1, 3, 7, 15, 31],
  );
  assert.equal(world.nowMs, 63_000);
  assert.deepEqual(client.sentences, ["nobody answers at the server's address"]);
  assert.equal(client.core.load.handshakes, 0);
});

test("RFC 6347 §4.2.4: Finished is repeated for a client that did not get it, until it sends data or four minutes passed", () => {
  const { world, server, client } = pskPair();
  let lost = 2;
  world.tamper = ({ from, datagram }) => {
    if (from === server.address && datagram[0] === 20 && lost > 0) {
      lost -= 1;
      return undefined;
    }
    return datagram;
  };
  connect(world, client, server);
  world.run(30_000);
  assert.equal(client.opened.length, 1);
  assert.ok(server.session.lastFlight);
  world.run(300_000);
  assert.equal(server.session.lastFlight, undefined);
});

test("RFC 6347 §4.2.4: a flight that comes again is answered again at once, before any timer of ours", () => {
  const { world, server, client } = pskPair({ server: { timing: { ...DEFAULT_TIMING, retransmitMs: 200 } } });
  let isLost = false;
  world.tamper = ({ datagram }) => {
    if (isLost || !isPlainHandshake(datagram, 16)) return datagram;
    isLost = true;
    return undefined;
  };
  connect(world, client, server);
  world.run(DEFAULT_TIMING.retransmitMs / 2);
  assert.deepEqual([isLost, client.opened.length], [true, 1]);
});

test("RFC 6347 §4.1: data that overtakes Finished waits for it", () => {
  const { world, server, client } = pskPair();
  let held: Flight | undefined;
  world.tamper = (flight) => {
    if (flight.from === server.address && flight.datagram[0] === 20 && held === undefined) {
      held = flight;
      return undefined;
    }
    return flight.datagram;
  };
  connect(world, client, server);
  world.run(500);
  say(world, server, "early");
  world.run(900);
  assert.deepEqual([client.opened.length, client.received], [0, []]);
  world.inject(held as unknown as Flight);
  world.run(950);
  assert.deepEqual([client.opened.length, client.received], [1, ["early"]]);
});

test("RFC 6347 §4.2.8: a new hello from an address with a session does not touch it before the new one is proven", () => {
  const { world, server, client } = pskPair({ server: { connectionIds: "off" }, client: { connectionIds: "off" } });
  connect(world, client, server);
  world.run(1_000);
  const old = server.session;
  // Somebody at the same address who does not know the key.
  const impostor = new WorldNode("client", { connectionIds: "off" });
  const second = new DtlsWorld([server, impostor]);
  second.nowMs = world.nowMs;
  connect(second, impostor, server, { psk: { identity: IDENTITY, key: encodeUtf8("wrong") } });
  second.run(1_500);
  assert.ok(server.core.has(old));
  say(world, client, "still here");
  world.run(2_000);
  assert.deepEqual(server.received, ["still here"]);
  second.run(70_000);
  assert.ok(server.core.has(old));
  // The device itself, after a restart: now the old session goes.
  const restarted = new WorldNode("client", { connectionIds: "off" });
  const third = new DtlsWorld([server, restarted]);
  third.nowMs = 80_000;
  connect(third, restarted, server);
  third.run(90_000);
  assert.ok(!server.core.has(old) && server.core.has(server.session));
  assert.ok(server.sentences.includes("a newer session with the same peer took its place"));
});

test("RFC 5246 §7.4.1.2: without a suite in common the client is told, and the operator reads both lists", () => {
  const { world, server, client } = pskPair({
    server: { suites: only("TLS_PSK_WITH_AES_128_GCM_SHA256") },
    client: { suites: only("TLS_PSK_WITH_AES_128_CCM_8") },
  });
  connect(world, client, server);
  world.run(10_000);
  assert.deepEqual(server.sentences, [
    "no cipher suite in common: the peer offers TLS_PSK_WITH_AES_128_CCM_8, and there are credentials here for TLS_PSK_WITH_AES_128_GCM_SHA256",
  ]);
  assert.deepEqual(client.sentences, ["the peer refused the handshake: handshake_failure"]);
});

test("RFC 7366 §3: CBC is off unless it is named, and never without encrypt-then-MAC", () => {
  const cbc = only("TLS_PSK_WITH_AES_128_CBC_SHA256");
  const { world, server, client } = pskPair({ client: { suites: cbc } });
  connect(world, client, server);
  world.run(10_000);
  assert.match(server.sentences.join(), /no cipher suite in common/);
});

test("RFC 7627 §5.2, §5.3: the Extended Master Secret is used, and a peer without it is refused where it is required", () => {
  const { world, server, client } = pskPair({ server: { requireExtendedMasterSecret: true } });
  world.tamper = ({ from, datagram }) => (from === client.address ? withoutExtension(datagram, 23) : datagram);
  connect(world, client, server);
  world.run(10_000);
  assert.deepEqual(server.sentences, ["the peer does not offer the Extended Master Secret, which is required here"]);
  assert.deepEqual(client.sentences, ["the peer refused the handshake: handshake_failure"]);
});

/** The datagram with an empty extension renamed to one that nobody knows: lengths stay. */
function withoutExtension(datagram: Uint8Array, type: number): Uint8Array {
  const changed = Buffer.from(datagram);
  const at = changed.indexOf(Buffer.from([0, type, 0, 0]), 60);
  if (isPlainHandshake(datagram, 1) && at > 0) changed.writeUInt16BE(0x7777, at);
  return new Uint8Array(changed);
}

test("RFC 6347 §4.2.6: a hello that was changed on its way is found out at the end", () => {
  const { world, server, client } = pskPair();
  world.tamper = ({ from, datagram }) => (from === client.address ? withoutExtension(datagram, 23) : datagram);
  connect(world, client, server);
  world.run(100_000);
  assert.deepEqual([server.opened.length, client.opened.length], [0, 0]);
  assert.deepEqual(server.sentences, ["the handshake was changed on its way: its digest does not agree"]);
});

test("RFC 5246 §7.2.1: close_notify ends the session at both ends, and it can be resumed by its id", () => {
  const { world, server, client } = pskPair();
  connect(world, client, server);
  world.run(1_000);
  world.feed(client, { kind: "close", session: client.session });
  world.run(2_000);
  assert.deepEqual(
    [client.sentences, server.sentences],
    [["the session was closed here"], ["the peer closed the session"]],
  );
  assert.deepEqual([server.core.load.sessions, client.core.load.sessions], [0, 0]);
  const count = world.flights.length;
  connect(world, client, server);
  world.run(3_000);
  assert.deepEqual([client.session.isResumed, server.session.isResumed], [true, true]);
  assert.equal(server.session.identity.name, IDENTITY);
  // Hello, cookie, hello, hello to Finished, Finished: one round trip less than a full handshake.
  assert.equal(world.flights.length - count, 5);
});

test("RFC 5246 §7.3: a session that the server no longer has begins anew", () => {
  const { world, server, client } = pskPair();
  connect(world, client, server);
  world.run(1_000);
  world.feed(server, { kind: "revoke", identity: { kind: "psk", name: IDENTITY } });
  world.run(2_000);
  assert.deepEqual(client.sentences, ["the peer ended the session: access_denied"]);
  connect(world, client, server);
  world.run(4_000);
  assert.equal(client.session.isResumed, false);
});

test("RFC 7627 §5.3: a session is not resumed without the Extended Master Secret it was made with", () => {
  const { world, server, client } = pskPair();
  connect(world, client, server);
  world.run(1_000);
  world.feed(client, { kind: "close", session: client.session });
  world.run(2_000);
  world.tamper = ({ from, datagram }) => (from === client.address ? withoutExtension(datagram, 23) : datagram);
  connect(world, client, server);
  world.run(10_000);
  assert.match(server.sentences.join(), /resume a session without the Extended Master Secret/);
});

test("RFC 4279 §2: an unknown identity and a wrong key get their alerts, and lines that an operator understands", () => {
  const cases = [
    [{ identity: "nobody", key: KEY }, 'no key is known for the PSK identity "nobody"', "unknown_psk_identity"],
    [
      { identity: IDENTITY, key: encodeUtf8("wrong") },
      'the peer\'s key for PSK identity "device-7" is not the one known here',
      "decrypt_error",
    ],
  ] as const;
  for (const [psk, line, alert] of cases) {
    const { world, server, client } = pskPair();
    connect(world, client, server, { psk });
    world.run(100_000);
    assert.deepEqual(server.sentences, [line]);
    assert.deepEqual(client.sentences, [`the peer refused the handshake: ${alert}`]);
    assert.deepEqual([server.core.load.sessions, server.core.load.handshakes], [0, 0]);
  }
});

test("an identity with control characters or of any length makes one printable line", () => {
  const { world, server, client } = pskPair();
  connect(world, client, server, { psk: { identity: `a\nb\u001b[31m\u2028${"c".repeat(200)}`, key: KEY } });
  world.run(10_000);
  const [line = ""] = server.sentences;
  assert.match(line, /^no key is known for the PSK identity "a\ufffdb\ufffd\[31m\ufffdc+…"$/);
});

test("a key that is looked up for a while: the handshake waits, and data sent at once is not lost", () => {
  const { world, server, client } = pskPair({
    lookup: (wanted) => ({ found: knowsDevice(wanted) as { kind: "psk"; key: Uint8Array }, afterMs: 3_500 }),
  });
  connect(world, client, server);
  world.run(60_000);
  say(world, client, "hello");
  world.run(61_000);
  assert.deepEqual(server.received, ["hello"]);
});

test("a look-up that fails or takes too long refuses the handshake with internal_error", () => {
  for (const answer of [{ kind: "failed" } as const, { found: { kind: "psk", key: KEY } as const, afterMs: 30_000 }]) {
    const { world, server, client } = pskPair({ lookup: () => answer });
    connect(world, client, server);
    world.run(100_000);
    assert.deepEqual(server.sentences, ["the credential could not be looked up"]);
    assert.deepEqual(client.sentences, ["the peer refused the handshake: internal_error"]);
  }
});

test("RFC 6347 §4.1.2.7: a plain alert that anybody can send does not end a handshake that goes on", () => {
  const { world, server, client } = pskPair();
  connect(world, client, server);
  const alert = Uint8Array.of(21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40);
  for (let i = 0; i < 20; i += 1) {
    world.run(5 * i);
    world.inject({ from: server.address, to: client.address, datagram: alert });
    world.inject({ from: client.address, to: server.address, datagram: alert });
  }
  world.run(DEFAULT_TIMING.retransmitMs / 2);
  assert.deepEqual([client.opened.length, server.opened.length], [1, 1]);
});

test("limits: no host begins more handshakes than its share, and the oldest makes room when there are too many in all", () => {
  const cases = [
    { hosts: 1, limits: { handshakesPerHost: 5 }, expected: [5, 35, 0] },
    { hosts: 40, limits: { handshakes: 20 }, expected: [20, 0, 20] },
  ];
  for (const { hosts, limits, expected } of cases) {
    const server = new WorldNode("server", { server: PSK_SERVER, ...limits });
    const nodes = Array.from({ length: 40 }, () => new WorldNode("", { connectionIds: "send" }));
    for (const [i, node] of nodes.entries()) node.address = addressOf(`host-${i % hosts}`, i);
    const world = new DtlsWorld([server, ...nodes]);
    // What would end the handshakes never arrives.
    world.tamper = ({ datagram }) => (isPlainHandshake(datagram, 16) ? undefined : datagram);
    for (const node of nodes) connect(world, node, server);
    world.run(500);
    const crowdedOutCount = server.sentences.filter((line) => /the oldest made room/.test(line)).length;
    const { handshakes, refusedHandshakeCount } = server.core.load;
    assert.deepEqual([handshakes, refusedHandshakeCount, crowdedOutCount], expected);
  }
});
