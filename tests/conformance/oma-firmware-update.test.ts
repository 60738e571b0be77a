/**
 * The firmware update cases of OMA's Enabler Test Specification for LwM2M 1.1 (interoperability), under their ids
 * LightweightM2M-1.1-int-751, 755, 756, 760 and 770 … 779.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { METHOD } from "@airlift/protocol/coap/codes";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { STANDARD_MODELS } from "@airlift/protocol/lwm2m/objects/standard";
import { decodePayload } from "@airlift/protocol/lwm2m/payload";
import { requestOf } from "@airlift/protocol/lwm2m/request";
import { codeText } from "../e2e/scripted-server.ts";
import { Bench, failure, IDENTITY, imageOf } from "./bench.ts";

let bench: Bench;
let web: Server | undefined;
const IMAGE = imageOf(5_000);
const ZERO = Uint8Array.of(0);

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

/** The instance /5/0 in one read: its values by resource. */
async function readInstance(): Promise<Map<number, unknown>> {
  const { code, payload } = await bench.server.ask(
    requestOf({ code: METHOD.get, uriPath: ["5", "0"], accept: CONTENT_FORMATS.senmlCbor }),
  );
  assert.equal(codeText(code), "2.05");
  const entries = decodePayload(CONTENT_FORMATS.senmlCbor, payload, { base: [5, 0], models: STANDARD_MODELS });
  return new Map(entries.map(({ path, value }) => [path[2] ?? -1, value]));
}

async function assertInstance(state: number, result: number): Promise<void> {
  const values = await readInstance();
  assert.deepEqual([values.get(3), values.get(5)], [state, result]);
}

/** Serves the image over HTTP; the URI of it. */
async function publishOnWeb(): Promise<string> {
  web = createServer((_request, response) => response.end(IMAGE)).listen(0, "127.0.0.1");
  await once(web, "listening");
  return `http://127.0.0.1:${(web.address() as AddressInfo).port}/fw`;
}

/** The update itself: Execute, a restart into the new version, and what the server reads then. */
async function updateAndVerify(): Promise<void> {
  await assertInstance(2, 0);
  const { resolve: restart, promise: restarted } = Promise.withResolvers<void>();
  bench.script.performUpgrade = () => {
    restart();
    return "restarting";
  };
  assert.equal(await bench.server.execute("/5/0/2"), "2.04");
  await restarted;
  assert.equal(bench.device.persisted.state, "updating");
  bench.script.confirm = () => undefined;
  await bench.start({ identity: { ...IDENTITY, firmwareVersion: "2.0.0" } });
  await assertInstance(0, 1);
  assert.equal(await bench.server.read("/3/0/3"), "2.0.0");
}

test("int-751: querying the readable resources", async () => {
  const values = await readInstance();
  assert.deepEqual([values.get(3), values.get(5), values.get(9)], [0, 0, 2]);
  assert.ok(values.has(8));
  assert.ok(!values.has(0) && !values.has(2) && !values.has(10));
});

test("int-755: setting the writable resource Package", async () => {
  assert.equal(await bench.server.push(ZERO), "2.04");
  await assertInstance(0, 0);
  assert.equal(await bench.server.push(IMAGE), "2.04");
  await assertInstance(2, 0);
});

test("int-756: setting the writable resource Package URI", async () => {
  assert.equal(await bench.server.write("/5/0/1", ""), "2.04");
  await assertInstance(0, 0);
  await bench.pull(bench.publish("a", IMAGE), "2,0");
  await assertInstance(2, 0);
});

test("int-760: basic observation and notification on the object's resources", async () => {
  const attributes = requestOf({ code: METHOD.put, uriPath: ["5", "0"], uriQuery: ["pmin=0", "pmax=10"] });
  assert.equal(codeText((await bench.server.ask(attributes)).code), "2.04");
  const states = await bench.watch("/5/0/3");
  assert.equal(await bench.server.push(IMAGE), "2.04");
  while (states.at(-1) !== "2") await bench.server.read("/3/0/0");
});

test("int-770: successful firmware update via CoAP", async () => {
  assert.equal(await bench.server.push(ZERO), "2.04");
  await assertInstance(0, 0);
  assert.equal(await bench.server.push(IMAGE), "2.04");
  await updateAndVerify();
});

test("int-771: successful firmware update via an alternative mechanism", async () => {
  assert.equal(await bench.server.write("/5/0/1", ""), "2.04");
  await assertInstance(0, 0);
  await bench.pull(await publishOnWeb(), "2,0");
  assert.deepEqual(bench.device.image(), IMAGE);
  await updateAndVerify();
});

test("int-772: error case: the firmware package is not downloaded", async () => {
  await assertInstance(0, 0);
  assert.equal(await bench.server.execute("/5/0/2"), "4.05");
  await assertInstance(0, 0);
  assert.ok(!bench.calls.includes("performUpgrade"));
});

/** Both ways of a package that ends in Idle with `result`; the State never is Downloaded. */
async function failsBothWays(result: number): Promise<void> {
  await assertInstance(0, 0);
  await bench.pull(bench.publish("a", IMAGE), `0,${result}`);
  await assertInstance(0, result);
  await bench.server.push(ZERO);
  await bench.server.push(IMAGE);
  await assertInstance(0, result);
  const states = bench.events.flatMap((event) => (event.kind === "state" ? [event.state] : []));
  assert.ok(states.includes("downloading") && !states.includes("downloaded"));
}

test("int-773: error case: not enough storage", async () => {
  bench.script.write = failure("noFlash");
  await failsBothWays(2);
});

test("int-774: error case: out of memory", async () => {
  bench.script.write = failure("noMemory");
  await failsBothWays(3);
});

test("int-775: error case: the connection is lost during the download", async () => {
  await assertInstance(0, 0);
  let isDown = false;
  await bench.start({ loss: () => isDown, handlerTimeoutMs: 60_000 });
  const { release } = await bench.downloading();
  await assertInstance(1, 0);
  isDown = true;
  release();
  await bench.until("0,4");
  isDown = false;
  await assertInstance(0, 4);
});

test("int-776: error case: the integrity check fails", async () => {
  bench.script.finish = failure("integrityFailed");
  await failsBothWays(5);
});

test("int-777: error case: unsupported package type", async () => {
  bench.script.finish = failure("unsupportedPackage");
  await failsBothWays(6);
});

test("int-778: error case: invalid URI", async () => {
  await assertInstance(0, 0);
  await bench.pull(`${bench.server.uri}/fw/none`, "0,7");
  await assertInstance(0, 7);
});

test("int-779: error case: the firmware update does not succeed", async () => {
  bench.script.performUpgrade = () => assert.fail("the installation does not work");
  assert.equal(await bench.server.push(IMAGE), "2.04");
  await assertInstance(2, 0);
  assert.equal(await bench.server.execute("/5/0/2"), "2.04");
  await bench.until("2,8");
  await assertInstance(2, 8);
});
