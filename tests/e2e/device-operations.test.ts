/** The operations as an operator asks for them: the command line against the API, a real server and our device over UDP. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createApi } from "@airlift/server/api/create-api";
import { listen } from "@airlift/server/api/listen";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { OperationBench } from "../conformance/operation-bench.ts";

const CLI = fileURLToPath(import.meta.resolve("@airlift/cli/main"));
let bench: OperationBench;
let api: FastifyInstance;
let url: string;

before(async () => {
  bench = await OperationBench.open();
  api = await createApi({
    config: { httpHost: "127.0.0.1", publicHost: null, maxImageBytes: 2 ** 20, noAuth: true },
    stores: bench.stores,
    commands: bench.server.engine,
    operations: bench.operations,
    fleet: bench.server,
    log: pino({ level: "silent" }),
  });
  url = await listen(api, "127.0.0.1", 0);
  await bench.device("pump", "1.1");
});
after(async () => {
  await api.close();
  await bench.close();
});

function start(...args: string[]) {
  const child = spawn(process.execPath, [CLI, ...args], { env: { PATH: "/usr/bin:/bin", AIRLIFT_URL: url } });
  const texts = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    texts.out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    texts.err += text;
  });
  const ended = once(child, "close").then(([code]) => ({ code: code as number, ...texts }));
  const untilOut = async (pattern: RegExp) => {
    while (!pattern.test(texts.out)) await once(child.stdout, "data");
  };
  return { child, ended, untilOut };
}
const airlift = (...args: string[]) => start(...args).ended;

const ask = async (method: string, path: string, body?: object) => {
  const answer = await fetch(`${url}/api/v1/devices/${path}`, {
    method,
    ...(body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
};

test("?queue=true: 202 at once, and the answer is found in the device's queue", async () => {
  const wishes = [
    await ask("PUT", "pump/resources/3/0/14?queue=true", { value: "+02:00" }),
    await ask("POST", "pump/composite/read?queue=true", { paths: ["/3/0/0", "/3/0/3"] }),
  ];
  for (const { status, body } of wishes) {
    assert.equal(status, 202);
    assert.match(body.id, /^[0-9a-f]{16}$/);
  }
  await bench.event(({ kind, sentence }) => kind === "device.request" && sentence.startsWith("readComposite /"));
  const { body } = await ask("GET", "pump/queue");
  const outcomes = body.items.map(({ operation, outcome }: Record<string, unknown>) => [operation, outcome]);
  assert.deepEqual(outcomes, [
    ["readComposite", "answered"],
    ["write", "answered"],
  ]);
  assert.equal((await ask("PUT", "pump/resources/3/0/14?queue=true", { value: 5, typed: true })).status, 422);
});

test("one path by name, several at once", async () => {
  const one = await airlift("device-read", "pump", "/Device/0/Manufacturer");
  assert.deepEqual([one.code, one.err], [0, ""]);
  assert.match(one.out, /\/3\/0\/0 +Manufacturer +Example/);
  const both = await airlift("device-read", "pump", "/3/0/0", "/1/0/1", "--json");
  const values = JSON.parse(both.out).values.map(({ value }: { value: unknown }) => value);
  assert.deepEqual(values, ["Example", 300]);
});

test("values are written as they are typed, and wrong ones before anything is sent", async () => {
  assert.match((await airlift("device-write", "pump", "/3/0/UTC Offset", "+03:00")).out, /^done \(2\.04\)/);
  assert.equal((await airlift("device-write", "pump", "/1/0/6", "true", "/3/0/14", "+04:00")).code, 0);
  assert.equal((await airlift("device-write", "pump", "/1/0", '{"2":"1"}', "--update")).code, 0);
  const wrong = await airlift("device-write", "pump", "/1/0/1", "soon");
  assert.deepEqual([wrong.code, /VALUE_TYPE/.test(wrong.err)], [1, true]);
});

test("executes with arguments; a refusal has the device's code", async () => {
  assert.equal((await airlift("device-execute", "pump", "/3/0/Reboot", "0=now", "3")).code, 0);
  const refused = await airlift("device-execute", "pump", "/5/0/Update");
  assert.match(
    refused.err,
    /^airlift: the device does not allow that there, or not now \(4\.05\).*\(DEVICE_REFUSED\)$/m,
  );
  const absent = await airlift("device-read", "pump", "/3/0/22");
  assert.match(absent.err, /^airlift: the device has nothing there \(4\.04\).*\(DEVICE_REFUSED\)$/m);
});

test("a wrong value is told by its path; an operation that may wait is on record under its id", async () => {
  const wrong = await airlift("device-write", "pump", "/1/0/1", "soon");
  assert.match(wrong.err, /^airlift: \/1\/0\/1 \(Lifetime\): "soon" is not a value of type \w+ \(VALUE_TYPE\)$/m);
  const broken = await airlift("device-write", "pump", "/1/0", '{"Lifetime":');
  assert.deepEqual([broken.code, broken.err], [2, 'airlift: {"Lifetime": begins like JSON and is none\n']);
  const queued = await airlift("device-execute", "pump", "/3/0/4", "--queue");
  assert.equal(queued.code, 0, queued.err);
  const [, id = ""] = /^on record as (\S+); airlift device-queue pump tells/.exec(queued.out) ?? [];
  assert.match((await airlift("device-queue", "pump")).out, new RegExp(id));
});

test("attributes are written and discovered", async () => {
  assert.equal((await airlift("device-attributes", "pump", "/5/0/3", "pmin=0", "pmax=600")).code, 0);
  assert.match((await airlift("device-discover", "pump", "/5/0")).out, /\/5\/0\/3 +State +pmin=0 pmax=600/);
  assert.equal((await airlift("device-attributes", "pump", "/5/0/3", "every=1")).code, 2);
  const negative = await airlift("device-attributes", "pump", "/5/0/3", "pmin=-1", "pmax=600");
  assert.deepEqual([negative.code, negative.err], [2, "airlift: pmin=-1: not a value of that attribute\n"]);
});

test("instances are created and deleted where the device lets", async () => {
  assert.match((await airlift("device-create", "pump", "/3", "UTC Offset=+01:00")).err, /4\.05/);
  assert.match((await airlift("device-delete", "pump", "/3/0")).err, /4\.05/);
});

test("an observation is followed line by line and withdrawn with the interrupt", async () => {
  const observing = start("device-observe", "pump", "/3/0/15", "--json");
  await observing.untilOut(/"path":"\/3\/0\/15"/);
  await ask("PUT", "pump/resources/3/0/15", { value: "Europe/Vienna" });
  await observing.untilOut(/Europe\/Vienna/);
  observing.child.kill("SIGINT");
  const { code, out } = await observing.ended;
  assert.equal(code, 0);
  for (const line of out.trim().split("\n")) assert.ok(JSON.parse(line).values.length > 0);
  assert.deepEqual((await ask("GET", "pump/observations")).body, { items: [] });
});

test("the API tells who has to act: 404, 409, 422 apart", async () => {
  const read = (path: string) => ask("GET", path);
  assert.deepEqual((await read("nobody/resources/3/0")).body.code, "UNKNOWN_DEVICE");
  const refused = await read("pump/resources/3/0/99");
  assert.deepEqual([refused.status, refused.body.code, refused.body.facts], [409, "DEVICE_REFUSED", { code: "4.04" }]);
  const unknown = await read("pump/resources/Toaster/0");
  assert.deepEqual([unknown.status, unknown.body.code], [422, "UNKNOWN_NAME"]);
  const wrong = await ask("PUT", "pump/resources/1/0/1", { value: 1.5 });
  assert.deepEqual([wrong.status, wrong.body.code], [422, "VALUE_TYPE"]);
  assert.equal((await ask("DELETE", "pump/observations/none")).status, 404);
});

test("objects with their versions, and what was told last", async () => {
  const { items } = (await ask("GET", "pump/objects")).body;
  const device = items.find(({ id }: { id: number }) => id === 3);
  assert.deepEqual(device, { id: 3, name: "Device", version: "1.1", versionFrom: "lwm2m", instances: [0] });
  const firmware = items.find(({ id }: { id: number }) => id === 5);
  assert.deepEqual([firmware.version, firmware.versionFrom], ["1.1", "device"]);
  const told = (await ask("GET", "pump/values")).body.items;
  assert.equal(told.find(({ path }: { path: string }) => path === "/3/0/15").value, "Europe/Vienna");
});
