/** The contracts of the handlers: what each is given, when it is called, and what becomes of one that misbehaves. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterEach, beforeEach, test } from "node:test";
import { createUpdateAgent } from "@airlift/device/agent";
import { Bench, createDeferred, failure, IDENTITY, imageOf } from "./bench.ts";

let bench: Bench;
const IMAGE = imageOf(5_000);
const never = (): Promise<never> => new Promise(() => undefined);

beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

test("the five mandatory handlers alone suffice", async () => {
  const { openStream, write, finish, reset, performUpgrade } = bench.device.handlers;
  await bench.start({ handlers: { openStream, write, finish, reset, performUpgrade } });
  await bench.pull(bench.publish("a", IMAGE), "2,0");
  assert.equal(await bench.server.read("/5/0/7"), "4.04");
  assert.equal(await bench.server.execute("/5/0/2"), "2.04");
  await bench.until("3,0");
});

test("options that contradict each other are told at once, all of them", () => {
  const { handlers, store } = bench.device;
  const create = () =>
    createUpdateAgent({
      endpoint: "",
      server: "http://127.0.0.1",
      handlers,
      store,
      initialState: { kind: "neutral" },
      identity: IDENTITY,
      lwm2mVersion: "1.0",
      firmwareObjectVersion: "1.2",
      handlerTimeoutMs: 0,
    });
  assert.throws(create, (error: { facts: { mistakes: string[] } }) => error.facts.mistakes.length === 5);
});

test("openStream: a push has neither URI nor tag, a pull has both, on its first block", async () => {
  await bench.start();
  await bench.downloaded();
  assert.deepEqual(bench.device.origin, {});
  await bench.server.write("/5/0/1", "");
  const uri = bench.publish("a", IMAGE, 9);
  await bench.pull(uri, "2,0");
  assert.deepEqual(bench.device.origin, { uri, etag: Uint8Array.of(9) });
});

test("write: pieces of 1 … 1024 octets in their order, each after the one before has settled", async () => {
  await bench.start();
  let isWriting = false;
  const sizes: number[] = [];
  bench.script.write = async (bytes) => {
    assert.equal(isWriting, false);
    isWriting = true;
    sizes.push(bytes.length);
    await new Promise((resolve) => setImmediate(resolve));
    await bench.device.handlers.write(bytes);
    isWriting = false;
  };
  await bench.pull(bench.publish("a", IMAGE), "2,0");
  assert.deepEqual(bench.device.image(), IMAGE);
  assert.ok(sizes.every((size) => size >= 1 && size <= 1024));
});

test("finish: counts as closed whatever it does; an empty file is opened and finished", async () => {
  await bench.start();
  await bench.pull(bench.publish("empty", new Uint8Array()), "2,0");
  assert.deepEqual(bench.calls, ["openStream", "finish"]);
  await bench.server.write("/5/0/1", "");
  bench.calls.length = 0;
  bench.script.finish = failure("integrityFailed");
  await bench.pull(bench.publish("a", IMAGE), "0,5");
  assert.ok(!bench.calls.includes("reset"));
});

test("reset: may come when nothing was opened, and never while another handler runs", async () => {
  await bench.start();
  const { release } = await bench.downloading();
  assert.equal(await bench.server.execute("/5/0/10"), "2.04");
  assert.equal(await bench.pair(), "0,10");
  assert.ok(!bench.calls.includes("reset"), "write still runs");
  release();
  await bench.server.write("/5/0/1", "");
  assert.deepEqual(bench.calls.slice(0, 3), ["openStream", "write", "reset"]);
});

test("performUpgrade: is told who wants it, and may be called again", async () => {
  await bench.start();
  const orders: unknown[] = [];
  bench.script.performUpgrade = (order) => {
    orders.push(order);
    return orders.length === 1 ? failure("noMemory")() : "installed";
  };
  await bench.downloaded();
  await bench.server.execute("/5/0/2");
  await bench.until("2,3");
  await bench.server.execute("/5/0/2");
  await bench.until("0,1");
  const order = { by: "server", mayDefer: true, severity: 1 };
  assert.deepEqual(orders, [order, order]);
});

test("performUpgrade: restarting leaves (3,0) and restarts", async () => {
  const rebooted = createDeferred();
  bench.script.performUpgrade = () => "restarting";
  await bench.start({ reboot: rebooted.resolve });
  await bench.updating();
  await rebooted.promise;
  assert.equal(await bench.pair(), "3,0");
});

test("confirm: an image on trial is confirmed once the server is reached, before it hears of success", async () => {
  bench.device.persisted = { state: "updating", result: "initial" };
  const order: string[] = [];
  bench.script.confirm = () => void order.push("confirm");
  await bench.start();
  assert.equal(await bench.pair(), "0,1");
  assert.deepEqual(order, ["confirm"]);
});

test("confirm: one that fails is a failed update", async () => {
  bench.device.persisted = { state: "updating", result: "initial" };
  bench.script.confirm = () => assert.fail("the boot loader does not answer");
  await bench.start();
  assert.equal(await bench.pair(), "0,8");
});

test("confirm: one that hangs is a failed update after its limit, and the server's requests wait no longer", async () => {
  bench.device.persisted = { state: "updating", result: "initial" };
  bench.script.confirm = never;
  await bench.start({ upgradeTimeoutMs: 30 });
  assert.equal(await bench.pair(), "0,8");
  assert.deepEqual(bench.failures(), ["confirm"]);
});

test("an agent that is closed while it starts does not run", async () => {
  const told: string[] = [];
  const agent = createUpdateAgent({
    endpoint: "node-1",
    server: bench.server.uri,
    handlers: bench.device.handlers,
    identity: IDENTITY,
    bind: { host: "127.0.0.1" },
    onEvent: ({ kind }) => told.push(kind),
  });
  const starting = agent.start();
  await agent.close();
  await starting;
  assert.throws(() => agent.component(0), { code: "AGENT_NOT_RUNNING" });
  assert.deepEqual(told, []);
});

test("transmissionFor: asked with the URI before each connection; an error leaves the agent's own parameters", async () => {
  await bench.start();
  const asked: string[] = [];
  bench.script.transmissionFor = (uri) => {
    asked.push(uri);
    return { ackTimeoutMs: 50, ackRandomFactor: 1, maxRetransmit: 1 };
  };
  const uri = bench.publish("a", IMAGE);
  await bench.pull(uri, "2,0");
  assert.deepEqual(asked, [uri]);
  await bench.server.write("/5/0/1", "");
  bench.script.transmissionFor = () => assert.fail("no such URI");
  await bench.pull(uri, "2,0");
  assert.deepEqual(bench.failures(), ["transmissionFor"]);
});

test("a handler that hangs has failed after its time limit, and the next update works", async () => {
  await bench.start({ handlerTimeoutMs: 30 });
  const uri = bench.publish("a", IMAGE);
  for (const [name, pair, hasReset] of [
    ["openStream", "0,2", true],
    ["write", "0,2", true],
    ["finish", "0,2", false],
  ] as const) {
    bench.script[name] = never;
    bench.calls.length = 0;
    await bench.pull(uri, pair);
    assert.equal(bench.calls.includes("reset"), hasReset, name);
    assert.equal(bench.failures().at(-1), name);
    delete bench.script[name];
    await bench.pull(uri, "2,0");
    await bench.server.write("/5/0/1", "");
  }
});

test("a push whose handler hangs is answered 5.00", async () => {
  await bench.start({ handlerTimeoutMs: 30 });
  bench.script.write = never;
  assert.equal(await bench.server.push(IMAGE), "5.00");
  assert.equal(await bench.pair(), "0,2");
});

test("a reset that hangs does not stand in the way of the next update for ever", async () => {
  await bench.start({ handlerTimeoutMs: 30 });
  bench.script.reset = never;
  assert.equal(await bench.server.write("/5/0/1", ""), "2.04");
  await bench.pull(bench.publish("a", IMAGE), "2,0");
  assert.deepEqual(bench.failures(), ["reset"]);
});

test("performUpgrade that hangs is (2,8) after its own limit, and may be executed again", async () => {
  await bench.start({ upgradeTimeoutMs: 30 });
  bench.script.performUpgrade = never;
  await bench.downloaded();
  await bench.server.execute("/5/0/2");
  await bench.until("2,8");
  bench.script.performUpgrade = () => "installed";
  await bench.server.execute("/5/0/2");
  await bench.until("0,1");
});

test("a handler that answers after its update was given up changes nothing", async () => {
  await bench.start({ handlerTimeoutMs: 30 });
  const late = createDeferred();
  bench.script.finish = () => late.promise;
  const uri = bench.publish("a", IMAGE);
  await bench.pull(uri, "0,2");
  delete bench.script.finish;
  await bench.pull(uri, "2,0");
  late.resolve();
  assert.equal(await bench.pair(), "2,0");
  assert.deepEqual(bench.device.image(), IMAGE);
});

test("a store that fails or hangs is told, and the update goes on", async () => {
  let count = 0;
  const store = {
    load: bench.device.store.load,
    save: (): Promise<void> => {
      count += 1;
      return count % 2 === 0 ? never() : Promise.reject(new Error("the disk is full"));
    },
  };
  await bench.start({ store, handlerTimeoutMs: 20 });
  await bench.pull(bench.publish("a", IMAGE), "2,0");
  assert.ok(bench.failures().every((what) => what === "save"));
});

/** Whether `port` of this machine is nobody's. */
async function isFree(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  try {
    socket.bind(port, "127.0.0.1");
    await once(socket, "listening");
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}

test("Cancel closes the socket of a pull at any moment, also while it waits for an answer", async () => {
  await bench.start({ sameSocketDownloads: false });
  const asked = createDeferred();
  bench.server.answers.set("slow", () => {
    asked.resolve();
    return never();
  });
  await bench.server.write("/5/0/1", `${bench.server.uri}/fw/slow`);
  await asked.promise;
  const { key } = bench.server.fetchedFrom.at(-1) ?? assert.fail("nobody has asked");
  assert.notEqual(key, bench.server.device().key, "it is a socket of its own");
  const port = Number(key.split(" ")[1]);
  assert.equal(await isFree(port), false);
  assert.equal(await bench.server.execute("/5/0/10"), "2.04");
  assert.equal(await bench.pair(), "0,10");
  assert.equal(await isFree(port), true);
});

test("what the server itself has is pulled over the session with it", async () => {
  await bench.start();
  await bench.pull(bench.publish("a", IMAGE), "2,0");
  assert.equal(bench.server.fetchedFrom.at(-1)?.key, bench.server.device().key);
});
