/** §2.3: what a server is told without asking: notifications in their order, and reports by Send. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { createUpdateAgent } from "@airlift/device/agent";
import { createRequest } from "@airlift/protocol/coap/exchange";
import { decodeUtf8 } from "@airlift/protocol/lib/bytes";
import { Bench, failure, IDENTITY, imageOf } from "./bench.ts";

let bench: Bench;
const IMAGE = imageOf(3_000);

beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

/** Notifications of the resources, in the order in which they arrive. */
async function watchAll(...ids: number[]): Promise<string[]> {
  const told: string[] = [];
  for (const id of ids) {
    await bench.server.coap.observe(bench.server.device(), createRequest("get", `/5/0/${id}`), ({ payload }) =>
      told.push(`${id}=${decodeUtf8(payload)}`),
    );
  }
  return told;
}

test("notifications: the result before the state, the time of the change just before the state", async () => {
  await bench.start();
  const told = await watchAll(3, 12, 5);
  bench.script.finish = failure("integrityFailed");
  await bench.server.push(IMAGE.subarray(0, 100));
  while (!told.includes("3=0")) await bench.server.read("/3/0/0");
  const last = told.slice(told.indexOf("5=5")).map((word) => word.split("=")[0]);
  assert.deepEqual(
    last.filter((id) => id !== "12"),
    ["5", "3"],
  );
  assert.ok(told.some((word) => word.startsWith("12=")));
});

test("notifications: a whole update, told to a server that observes", async () => {
  await bench.start();
  const told = await watchAll(3, 5);
  await bench.server.push(IMAGE.subarray(0, 100));
  bench.script.performUpgrade = () => "installed";
  await bench.server.execute("/5/0/2");
  await bench.until("0,1");
  while (told.at(-1) !== "3=0") await bench.server.read("/3/0/0");
  assert.ok(told.indexOf("5=1") >= 0 && told.indexOf("5=1") < told.lastIndexOf("3=0"));
});

test("Send: State and Update Result on every change, the result first", async () => {
  await bench.start({ reportBySend: true });
  await bench.pull(bench.publish("a", IMAGE), "2,0");
  while (bench.server.reports.at(-1)?.at(1) !== "/5/0/3 2") await bench.server.read("/3/0/0");
  assert.ok(bench.server.reports.every(([first]) => first === "/5/0/5 0"));
});

test("Send: after an update the versions go along", async () => {
  const identity = { ...IDENTITY, firmwareVersion: "2.0.0", softwareVersion: "7" };
  bench.device.persisted = { state: "idle", result: "success" };
  await bench.start({ reportBySend: true, identity });
  while (bench.server.reports.length === 0) await bench.server.read("/3/0/0");
  assert.deepEqual(bench.server.reports, [["/5/0/5 1", "/5/0/3 0", "/3/0/3 2.0.0", "/3/0/19 7"]]);
});

test("Send: nothing unless it is wanted, nothing in LwM2M 1.0, nothing while muted", async () => {
  await bench.start();
  await bench.downloaded();
  await bench.start({ reportBySend: true, lwm2mVersion: "1.0" });
  await bench.server.write("/5/0/1", "");
  assert.equal(await bench.server.read("/1/0/23"), "4.04");
  bench.device.persisted = { state: "idle", result: "initial" };
  await bench.start({ reportBySend: true });
  assert.equal(await bench.server.write("/1/0/23", "1"), "2.04");
  await bench.downloaded();
  assert.deepEqual(bench.server.reports, []);
  assert.equal(await bench.server.write("/1/0/23", "0"), "2.04");
  while (bench.server.reports.length === 0) await bench.server.read("/3/0/0");
  assert.deepEqual(bench.server.reports, [["/5/0/5 0", "/5/0/3 2"]]);
});

test("Send: a server that does not take it is no reason to fail", async () => {
  await bench.start({ reportBySend: true });
  bench.server.isDeafToReports = true;
  await bench.pull(bench.publish("a", IMAGE), "2,0");
  while (!bench.failures().includes("report")) await bench.server.read("/3/0/0");
  assert.equal(await bench.pair(), "2,0");
});

test("offline: nothing is sent, and back online the device registers anew", async () => {
  await bench.start();
  bench.agent.setOffline(true);
  assert.equal(bench.agent.isRegistered, false);
  const again = bench.server.registered();
  bench.agent.setOffline(false);
  await again;
  assert.equal(bench.server.registrations.length, 2);
  assert.deepEqual(bench.server.deregistrations, []);
});

test("offline from the start: the agent runs, and registers when it may", async () => {
  const { handlers, store } = bench.device;
  const agent = createUpdateAgent({ endpoint: "late", server: bench.server.uri, handlers, store, identity: IDENTITY });
  agent.setOffline(true);
  await agent.start();
  const registered = bench.server.registered();
  agent.setOffline(false);
  assert.equal((await registered).endpoint, "late");
  await agent.close();
});
