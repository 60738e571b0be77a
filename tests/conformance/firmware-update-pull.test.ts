/** Rows 9 … 13, 16 … 23 and 29 of the Firmware Update object's table: packages that the device fetches. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterEach, beforeEach, test } from "node:test";
import { CODE } from "@airlift/protocol/coap/codes";
import { createResponse } from "@airlift/protocol/coap/exchange";
import { findOption, OPTION } from "@airlift/protocol/coap/options";
import { Bench, failure, imageOf } from "./bench.ts";

let bench: Bench;
const IMAGE = imageOf(5_000);

beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

/** A port of this machine where nobody answers; `close` makes it one that refuses. */
async function openSilentPort(): Promise<{ port: number; close(): Promise<unknown> }> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  return { port, close: () => new Promise((resolve) => socket.close(() => resolve(undefined))) };
}

/** From Idle through a pull of `uri` to the end it comes to. */
async function pull(uri: string, pair: string): Promise<void> {
  await bench.pull(uri, pair);
  assert.equal(await bench.pair(), pair);
}

test("row 9: an empty URI resets from Idle, Downloading and Downloaded, and clears the URI", async () => {
  await bench.start();
  assert.equal(await bench.server.write("/5/0/1", ""), "2.04");
  assert.deepEqual(bench.calls, ["reset"]);
  const { release } = await bench.downloading();
  assert.equal(await bench.server.write("/5/0/1", ""), "2.04");
  assert.equal(await bench.pair(), "0,0");
  assert.equal(await bench.server.read("/5/0/1"), "");
  release();
  delete bench.script.write;
  await pull(bench.publish("a", IMAGE), "2,0");
  assert.equal(await bench.server.write("/5/0/1", ""), "2.04");
  assert.equal(await bench.pair(), "0,0");
  assert.equal(bench.calls.at(-1), "reset");
});

test("row 10: a URI is answered first, the Result is reset with it, the store opens with the first block", async () => {
  await bench.start();
  await pull(`${bench.server.uri}/fw/none`, "0,7");
  assert.deepEqual(bench.calls, ["reset"]);
  const asked = new Promise<void>((resolve) => {
    bench.server.answers.set("slow", () => {
      resolve();
      return new Promise(() => undefined);
    });
  });
  assert.equal(await bench.server.write("/5/0/1", `${bench.server.uri}/fw/slow`), "2.04");
  assert.equal(await bench.pair(), "1,0");
  await asked;
  assert.deepEqual(bench.calls, ["reset"], "nothing is opened yet");
});

test("row 11: a scheme nobody speaks, or no URI at all, is 4.00 with Result 9, and the URI stays", async () => {
  await bench.start();
  const uri = bench.publish("a", IMAGE);
  await pull(uri, "2,0");
  await bench.server.execute("/5/0/10");
  for (const bad of ["ftp://127.0.0.1/a", "no uri", "coap://", "coap://127.0.0.1:0/a", "coap://127.0.0.1:99999/a"]) {
    assert.equal(await bench.server.write("/5/0/1", bad), "4.00", bad);
    assert.equal(await bench.pair(), "0,9");
  }
  assert.equal(await bench.server.read("/5/0/1"), uri);
});

test("row 11: a URI is refused where packages are only pushed", async () => {
  await bench.start({ methods: "push" });
  assert.equal(await bench.server.write("/5/0/1", bench.publish("a", IMAGE)), "4.00");
  assert.equal(await bench.pair(), "0,9");
});

test("row 12: a secure scheme without credentials is 2.04, and (0,9) or what the handler says", async () => {
  bench.script.securityFor = () => undefined;
  await bench.start();
  for (const scheme of ["https", "coaps+tcp"]) {
    bench.script.securityFor = () => undefined;
    await pull(`${scheme}://127.0.0.1:9/fw`, "0,9");
    bench.script.securityFor = () => assert.fail("the key store is closed");
    await pull(`${scheme}://127.0.0.1:9/fw`, "0,9");
    bench.script.securityFor = failure("noMemory");
    await pull(`${scheme}://127.0.0.1:9/fw`, "0,3");
  }
});

test("row 13: a download that cannot be created for the URI's own fault is an invalid URI", async () => {
  await bench.start({ bind: { host: "127.0.0.1" } });
  // From a socket of this machine there is no way to a network: the system says EINVAL, and nothing is sent.
  await pull("coap://192.0.2.1/fw", "0,7");
  assert.equal(bench.calls.at(-1), "reset");
});

test("row 16: the last block and a good verification", async () => {
  await bench.start();
  const states = await bench.watch("/5/0/3");
  await pull(bench.publish("a", IMAGE), "2,0");
  assert.deepEqual(bench.device.image(), IMAGE);
  assert.deepEqual(bench.calls, ["openStream", "write", "finish"]);
  assert.ok(["1", "2"].includes(states[0] ?? "2"));
});

test("row 17: a verification that fails, without a reset", async () => {
  await bench.start();
  for (const [script, result] of [
    [failure("integrityFailed"), 5],
    [failure("unsupportedPackage"), 6],
    [failure("noMemory"), 3],
    [() => assert.fail("an error of no kind"), 2],
  ] as const) {
    bench.script.finish = script;
    bench.calls.length = 0;
    await pull(bench.publish("a", IMAGE), `0,${result}`);
    assert.deepEqual(bench.calls, ["openStream", "write", "finish"]);
  }
});

test("row 18: a store that does not open, or does not take more, ends the pull and is reset", async () => {
  await bench.start();
  for (const handler of ["openStream", "write"] as const) {
    for (const [script, result] of [
      [failure("noMemory"), 3],
      [failure("noFlash"), 2],
      [() => assert.fail("an error of no kind"), 2],
    ] as const) {
      bench.script[handler] = script;
      await pull(bench.publish("a", IMAGE), `0,${result}`);
      assert.equal(bench.calls.at(-1), "reset");
    }
    delete bench.script[handler];
  }
});

test("row 19: silence, and a port where nobody is, after the retries", async () => {
  await bench.start();
  const silent = await openSilentPort();
  await pull(`coap://127.0.0.1:${silent.port}/fw`, "0,4");
  await silent.close();
  await pull(`coap://127.0.0.1:${silent.port}/fw`, "0,4");
  await pull(`http://127.0.0.1:${silent.port}/fw`, "0,4");
  const pauses = bench.events.filter((event) => event.kind === "pullPaused");
  assert.deepEqual(
    pauses.map((event) => event.kind === "pullPaused" && event.reason),
    ["connection", "connection", "connection"],
  );
});

test("row 20: a name that has no address", async () => {
  await bench.start();
  // A label of 64 octets cannot be asked for: the answer needs no network.
  await pull(`coap://${"x".repeat(64)}.invalid/fw`, "0,7");
});

test("row 21: not found is an invalid URI, every other status a lost connection", async () => {
  await bench.start();
  await pull(`${bench.server.uri}/fw/none`, "0,7");
  for (const code of [CODE.forbidden, CODE.methodNotAllowed, CODE.internalServerError]) {
    bench.server.answers.set("refused", () => createResponse(code));
    await pull(`${bench.server.uri}/fw/refused`, "0,4");
  }
});

test("row 22: memory that runs out", async () => {
  await bench.start();
  bench.script.write = failure("noMemory");
  await pull(bench.publish("a", IMAGE), "0,3");
});

test("row 23: another image under a resumed pull: reset, opened anew, still (1,0)", async () => {
  await bench.start();
  const { release } = await bench.downloading();
  bench.agent.suspendPulls();
  release();
  const other = imageOf(4_000);
  bench.publish("held", other, 2);
  bench.calls.length = 0;
  delete bench.script.write;
  bench.agent.resumePulls();
  await bench.until("2,0");
  assert.deepEqual(bench.device.image(), other);
  assert.deepEqual(bench.calls, ["reset", "openStream", "write", "finish"]);
  assert.ok(!bench.events.some((event) => event.kind === "state" && event.result === "connectionLost"));
});

test("row 23: another image in the middle of a pull is a lost connection", async () => {
  await bench.start();
  const { release } = await bench.downloading();
  bench.publish("held", imageOf(4_000), 2);
  release();
  await bench.until("0,4");
  assert.equal(bench.calls.at(-1), "reset");
});

test("row 29: suspended the State stays (1,0) and nothing is sent; resumed it goes on behind what is stored", async () => {
  await bench.start();
  const { release } = await bench.downloading();
  bench.agent.suspendPulls();
  release();
  const fetchCount = bench.server.fetches.length;
  assert.equal(await bench.pair(), "1,0");
  assert.equal(bench.server.fetches.length, fetchCount);
  delete bench.script.write;
  bench.agent.resumePulls();
  await bench.until("2,0");
  const resumed = bench.server.fetches[fetchCount];
  assert.equal(findOption(resumed?.options ?? [], OPTION.block2)?.value[0], (1 << 4) | 6, "block 1 of 1024 octets");
  assert.deepEqual(bench.device.image(), bench.server.files.get("held")?.bytes);
});

test("row 29: a URI written while suspended is (1,0), without traffic and without openStream", async () => {
  await bench.start();
  bench.agent.suspendPulls();
  assert.equal(await bench.server.write("/5/0/1", bench.publish("a", IMAGE)), "2.04");
  assert.equal(await bench.pair(), "1,0");
  assert.deepEqual([bench.server.fetches.length, bench.calls.length], [0, 0]);
  bench.agent.resumePulls();
  await bench.until("2,0");
});

test("row 29: a pull flows only when it is neither suspended nor offline", async () => {
  await bench.start();
  const { release } = await bench.downloading();
  bench.agent.suspendPulls();
  bench.agent.setOffline(true);
  release();
  delete bench.script.write;
  bench.agent.resumePulls();
  assert.equal(bench.agent.isRegistered, false);
  assert.equal(bench.agent.state, "downloading");
  bench.agent.suspendPulls();
  const again = bench.server.registered();
  bench.agent.setOffline(false);
  await again;
  assert.equal(await bench.pair(), "1,0");
  bench.agent.resumePulls();
  await bench.until("2,0");
});
