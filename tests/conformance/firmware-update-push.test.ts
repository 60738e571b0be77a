/** Rows 1 … 8 of the Firmware Update object's table: packages that the server writes to /5/0/0. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { METHOD } from "@airlift/protocol/coap/codes";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { requestOf } from "@airlift/protocol/lwm2m/request";
import { codeText } from "../e2e/scripted-server.ts";
import { Bench, failure, imageOf } from "./bench.ts";

let bench: Bench;
const IMAGE = imageOf(3_000);

beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

async function pushText(text: string): Promise<string> {
  const content = { contentFormat: CONTENT_FORMATS.text, payload: encodeUtf8(text) };
  const response = await bench.server.ask(requestOf({ code: METHOD.put, uriPath: ["5", "0", "0"], ...content }));
  return codeText(response.code);
}

test("row 1: a push, whole and in blocks of every size, ends in (2,0)", async () => {
  await bench.start();
  for (const blockBytes of [16, 64, 512, 1024]) {
    assert.equal(await bench.server.push(IMAGE, blockBytes), "2.04");
    assert.equal(await bench.pair(), "2,0");
    assert.deepEqual(bench.device.image(), IMAGE);
    assert.equal(await bench.server.write("/5/0/1", ""), "2.04");
  }
  assert.equal(await bench.server.push(IMAGE.subarray(0, 40)), "2.04");
  assert.equal(await bench.pair(), "2,0");
});

test("row 1: between two blocks the State is Downloading, and other requests are answered", async () => {
  await bench.start();
  assert.equal(await bench.block(IMAGE, 0, true), "2.31");
  assert.equal(await bench.pair(), "1,0");
  assert.equal(await bench.server.read("/3/0/3"), "1.0.0");
  assert.equal(await bench.block(IMAGE.subarray(0, 128), 1, false), "2.04");
  assert.equal(await bench.pair(), "2,0");
});

test("row 2: a store that does not open refuses the Write with 5.00, and nothing has changed", async () => {
  bench.script.openStream = failure("noMemory");
  await bench.start();
  assert.equal(await bench.server.push(IMAGE), "5.00");
  assert.equal(await bench.pair(), "0,0");
  assert.deepEqual(bench.calls, ["openStream"]);
});

test("row 3: a write that fails is 5.00, its reason the result, and the store is reset", async () => {
  await bench.start();
  for (const [script, result] of [
    [failure("noMemory"), 3],
    [failure("integrityFailed"), 5],
    [failure("unsupportedPackage"), 6],
    [failure("noFlash"), 2],
    [() => assert.fail("an error of no kind"), 2],
  ] as const) {
    bench.script.write = script;
    bench.calls.length = 0;
    assert.equal(await bench.server.push(IMAGE), "5.00");
    assert.equal(await bench.pair(), `0,${result}`);
    assert.deepEqual(bench.calls, ["openStream", "write", "reset"]);
  }
});

test("row 4: a verification that fails is 2.04 all the same, its reason the result, without a reset", async () => {
  await bench.start();
  for (const [script, result] of [
    [failure("integrityFailed"), 5],
    [failure("unsupportedPackage"), 6],
    [() => assert.fail("an error of no kind"), 2],
  ] as const) {
    bench.script.finish = script;
    bench.calls.length = 0;
    assert.equal(await bench.server.push(IMAGE), "2.04");
    assert.equal(await bench.pair(), `0,${result}`);
    assert.deepEqual(bench.calls, ["openStream", "write", "finish"]);
  }
});

test("row 5: a transfer that is broken off by another one was a lost connection, and the new one counts", async () => {
  await bench.start();
  assert.equal(await bench.block(IMAGE, 0, true), "2.31");
  const lost = bench.event((event) => event.kind === "state" && event.result === "connectionLost");
  const other = imageOf(100);
  assert.equal(await bench.block(other, 0, true), "2.31");
  await lost;
  assert.equal(await bench.block(other, 1, false), "2.04");
  assert.deepEqual(bench.device.image(), other);
  assert.equal(await bench.pair(), "2,0");
  assert.deepEqual(bench.calls, ["openStream", "write", "reset", "openStream", "write", "finish"]);
});

test("row 5: the rest of a transfer that was reset is 4.08", async () => {
  await bench.start();
  assert.equal(await bench.block(IMAGE, 0, true), "2.31");
  assert.equal(await bench.server.write("/5/0/1", ""), "2.04");
  assert.equal(await bench.block(IMAGE, 1, true), "4.08");
  assert.equal(await bench.pair(), "0,0");
});

test("row 6: one zero octet resets in Idle, too, also where nothing may be pushed", async () => {
  await bench.start();
  bench.script.finish = failure("integrityFailed");
  await bench.server.push(IMAGE);
  assert.equal(await bench.pair(), "0,5");
  assert.equal(await bench.server.push(Uint8Array.of(0)), "2.04");
  assert.equal(await bench.pair(), "0,0");
  assert.equal(bench.calls.at(-1), "reset");
  await bench.start({ methods: "pull" });
  assert.equal(await bench.server.push(IMAGE), "4.00");
  assert.equal(await bench.server.push(Uint8Array.of(0)), "2.04");
});

test("row 7: a package of no octets is no reset: the verification decides", async () => {
  bench.script.finish = failure("unsupportedPackage");
  await bench.start();
  assert.equal(await bench.server.push(new Uint8Array()), "2.04");
  assert.equal(await bench.pair(), "0,6");
  assert.deepEqual(bench.calls, ["openStream", "finish"]);
});

test("row 8: text is base64, or refused without a trace", async () => {
  await bench.start();
  assert.equal(await pushText("no base64!"), "4.00");
  assert.equal(await bench.pair(), "0,0");
  assert.deepEqual(bench.calls, []);
  assert.equal(await pushText(Buffer.from(IMAGE.subarray(0, 30)).toString("base64")), "2.04");
  assert.deepEqual(bench.device.image(), IMAGE.subarray(0, 30));
  assert.equal(await bench.pair(), "2,0");
});
