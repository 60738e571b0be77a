/** Rows 10, 12, 13 and 19 of the Firmware Update object's table: packages that come over TCP and TLS. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, test } from "node:test";
import { HandlerError } from "@airlift/device/ports";
import { memorySource } from "@airlift/protocol/coap/body";
import { CODE } from "@airlift/protocol/coap/codes";
import { createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, uriPath } from "@airlift/protocol/coap/options";
import type { TransportSecurity } from "@airlift/protocol/lib/transport-security";
import { type CoapTcp, openCoapTcp } from "@airlift/runtime/coap-tcp";
import type { ServerSecurity } from "@airlift/runtime/tls";
import { createAuthority, fingerprint, skipWithoutOpenssl } from "../certificates.ts";
import { Bench, imageOf } from "./bench.ts";

const IMAGE = imageOf(100_000);
const ETAG = { number: OPTION.etag, value: Uint8Array.of(1) };
const PSK: TransportSecurity = { kind: "psk", identity: "device-1", key: new Uint8Array(16).fill(7) };
const WITH_OPENSSL = { skip: skipWithoutOpenssl() };
const HASTY = { retryCount: 1, firstDelayMs: 10, longestDelayMs: 10, untaggedRestartCount: 0 };
const folder = mkdtempSync(join(tmpdir(), "airlift-streams-"));
after(() => rmSync(folder, { recursive: true }));

let bench: Bench;
const ends: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(async () => {
  await bench.close();
  for (const end of ends.splice(0)) await end();
});

/** A file server; its authority, as in a URI. */
async function serve(security?: ServerSecurity): Promise<{ authority: string; server: CoapTcp }> {
  const server = await openCoapTcp({ listen: { host: "127.0.0.1", security } });
  ends.push(() => server.close());
  server.serve(({ options }) =>
    uriPath(options)[0] === "fw"
      ? { ...createResponse(CODE.content, undefined, [ETAG]), body: memorySource(IMAGE) }
      : createResponse(CODE.notFound),
  );
  return { authority: `127.0.0.1:${server.address?.port}`, server };
}

test("row 10: a package comes over coap+tcp; an unknown path is Result 7", async () => {
  await bench.start();
  const { authority } = await serve();
  await bench.pull(`coap+tcp://${authority}/fw`, "2,0");
  await bench.server.write("/5/0/1", "");
  await bench.pull(`coap+tcp://${authority}/none`, "0,7");
});

test("a package comes over coaps+tcp with the PSK that securityFor names, asked with the URI", async () => {
  const asked: string[] = [];
  bench.script.securityFor = (uri) => {
    asked.push(uri);
    return PSK;
  };
  await bench.start();
  const { authority } = await serve({ pskOf: (identity) => (identity === PSK.identity ? PSK.key : undefined) });
  const uri = `coaps+tcp://${authority}/fw`;
  await bench.pull(uri, "2,0");
  assert.deepEqual(asked, [uri]);
});

test("row 12: no credentials for a secured scheme is Result 9, or what the handler says", async () => {
  bench.script.securityFor = () => undefined;
  await bench.start();
  const { authority } = await serve({ pskOf: () => undefined });
  const reasons: [() => TransportSecurity | undefined, string][] = [
    [() => undefined, "0,9"],
    [() => assert.fail("no key store"), "0,9"],
    [
      () => {
        throw new HandlerError("noMemory", "no room for keys");
      },
      "0,3",
    ],
  ];
  for (const scheme of ["coaps+tcp", "https"]) {
    for (const [securityFor, pair] of reasons) {
      bench.script.securityFor = securityFor;
      await bench.pull(`${scheme}://${authority}/fw`, pair);
    }
  }
});

test(
  "row 19: a handshake that fails is Result 4: a wrong key, a certificate nobody vouches for, another than the pinned one",
  WITH_OPENSSL,
  async () => {
    bench.script.securityFor = () => undefined;
    await bench.start({ pullPolicy: HASTY });
    const authorityOfAll = createAuthority(folder);
    const { certificate, privateKey } = authorityOfAll.issue("server");
    const withPsk = await serve({ pskOf: () => new Uint8Array(16) });
    const withCertificate = await serve({ certificate, privateKey });
    const other = fingerprint(authorityOfAll.certificate);
    const failures: [string, TransportSecurity][] = [
      [withPsk.authority, PSK],
      [withCertificate.authority, { kind: "certificate" }],
      [withCertificate.authority, { kind: "certificate", pinnedSha256: other }],
      [withCertificate.authority, { kind: "certificate", trust: authorityOfAll.certificate, serverName: "elsewhere" }],
    ];
    for (const [authority, security] of failures) {
      bench.script.securityFor = () => security;
      await bench.pull(`coaps+tcp://${authority}/fw`, "0,4");
    }
    bench.script.securityFor = () => ({ kind: "certificate", trust: authorityOfAll.certificate });
    await bench.pull(`coaps+tcp://${withCertificate.authority}/fw`, "2,0");
  },
);

test("https is secured by the same handler: trusted, pinned, refused", WITH_OPENSSL, async () => {
  bench.script.securityFor = () => undefined;
  await bench.start({ pullPolicy: HASTY });
  const authority = createAuthority(folder, "web");
  const { certificate, privateKey } = authority.issue("web");
  const seen: (string | undefined)[] = [];
  const server = createHttps({ cert: certificate, key: privateKey }, (request, response) => {
    seen.push(request.url);
    response.end(IMAGE);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const uri = `https://127.0.0.1:${(server.address() as AddressInfo).port}/fw`;
  bench.script.securityFor = () => ({ kind: "certificate", trust: authority.certificate });
  await bench.pull(uri, "2,0");
  await bench.server.write("/5/0/1", "");
  bench.script.securityFor = () => ({ kind: "certificate", pinnedSha256: fingerprint(certificate) });
  await bench.pull(uri, "2,0");
  await bench.server.write("/5/0/1", "");
  assert.equal(seen.length, 2);
  bench.script.securityFor = () => ({ kind: "certificate", pinnedSha256: fingerprint(authority.certificate) });
  await bench.pull(uri, "0,4");
  assert.equal(seen.length, 2, "a server that is not the right one hears nothing");
});

test("row 19: a server that falls silent is given up after tcpTimeoutFor, one that refuses at once", async () => {
  const asked: string[] = [];
  bench.script.tcpTimeoutFor = (uri) => {
    asked.push(uri);
    return 50;
  };
  await bench.start({ pullPolicy: HASTY });
  const silent = createServer((socket) => void ends.push(async () => socket.destroy()));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as AddressInfo;
  for (const scheme of ["coap+tcp", "coaps+tcp", "http"]) await bench.pull(`${scheme}://127.0.0.1:${port}/fw`, "0,4");
  assert.equal(asked.length, 6, "each of three pulls connects twice");
  silent.close();
  for (const end of ends.splice(0)) await end();
  await bench.pull(`coap+tcp://127.0.0.1:${port}/fw`, "0,4");
});

test("a connection that breaks in the middle is made again, and goes on where it was", async () => {
  await bench.start({ pullPolicy: HASTY });
  const { authority, server } = await serve();
  const offsets: number[] = [];
  let breaks = 1;
  server.serve((_request, peer) => ({
    ...createResponse(CODE.content, undefined, [ETAG]),
    body: {
      sizeBytes: IMAGE.length,
      read: (offset, length) => {
        offsets.push(offset);
        if (offset > 40_000 && breaks > 0) {
          breaks -= 1;
          server.disconnect(peer);
        }
        return IMAGE.subarray(offset, offset + length);
      },
    },
  }));
  await bench.pull(`coap+tcp://${authority}/fw`, "2,0");
  assert.equal(offsets.filter((offset) => offset === 0).length, 1, "what was stored is not fetched again");
});
