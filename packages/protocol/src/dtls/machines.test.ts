import assert from "node:assert/strict";
import { test } from "node:test";
import { reachable, type Table, toMermaid } from "../machine/table.ts";
import { CLIENT_HANDSHAKE } from "./client-machine.ts";
import { SERVER_HANDSHAKE } from "./server-machine.ts";

function checkTable<S extends string, E extends string>(
  name: string,
  table: Table<S, E, string>,
  start: S,
  end: S,
): void {
  const states = Object.keys(table) as S[];
  test(`${name}: every state is reached, and the end is reached from every state`, () => {
    assert.deepEqual([...reachable(table, start)].sort(), [...states].sort());
    for (const state of states) assert.ok(reachable(table, state).has(end), state);
  });
  test(`${name}: the end takes nothing, and nothing but Finished leads there (RFC 5246 §7.4.9)`, () => {
    assert.deepEqual(table[end], {});
    for (const state of states) {
      for (const [event, arrow] of Object.entries<{ to: S; actions: readonly string[] } | undefined>(table[state])) {
        if (arrow?.to !== end) continue;
        assert.equal(event, "finished");
        assert.equal(arrow.actions[0], "checkFinished");
        assert.equal(arrow.actions.at(-1), "open");
      }
    }
  });
  test(`${name}: the diagram can be drawn`, () => {
    assert.match(toMermaid(table), new RegExp(`--> ${end}: finished`));
  });
}

checkTable("client", CLIENT_HANDSHAKE, "start", "open");
checkTable("server", SERVER_HANDSHAKE, "start", "open");

test("server: a client that showed a certificate is not through without CertificateVerify (RFC 5246 §7.4.8)", () => {
  for (const state of ["certificateAwaited", "rawKeyAsked", "provableKeyAwaited", "proofAwaited"] as const)
    assert.equal(SERVER_HANDSHAKE[state].finished, undefined);
  assert.deepEqual(Object.keys(SERVER_HANDSHAKE.proofAwaited), ["certificateVerify"]);
});

test("client: a server with a certificate has to sign its share (RFC 8422 §5.4)", () => {
  assert.deepEqual(Object.keys(CLIENT_HANDSHAKE.certificateAwaited), ["certificate"]);
  assert.deepEqual(Object.keys(CLIENT_HANDSHAKE.signedShareAwaited), ["keyExchange"]);
});
