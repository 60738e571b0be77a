import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type HttpOrigin, type HttpPull, pullHttp } from "./http-ranges.ts";

const FILE = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) >> 3));
const TAG = '"v1"';

/** A file server as RFC 9110 wants it. */
function serveFile(request: IncomingMessage, response: ServerResponse): void {
  const { range, "if-match": wanted } = request.headers;
  if (wanted !== undefined && wanted !== TAG) return void response.writeHead(412).end("no");
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
  if (from >= FILE.length) {
    return void response.writeHead(416, { "Content-Range": `bytes */${FILE.length}` }).end();
  }
  const part = FILE.subarray(from);
  const headers = { ETag: TAG, "Content-Length": part.length };
  const contentRange = { "Content-Range": `bytes ${from}-${FILE.length - 1}/${FILE.length}` };
  response.writeHead(from > 0 ? 206 : 200, { ...headers, ...(from > 0 && contentRange) }).end(part);
}

interface Pulled {
  readonly bytes: Buffer;
  readonly sizeBytes: number;
  readonly origins: readonly HttpOrigin[];
}

/** Starts a server, pulls once, ends the server. */
async function pullFrom(listener: RequestListener, options: Partial<HttpPull> = {}): Promise<Pulled> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const parts: Uint8Array[] = [];
  const origins: HttpOrigin[] = [];
  try {
    const sizeBytes = await pullHttp({
      uri: `http://127.0.0.1:${port}/fw/1`,
      onOrigin: (origin) => void origins.push(origin),
      write: (bytes) => void parts.push(bytes),
      ...options,
    });
    return { bytes: Buffer.concat(parts), sizeBytes, origins };
  } finally {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  }
}

function hasOpenssl(): boolean {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const tag = (text: string) => new TextEncoder().encode(text);
const answer =
  (status: number, headers: Record<string, string> = {}, body = ""): RequestListener =>
  (_request, response) =>
    void response.writeHead(status, headers).end(body);

test("a whole file comes with its strong tag and size", async () => {
  const { bytes, sizeBytes, origins } = await pullFrom(serveFile);
  assert.ok(bytes.equals(FILE));
  assert.equal(sizeBytes, FILE.length);
  assert.deepEqual(origins, [{ offset: 0, etag: tag(TAG), sizeBytes: FILE.length }]);
});

test("RFC 9110 §14: a pull goes on at any offset", async () => {
  for (const fromOffset of [1, 65_536, FILE.length - 1]) {
    const { bytes, origins } = await pullFrom(serveFile, { fromOffset, etag: tag(TAG) });
    assert.ok(bytes.equals(FILE.subarray(fromOffset)));
    assert.deepEqual(origins, [{ offset: fromOffset, etag: tag(TAG), sizeBytes: FILE.length }]);
  }
});

test("RFC 9110 §15.5.17: with nothing left to pull, the pull is done", async () => {
  const { bytes, sizeBytes } = await pullFrom(serveFile, { fromOffset: FILE.length, etag: tag(TAG) });
  assert.equal(bytes.length, 0);
  assert.equal(sizeBytes, FILE.length);
});

test("lesson 9, RFC 9110 §13.1.1: a resume asks for the same representation only, and 412 says that it has changed", async () => {
  await assert.rejects(pullFrom(serveFile, { fromOffset: 10, etag: tag('"v0"') }), {
    name: "PeerError",
    code: "ETAG_CHANGED",
  });
});

test("lesson 9: of a server without ranges the octets held are skipped, unless the tag is another", async () => {
  const whole = (etag?: string): RequestListener => answer(200, etag ? { ETag: etag } : {}, "0123456789");
  for (const etag of [TAG, undefined]) {
    const { bytes } = await pullFrom(whole(etag), { fromOffset: 4, etag: tag(TAG) });
    assert.equal(bytes.toString(), "456789");
  }
  await assert.rejects(pullFrom(whole('"v2"'), { fromOffset: 4, etag: tag(TAG) }), { code: "ETAG_CHANGED" });
  await assert.rejects(pullFrom(whole(), { fromOffset: 11, etag: tag(TAG) }), { code: "ETAG_CHANGED" });
});

test("a weak tag is none", async () => {
  const { origins } = await pullFrom(answer(200, { ETag: 'W/"v1"' }, "x"));
  assert.equal(origins[0]?.etag, undefined);
});

test("each refusal has its code", async () => {
  const refusals: [RequestListener, Partial<HttpPull>, string][] = [
    [answer(404), {}, "NOT_FOUND"],
    [answer(410), {}, "NOT_FOUND"],
    [answer(500), {}, "HTTP_STATUS"],
    [answer(204), {}, "HTTP_STATUS"],
    [answer(304), {}, "HTTP_STATUS"],
    [answer(416), {}, "HTTP_STATUS"],
    [answer(416, { "Content-Range": "bytes */3" }), { fromOffset: 5 }, "ETAG_CHANGED"],
    [answer(206, { "Content-Range": "bytes 4-9/10" }, "456789"), { fromOffset: 5 }, "HTTP_RANGE"],
    [answer(206, {}, "56789"), { fromOffset: 5 }, "HTTP_RANGE"],
    [answer(200, { "Content-Encoding": "gzip" }, "x"), {}, "HTTP_ENCODING"],
    [answer(302, { Location: "ftp://127.0.0.1/" }), {}, "HTTP_REDIRECT"],
    [answer(302, { Location: "/again" }), {}, "HTTP_REDIRECT"],
    [answer(302), {}, "HTTP_STATUS"],
  ];
  for (const [listener, options, code] of refusals) {
    await assert.rejects(pullFrom(listener, options), { name: "PeerError", code }, code);
  }
});

test("a redirect is followed", async () => {
  const { bytes } = await pullFrom((request, response) => {
    if (request.url === "/fw/1") answer(307, { Location: "/elsewhere" }, "go")(request, response as never);
    else serveFile(request, response);
  });
  assert.ok(bytes.equals(FILE));
});

test("a connection that breaks, before or in the body, is lost", async () => {
  const listeners: RequestListener[] = [
    (request) => void request.socket.destroy(),
    (_request, response) => {
      response.writeHead(200, { "Content-Length": 10 });
      response.write("01234", () => response.destroy());
    },
    (_request, response) => {
      response.writeHead(200);
      response.write("01234", () => response.destroy());
    },
  ];
  for (const listener of listeners) {
    await assert.rejects(pullFrom(listener), { name: "EnvironmentError", code: "CONNECTION_LOST" });
  }
});

test("a server that is silent, before or in the body, is given up", async () => {
  const halfway: RequestListener = (_request, response) => void response.writeHead(200).write("01234");
  for (const listener of [() => undefined, halfway]) {
    await assert.rejects(pullFrom(listener, { idleTimeoutMs: 30 }), { name: "EnvironmentError", code: "IDLE_TIMEOUT" });
  }
});

test("a slow writer holds the server back and is not taken for a silent server", async () => {
  let most = 0;
  let pending = 0;
  const { sizeBytes } = await pullFrom(serveFile, {
    idleTimeoutMs: 200,
    write: async () => {
      pending += 1;
      most = Math.max(most, pending);
      await new Promise((resolve) => setTimeout(resolve, 230));
      pending -= 1;
    },
  });
  assert.equal(sizeBytes, FILE.length);
  assert.equal(most, 1);
});

test("a cancelled pull ends its connection at once, with the reason given", async () => {
  for (const when of ["before the answer", "in the body"]) {
    const cancel = new AbortController();
    const reason = new Error("cancelled by the server");
    let isClosed: Promise<unknown> | undefined;
    const listener: RequestListener = (request, response) => {
      isClosed = once(request.socket, "close");
      if (when === "in the body") response.writeHead(200).write("01234");
      else cancel.abort(reason);
    };
    const write = () => cancel.abort(reason);
    await assert.rejects(pullFrom(listener, { signal: cancel.signal, write }), reason, when);
    await isClosed;
  }
  const signal = AbortSignal.abort(new Error("too late"));
  await assert.rejects(pullFrom(serveFile, { signal }), /too late/);
});

test("what the writer throws ends the pull and goes through as it is", async () => {
  const full = Object.assign(new Error("full"), { code: "ENOSPC" });
  const fail = async () => {
    throw full;
  };
  await assert.rejects(pullFrom(serveFile, { write: fail }), full);
  await assert.rejects(pullFrom(serveFile, { onOrigin: fail }), full);
});

test("https: only a server whose certificate leads to a given anchor is believed", {
  skip: !hasOpenssl(),
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "airlift-https-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync("openssl", ["req", "-x509", ...kind, ...subject], { stdio: "ignore" });
  const server = createSecureServer({ key: readFileSync(key), cert: readFileSync(cert) }, serveFile);
  try {
    await once(server.listen(0, "127.0.0.1"), "listening");
    const uri = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const write = () => undefined;
    assert.equal(await pullHttp({ uri, write, tls: { ca: readFileSync(cert) } }), FILE.length);
    await assert.rejects(pullHttp({ uri, write }), { name: "EnvironmentError", code: "TLS_FAILED" });
    server.removeAllListeners("request");
    server.on("request", answer(302, { Location: "http://127.0.0.1/" }));
    await assert.rejects(pullHttp({ uri, write, tls: { ca: readFileSync(cert) } }), { code: "HTTP_REDIRECT" });
  } finally {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

test("no server, no such name, no URI", async () => {
  const write = () => undefined;
  await assert.rejects(pullHttp({ uri: "http://127.0.0.1:1/", write }), { code: "CONNECTION_LOST" });
  await assert.rejects(pullHttp({ uri: "coap://127.0.0.1/", write }), { name: "UsageError", code: "HTTP_URI" });
  await assert.rejects(pullHttp({ uri: "no", write }), { code: "HTTP_URI" });
  await assert.rejects(pullFrom(answer(302, { Location: "http://" })), { code: "HTTP_REDIRECT" });
});
