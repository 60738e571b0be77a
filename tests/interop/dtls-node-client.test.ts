/**
 * DTLS with the npm package node-dtls-client 2.0.3, a client. It is no dependency: AIRLIFT_NODE_DTLS_CLIENT names a folder
 * in which `npm install node-dtls-client@2.0.3` was run.
 */
import assert from "node:assert/strict";
import type { EventEmitter } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { suiteByName } from "@airlift/protocol/dtls/suites";
import { openDtlsServer } from "@airlift/runtime/dtls";
import { HOST, IDENTITY, KEY } from "./dtls-peers.ts";

interface ForeignSocket extends EventEmitter {
  send(bytes: Buffer): void;
  close(): void;
}
interface ForeignModule {
  readonly dtls: { createSocket(options: object): ForeignSocket };
}

const folder = process.env["AIRLIFT_NODE_DTLS_CLIENT"] ?? "";
const entry = join(folder, "node_modules/node-dtls-client/build/dtls.js");
const skip =
  (folder !== "" && existsSync(entry)) || process.env["CI"] === "true"
    ? false
    : "AIRLIFT_NODE_DTLS_CLIENT names no folder with node-dtls-client";

for (const suite of ["TLS_PSK_WITH_AES_128_CCM_8", "TLS_PSK_WITH_AES_128_GCM_SHA256"]) {
  test(`node-dtls-client as client: ${suite}`, { skip }, async () => {
    const { dtls }: ForeignModule = await import(pathToFileURL(entry).href);
    const chosen = suiteByName(suite);
    const server = await openDtlsServer({
      udp: { host: HOST },
      credentials: { psk: (identity) => (identity === IDENTITY ? KEY : undefined) },
      limits: { suites: chosen ? [chosen] : [] },
    });
    server.open({
      onDatagram: (peer, bytes) => server.send(peer, bytes.toReversed(), false),
      onUnreachable: () => {},
    });
    const psk = { [IDENTITY]: Buffer.from(KEY) };
    const socket = dtls.createSocket({ type: "udp4", address: HOST, port: server.address.port, psk, ciphers: [suite] });
    try {
      const answer = await new Promise<Buffer>((resolve, reject) => {
        socket.on("error", reject);
        socket.on("message", resolve);
        socket.on("connected", () => socket.send(Buffer.from("airlift")));
      });
      assert.equal(answer.toString(), "tfilria");
    } finally {
      socket.close();
      await server.close();
    }
  });
}
