/**
 * The server's operations against a device on Leshan's client libraries, an implementation in Java that shares nothing with
 * ours. AIRLIFT_LESHAN names the directory of the libraries, as tests/interop/leshan/pom.xml brings them. Where they or Java
 * are missing the test is skipped, except in continuous integration.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { OperationBench } from "../conformance/operation-bench.ts";

const LIBRARIES = process.env["AIRLIFT_LESHAN"] ?? "";
const hasLibraries =
  LIBRARIES !== "" &&
  existsSync(LIBRARIES) &&
  readdirSync(LIBRARIES).some((name) => name.startsWith("leshan-lwm2m-client"));
const isThere = (hasLibraries && hasJava()) || process.env["CI"] === "true";
const skip = isThere ? false : "Java, or Leshan's client libraries (AIRLIFT_LESHAN), are not installed";

function hasJava(): boolean {
  try {
    execFileSync("java", ["-version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

test("every operation on Leshan's client, LwM2M 1.1", { skip, timeout: 120_000 }, async (context) => {
  const bench = await OperationBench.open();
  context.after(() => bench.close());
  const endpoint = "leshan-device";
  const registered = bench.event(({ kind }) => kind === "device.registered");
  const program = join(import.meta.dirname, "leshan", "LeshanClientPeer.java");
  const uri = `coap://127.0.0.1:${bench.server.address.port}`;
  const child = spawn("java", ["-cp", join(LIBRARIES, "*"), program, uri, endpoint], {
    stdio: ["pipe", "ignore", "inherit"],
  });
  context.after(async () => {
    if (child.exitCode !== null) return;
    child.stdin.end();
    await once(child, "exit");
  });
  await Promise.race([registered, once(child, "exit").then(() => assert.fail("the peer ended before it registered"))]);
  const { operations } = bench;
  const target = { endpoint, timeoutMs: 20_000 };
  const valuesAt = async (...paths: string[]) =>
    (await operations.read(target, paths)).values.map(({ value }) => value);
  const refused = (code: string) => (error: unknown) => {
    assert.deepEqual((error as { facts: unknown }).facts, { code }, `${error}`);
    return true;
  };

  await context.test("read: a resource and an instance, each in every format", async () => {
    assert.deepEqual(await valuesAt("/3/0/0"), ["Leshan"]);
    for (const format of [0, 11_542, 110, 112]) {
      const answer = await operations.read(target, ["/3/0/9"], format);
      assert.deepEqual([answer.format, answer.values[0]?.value], [format, 87]);
    }
    for (const format of [undefined, 11_542, 11_543, 110, 112]) {
      const { values } = await operations.read(target, ["/3/0"], format);
      assert.deepEqual(values.find(({ path }) => path === "/3/0/15")?.value, "Etc/UTC");
    }
    await assert.rejects(operations.read(target, ["/3/0/77"]), refused("4.04"));
  });

  await context.test("write: replace and update, execute", async () => {
    for (const format of [undefined, 0, 11_542, 110, 112]) {
      const write = { given: { value: `+0${(format ?? 1) % 9}:00` }, mode: "replace", format } as const;
      assert.equal((await operations.write(target, "/3/0/14", write)).code, "2.04");
      assert.deepEqual(await valuesAt("/3/0/14"), [write.given.value]);
    }
    const update = { given: { value: { Lifetime: 600 } }, mode: "update" } as const;
    assert.equal((await operations.write(target, "/1/0", update)).code, "2.04");
    assert.deepEqual(await valuesAt("/1/0/1"), [600]);
    assert.equal((await operations.execute(target, { path: "/3/0/Reboot", arguments: { 0: "now" } })).code, "2.04");
  });

  await context.test("discover", async () => {
    const { items } = await operations.discover(target, "/3/0");
    assert.deepEqual(
      items.map(({ path }) => path),
      ["/3/0", "/3/0/0", "/3/0/4", "/3/0/9", "/3/0/11", "/3/0/14", "/3/0/15", "/3/0/16"],
    );
  });

  await context.test("observe and cancel", async () => {
    const { observation } = await operations.observe(target, ["/3/0/15"]);
    const notified = bench.value(endpoint, "notify");
    child.stdin.write("Europe/Vienna\n");
    const values = (await notified).facts["values"] as { value: unknown }[];
    assert.equal(values[0]?.value, "Europe/Vienna");
    await operations.cancel(endpoint, observation.id);
  });

  await context.test("create and delete", async () => {
    const values = { "Object ID": 3, "Object Instance ID": 0, "Access Control Owner": 1 };
    const { code, created } = await operations.create(target, { path: "/2/5", values });
    assert.deepEqual([code, created], ["2.01", "/2/5"]);
    assert.deepEqual(await valuesAt("/2/5/0"), [3]);
    assert.equal((await operations.delete(target, "/2/5")).code, "2.02");
    await assert.rejects(operations.read(target, ["/2/5/0"]), refused("4.04"));
  });

  await context.test("composite: read, write, observe", async () => {
    assert.deepEqual(new Set(await valuesAt("/3/0/0", "/3/0/9")), new Set(["Leshan", 87]));
    for (const format of [110, 112]) {
      const done = await operations.writeComposite(target, { values: { "/3/0/14": "+05:00", "/1/0/1": 700 } }, format);
      assert.equal(done.code, "2.04");
    }
    // In whatever order the device likes.
    assert.deepEqual(new Set(await valuesAt("/3/0/14", "/1/0/1")), new Set(["+05:00", 700]));
    const { observation } = await operations.observe(target, ["/3/0/15", "/3/0/9"]);
    const notified = bench.value(endpoint, "notify");
    child.stdin.write("Asia/Tokyo\n");
    const values = (await notified).facts["values"] as { path: string; value: unknown }[];
    assert.equal(values.find(({ path }) => path === "/3/0/15")?.value, "Asia/Tokyo");
    await operations.cancel(endpoint, observation.id);
  });
});
