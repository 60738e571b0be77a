/** Servers that lie, change their mind or never end: the device says what happened, and the next update works. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { type Block, blockOption, findBlock } from "@airlift/protocol/coap/block-option";
import { CODE } from "@airlift/protocol/coap/codes";
import { type CoapRequest, type CoapResponse, createResponse } from "@airlift/protocol/coap/exchange";
import { type CoapOption, OPTION, uintOption } from "@airlift/protocol/coap/options";
import { Bench, failure, imageOf } from "./bench.ts";
import { openRawCoapServer } from "./raw-coap-server.ts";

let bench: Bench;
let web: Server | undefined;
const IMAGE = imageOf(4_000);
const SIZE = 256;

beforeEach(async () => {
  bench = await Bench.open();
  await bench.start();
});
afterEach(async () => {
  web?.close();
  web?.closeAllConnections();
  web = undefined;
  await bench.close();
});

const etag = (value: number): CoapOption => ({ number: OPTION.etag, value: Uint8Array.of(value) });

/** The block that `request` asks for. */
function asked(request: CoapRequest): number {
  return findBlock(request.options, OPTION.block2)?.number ?? 0;
}

/** An honest block of the image, with what a lie changes. */
function block(request: CoapRequest, lie: Partial<Block> = {}, options: CoapOption[] = [etag(1)]): CoapResponse {
  const number = asked(request);
  const offset = SIZE * number;
  const honest = { number, more: offset + SIZE < IMAGE.length, sizeBytes: SIZE };
  const block2 = blockOption(OPTION.block2, { ...honest, ...lie });
  return createResponse(CODE.content, IMAGE.subarray(offset, offset + SIZE), [...options, block2]);
}

/** A server with this way of answering comes to `pair`; an honest one after it to a download. */
async function comesTo(pair: string, answer: (request: CoapRequest) => CoapResponse | CoapResponse[]): Promise<void> {
  const liar = await openRawCoapServer((request) => [answer(request)].flat());
  await bench.pull(liar.uri, pair);
  liar.close();
  assert.equal(await bench.pair(), pair);
  if (pair === "2,0") return;
  delete bench.script.write;
  delete bench.script.finish;
  await bench.pull(bench.publish("good", IMAGE), "2,0");
  assert.deepEqual(bench.device.image(), IMAGE);
  await bench.server.write("/5/0/1", "");
}

async function serve(listener: RequestListener): Promise<string> {
  web = createServer(listener).listen(0, "127.0.0.1");
  await once(web, "listening");
  return `http://127.0.0.1:${(web.address() as AddressInfo).port}/a`;
}

test("a size that is not the image's: what came is what counts", async () => {
  for (const sizeBytes of [10, 4_000_000_000]) {
    const lie = [etag(1), uintOption(OPTION.size2, sizeBytes)];
    await comesTo("2,0", (request) => block(request, {}, lie));
    assert.deepEqual(bench.device.image(), IMAGE);
    await bench.server.write("/5/0/1", "");
  }
});

test("an image that changes in mid-download, by its tag", () =>
  comesTo("0,4", (request) => block(request, {}, [etag(asked(request) < 5 ? 1 : 2)])));

test("an image that changes in mid-download under the same tag is caught by its verification", async () => {
  bench.script.finish = () => {
    if (!Buffer.from(bench.device.image()).equals(IMAGE)) failure("integrityFailed")();
  };
  await comesTo("0,5", (request) => {
    const honest = block(request);
    return asked(request) < 5 ? honest : { ...honest, payload: honest.payload.map((octet) => octet ^ 1) };
  });
});

test("a tag that is dropped, and one that turns up later", async () => {
  await comesTo("0,4", (request) => block(request, {}, asked(request) < 5 ? [etag(1)] : []));
  await comesTo("0,4", (request) => block(request, {}, asked(request) < 5 ? [] : [etag(1)]));
});

test("a block twice, one too early, and one of another size", async () => {
  for (const lie of [
    (number: number) => ({ number: Math.max(0, number - 1) }),
    (number: number) => ({ number: number + 2 }),
    () => ({ sizeBytes: 512 }),
  ]) {
    await comesTo("0,4", (request) => block(request, asked(request) < 3 ? {} : lie(asked(request))));
  }
});

test("every answer twice, and old ones again between them, change nothing", async () => {
  const sent: CoapResponse[] = [];
  await comesTo("2,0", (request) => {
    const honest = block(request);
    sent.push(honest);
    return [honest, honest, ...sent.slice(-3)];
  });
  assert.deepEqual(bench.device.image(), IMAGE);
});

test("an answer that is no block any more", () =>
  comesTo("0,4", (request) =>
    asked(request) < 3 ? block(request) : createResponse(CODE.content, IMAGE.subarray(0, 100), [etag(1)]),
  ));

test("a body that never ends stops where the flash is full", async () => {
  let writtenBytes = 0;
  bench.script.write = (bytes) => {
    writtenBytes += bytes.length;
    if (writtenBytes > 100_000) failure("noFlash")();
  };
  await comesTo("0,2", (request) => {
    const option = blockOption(OPTION.block2, { number: asked(request), more: true, sizeBytes: SIZE });
    return createResponse(CODE.content, new Uint8Array(SIZE), [etag(1), option]);
  });
});

test("HTTP: less than the length that was told is a lost connection, and what came is kept", async () => {
  const ranges: (string | undefined)[] = [];
  const uri = await serve((request, response) => {
    ranges.push(request.headers.range);
    response.writeHead(request.headers.range ? 206 : 200, {
      etag: '"v1"',
      "content-length": request.headers.range ? 1_000 : 4_000,
      ...(request.headers.range && { "content-range": "bytes 3000-3999/4000" }),
    });
    const part = request.headers.range ? IMAGE.subarray(3_000) : IMAGE.subarray(0, 3_000);
    response.write(part, () => (request.headers.range ? response.end() : response.destroy()));
  });
  await bench.pull(uri, "2,0");
  assert.deepEqual(ranges, [undefined, "bytes=3000-"]);
  assert.deepEqual(bench.device.image(), IMAGE);
});

test("HTTP: 412 to a resumed download begins it anew, in (1,0)", async () => {
  let count = 0;
  const uri = await serve((request, response) => {
    count += 1;
    if (count === 1) {
      response.writeHead(200, { etag: '"v1"', "content-length": 4_000 });
      response.write(IMAGE.subarray(0, 2_000), () => response.destroy());
    } else if (request.headers["if-match"] === '"v1"') response.writeHead(412).end();
    else response.writeHead(200, { etag: '"v2"' }).end(IMAGE);
  });
  await bench.pull(uri, "2,0");
  assert.deepEqual(bench.device.image(), IMAGE);
  assert.equal(count, 3);
});

test("HTTP: a server that knows no ranges sends all of it, and what is held is skipped", async () => {
  let count = 0;
  const uri = await serve((_request, response) => {
    count += 1;
    response.writeHead(200, { etag: '"v1"', "content-length": 4_000 });
    if (count > 1) response.end(IMAGE);
    else response.write(IMAGE.subarray(0, 2_000), () => response.destroy());
  });
  await bench.pull(uri, "2,0");
  assert.deepEqual(bench.device.image(), IMAGE);
  assert.equal(bench.calls.filter((call) => call === "openStream").length, 1);
});

test("HTTP: another range, coded content, a circle of redirects, a refusal", async () => {
  const ends: [RequestListener, string][] = [
    [(_request, response) => response.writeHead(206, { "content-range": "bytes 5-9/10" }).end("12345"), "0,4"],
    [(_request, response) => response.writeHead(200, { "content-encoding": "gzip" }).end("12345"), "0,4"],
    [(_request, response) => response.writeHead(302, { location: "/a" }).end(), "0,4"],
    [(_request, response) => response.writeHead(404).end(), "0,7"],
    [(_request, response) => response.writeHead(500).end(), "0,4"],
    [(_request, response) => response.writeHead(503).end(), "0,4"],
  ];
  for (const [listener, pair] of ends) {
    await bench.pull(await serve(listener), pair);
    web?.close();
  }
  await bench.pull(bench.publish("good", IMAGE), "2,0");
});
