/** R1 … R5, initial states, and what of object 5's versions 1.1 and 1.2 outlives a restart. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import type { InitialState } from "@airlift/device/initial-state";
import type { PersistedUpdate, UpgradeOrder } from "@airlift/device/ports";
import { findOption, OPTION } from "@airlift/protocol/coap/options";
import { Bench, failure, imageOf } from "./bench.ts";

let bench: Bench;
const IMAGE = imageOf(8_000);
const ETAG = Uint8Array.of(1);

beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

test("R1: a restart in Idle is (0,0), when a server has read the result", async () => {
  await bench.start();
  bench.script.finish = failure("integrityFailed");
  await bench.server.push(IMAGE);
  await bench.start();
  assert.equal(await bench.pair(), "0,5", "nobody had read it");
  await bench.start();
  assert.equal(await bench.pair(), "0,0");
});

test("R2: a restart in Downloading goes on behind what is stored", async () => {
  const uri = bench.publish("a", IMAGE);
  bench.device.handlers.openStream({ uri, etag: ETAG });
  bench.device.handlers.write(IMAGE.subarray(0, 4_096));
  bench.device.persisted = { state: "downloading", result: "initial", uri, offset: 0 };
  await bench.start();
  await bench.until("2,0");
  assert.deepEqual(bench.device.image(), IMAGE);
  assert.deepEqual(bench.calls, ["write", "finish"]);
  const [first] = bench.server.fetches;
  assert.equal(findOption(first?.options ?? [], OPTION.block2)?.value[0], (4 << 4) | 6, "block 4 of 1024 octets");
});

test("R2: without an entity tag the download begins anew, without a URI it is over", async () => {
  const uri = bench.publish("a", IMAGE);
  bench.device.handlers.openStream({ uri });
  bench.device.handlers.write(IMAGE.subarray(0, 4_096));
  bench.device.persisted = { state: "downloading", result: "initial", uri, offset: 0 };
  await bench.start();
  await bench.until("2,0");
  assert.deepEqual(bench.calls, ["reset", "openStream", "write", "finish"]);
  bench.calls.length = 0;
  bench.device.persisted = { state: "downloading", result: "initial", uri: "", offset: 0 };
  await bench.start();
  assert.equal(await bench.pair(), "0,0");
  assert.deepEqual(bench.calls, ["reset"]);
});

test("R3: a restart in Downloaded, with its URI", async () => {
  bench.device.persisted = { state: "downloaded", result: "initial", uri: "coap://127.0.0.1/a" };
  await bench.start();
  assert.equal(await bench.pair(), "2,0");
  assert.equal(await bench.server.read("/5/0/1"), "coap://127.0.0.1/a");
  assert.equal(await bench.server.execute("/5/0/2"), "2.04");
});

test("R4: what became of the update is told after the restart", async () => {
  for (const [result, pair] of [
    ["success", "0,1"],
    ["integrityFailed", "0,5"],
    ["failed", "0,8"],
  ] as const) {
    bench.device.persisted = { state: "idle", result };
    await bench.start();
    assert.equal(await bench.pair(), pair);
  }
});

test("R5: an outcome that is not known yet is (3,0), until it is set", async () => {
  for (const [result, pair] of [
    ["success", "0,1"],
    ["failed", "0,8"],
    ["deferred", "2,11"],
  ] as const) {
    bench.device.persisted = { state: "updating", result: "initial" };
    await bench.start();
    assert.equal(await bench.pair(), "3,0");
    bench.agent.setResult(result);
    assert.equal(await bench.pair(), pair);
  }
});

test("§2.2: each initial state of an integrator without a store", async () => {
  const uri = bench.publish("a", IMAGE);
  const states: [InitialState, string][] = [
    [{ kind: "updating" }, "3,0"],
    [{ kind: "downloaded", uri }, "2,0"],
    [{ kind: "neutral" }, "0,0"],
    [{ kind: "success" }, "0,1"],
    [{ kind: "integrityFailed" }, "0,5"],
    [{ kind: "failed" }, "0,8"],
  ];
  for (const [initialState, pair] of states) {
    await bench.start({ initialState });
    assert.equal(await bench.pair(), pair, initialState.kind);
  }
});

test("§2.2: a download that is resumed without a store", async () => {
  const uri = bench.publish("a", IMAGE);
  bench.device.handlers.openStream({ uri, etag: ETAG });
  bench.device.handlers.write(IMAGE.subarray(0, 2_048));
  await bench.start({ initialState: { kind: "downloading", uri, offset: 2_048, etag: ETAG } });
  await bench.until("2,0");
  assert.deepEqual(bench.device.image(), IMAGE);
  assert.ok(!bench.calls.includes("openStream"));
});

test("§2.2: severity, the last change and the deadline are told again", async () => {
  await bench.start({
    initialState: {
      kind: "downloaded",
      severity: 2,
      lastStateChangeAtS: 1_700_000_000,
      updateDeadlineAtS: 4_000_000_000,
    },
  });
  assert.equal(await bench.pair(), "2,11");
  assert.equal(await bench.server.read("/5/0/11"), "2");
  assert.equal(await bench.server.read("/5/0/12"), "1700000000");
  assert.equal(bench.agent.updateDeadlineAtS, 4_000_000_000);
});

/** Orders that performUpgrade got; the first is put off. */
function deferOnce(): UpgradeOrder[] {
  const orders: UpgradeOrder[] = [];
  bench.script.performUpgrade = (order) => {
    orders.push(order);
    if (orders.length === 1) failure("deferred")();
    return "installed";
  };
  return orders;
}

test("resource 13: a deferral shows Result 11, and the user's word begins the update", async () => {
  await bench.start();
  const orders = deferOnce();
  await bench.server.write("/5/0/13", "600");
  await bench.downloaded();
  assert.equal(await bench.server.execute("/5/0/2"), "2.04");
  await bench.until("2,11");
  assert.ok((bench.agent.updateDeadlineAtS ?? 0) > 1_600_000_000);
  bench.agent.acceptUpdate();
  await bench.until("0,1");
  assert.deepEqual(
    orders.map(({ by, mayDefer }) => [by, mayDefer]),
    [
      ["server", true],
      ["accepted", true],
    ],
  );
  assert.throws(() => bench.agent.acceptUpdate(), { code: "RESULT_NOT_SETTABLE" });
});

test("resource 13: a deadline that passed while the device was down is kept at the start", async () => {
  await bench.start();
  const orders = deferOnce();
  await bench.server.write("/5/0/13", "600");
  await bench.server.write("/5/0/11", "0");
  await bench.downloaded();
  await bench.server.execute("/5/0/2");
  await bench.until("2,11");
  const { notes, ...update } = bench.device.persisted;
  assert.equal(notes?.severity, 0);
  bench.device.persisted = { ...update, notes: { ...notes, updateDeadlineAtS: 1_700_000_000 } } as PersistedUpdate;
  await bench.start();
  await bench.until("0,1");
  assert.deepEqual(orders.at(-1), { by: "deadline", mayDefer: false, severity: 0 });
});

test("resource 13: a deadline ends a deferral by itself", async () => {
  await bench.start();
  const orders = deferOnce();
  await bench.server.write("/5/0/13", "1");
  await bench.downloaded();
  await bench.server.execute("/5/0/2");
  await bench.until("2,11");
  await bench.until("0,1");
  assert.equal(orders.at(-1)?.by, "deadline");
});

test("resource 14: object version 1.2 upgrades by itself once it has downloaded", async () => {
  await bench.start({ firmwareObjectVersion: "1.2" });
  const orders = deferOnce();
  orders.push({ by: "server", mayDefer: true, severity: 1 });
  assert.equal(await bench.server.read("/5/0/14"), "0");
  assert.equal(await bench.server.write("/5/0/14", "1"), "2.04");
  await bench.pull(bench.publish("a", IMAGE), "0,1");
  assert.equal(orders.at(-1)?.by, "automatic");
});

test("LwM2M 1.0 has the object's version 1.0: no Cancel, no Severity, nothing that came later", async () => {
  await bench.start({ lwm2mVersion: "1.0" });
  await bench.downloaded();
  assert.equal(await bench.server.execute("/5/0/10"), "4.04");
  for (const id of [11, 12, 13, 14]) assert.equal(await bench.server.read(`/5/0/${id}`), "4.04");
  await bench.start();
  assert.equal(await bench.server.read("/5/0/14"), "4.04");
});
