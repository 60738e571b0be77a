/** DTLS with Connection IDs (RFC 9146) with Scandium, the DTLS of Eclipse Californium, in both roles. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRequest } from "@airlift/protocol/coap/exchange";
import { suiteByName } from "@airlift/protocol/dtls/suites";
import { CoapNode } from "@airlift/runtime/coap-node";
import type { DtlsEvent } from "@airlift/runtime/dtls";
import { openDtlsClient } from "@airlift/runtime/dtls-client";
import { Gateway } from "../e2e/gateway.ts";
import { Folder, freePort, HOST, IDENTITY, KEY, KEY_HEX, ourServer, Program } from "./dtls-peers.ts";
import { compileJava, skipWithoutJava } from "./java-peers.ts";

const skip = skipWithoutJava();
const SUITES = ["TLS_PSK_WITH_AES_128_CCM_8", "TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256"];
const parts = skip === false ? compileJava("ScandiumPeer", new Folder().path) : [];

for (const suite of SUITES) {
  test(`scandium as client: ${suite} with Connection IDs, a new port, no new handshake`, { skip }, async () => {
    const { dtls, node, events } = await ourServer({ psk: (identity) => (identity === IDENTITY ? KEY : undefined) });
    const gateway = await Gateway.open(dtls.address.port);
    const uri = `coaps://${HOST}:${gateway.port}/`;
    const client = new Program("java", [...parts, "client", uri, IDENTITY, KEY_HEX, suite]);
    try {
      await client.prints(/ready/);
      client.say("get\n");
      await client.prints(/(answer hello psk device-7 read .*){1}/s);
      await gateway.rebind();
      client.say("get\n");
      await client.prints(/(answer hello psk device-7 read .*){2}/s);
      // Theirs has 5 octets, ours 6: each side uses what the other one chose.
      assert.match(client.output, /read CID=[0-9A-F]{10} write CID=[0-9A-F]{12}/);
      assert.deepEqual(
        events.map(({ kind }) => kind),
        ["opened", "moved"],
      );
      const [opened] = events;
      if (opened?.kind !== "opened") return assert.fail();
      assert.deepEqual([opened.peer.suiteName, opened.peer.hasConnectionId], [suite, true]);
      assert.equal(opened.peer.address.port, gateway.outsidePort);
    } finally {
      await client.stop();
      gateway.close();
      await node.close();
    }
  });

  test(`scandium as server: ${suite} with Connection IDs, a new port, no new handshake`, { skip }, async () => {
    const port = await freePort();
    const server = new Program("java", [...parts, "server", String(port), IDENTITY, KEY_HEX, suite]);
    await server.prints(/ready/);
    const gateway = await Gateway.open(port);
    const events: DtlsEvent[] = [];
    const dtls = await openDtlsClient({
      server: { address: HOST, port: gateway.port },
      host: HOST,
      credential: { psk: { identity: IDENTITY, key: KEY } },
      limits: { suites: [suiteByName(suite)].flatMap((found) => found ?? []), connectionIds: "both" },
      onEvent: (event) => void events.push(event),
    });
    const node = new CoapNode(dtls);
    try {
      for (let i = 0; i < 2; i += 1) {
        const { payload } = await node.request(dtls.server, createRequest("get", "/"));
        assert.equal(Buffer.from(payload).toString(), "scandium");
        await gateway.rebind();
      }
      assert.deepEqual(
        events.map(({ kind }) => kind),
        ["opened"],
      );
      assert.match(server.output, /read CID=[0-9A-F]{10} write CID=[0-9A-F]{12}/);
    } finally {
      await node.close();
      gateway.close();
      await server.stop();
    }
  });
}
