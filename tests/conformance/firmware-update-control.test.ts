/** Rows 14, 15, 24 … 28 and 30 … 42 of the Firmware Update object's table: what the server may do when, and results. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import type { UpdateResult } from "@airlift/protocol/update/firmware-update";
import { Bench, failure, imageOf } from "./bench.ts";

let bench: Bench;
const IMAGE = imageOf(100);
const ZERO = Uint8Array.of(0);

beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const refused = { code: "RESULT_NOT_SETTABLE" };

test("row 14: Update in Idle is 4.05", async () => {
  await bench.start();
  assert.equal(await bench.server.execute("/5/0/2"), "4.05");
  assert.equal(await bench.pair(), "0,0");
});

test("row 15: Cancel in Idle is 4.05", async () => {
  await bench.start();
  assert.equal(await bench.server.execute("/5/0/10"), "4.05");
  assert.equal(await bench.pair(), "0,0");
});

test("row 24: Cancel in Downloading is (0,10), the URI stays", async () => {
  await bench.start();
  const { release } = await bench.downloading();
  assert.equal(await bench.server.execute("/5/0/10"), "2.04");
  assert.equal(await bench.pair(), "0,10");
  assert.equal(await bench.server.read("/5/0/1"), `${bench.server.uri}/fw/held`);
  release();
  await bench.server.write("/5/0/1", "");
  assert.equal(bench.calls.at(-1), "reset");
});

test("row 25: one zero octet in Downloading and Downloaded is (0,0), the URI stays", async () => {
  await bench.start();
  const { release } = await bench.downloading();
  assert.equal(await bench.server.push(ZERO), "2.04");
  assert.equal(await bench.pair(), "0,0");
  assert.equal(await bench.server.read("/5/0/1"), `${bench.server.uri}/fw/held`);
  release();
  delete bench.script.write;
  await bench.downloaded();
  assert.equal(await bench.server.push(ZERO), "2.04");
  assert.equal(await bench.pair(), "0,0");
});

test("rows 26, 27: another package or URI in Downloading and Downloaded is 4.00", async () => {
  await bench.start();
  const { release } = await bench.downloading();
  const refuses = async (): Promise<void> => {
    const before = await bench.pair();
    assert.equal(await bench.server.push(IMAGE), "4.00");
    assert.equal(await bench.server.push(new Uint8Array()), "4.00");
    assert.equal(await bench.server.write("/5/0/1", bench.publish("b", IMAGE)), "4.00");
    assert.equal(await bench.server.write("/5/0/1", "ftp://127.0.0.1/b"), "4.00");
    assert.equal(await bench.pair(), before);
  };
  await refuses();
  delete bench.script.write;
  release();
  await bench.until("2,0");
  await refuses();
});

test("row 28: Update in Downloading is 4.05", async () => {
  await bench.start();
  const { release } = await bench.downloading();
  assert.equal(await bench.server.execute("/5/0/2"), "4.05");
  assert.equal(await bench.pair(), "1,0");
  release();
});

test("row 30: Update is answered 2.04 and State 3 is told before performUpgrade is called", async () => {
  await bench.start({ upgradeDelayMs: 200 });
  const states = await bench.watch("/5/0/3");
  await bench.downloaded();
  bench.script.performUpgrade = () => {
    bench.calls.push(`told ${states.at(-1)}`);
    return "pending";
  };
  const begun = bench.event((event) => event.kind === "state" && event.state === "idle");
  assert.equal(await bench.server.execute("/5/0/2"), "2.04");
  assert.ok(!bench.calls.includes("performUpgrade"));
  bench.script.reset = () => undefined;
  while (!bench.calls.includes("performUpgrade")) await bench.server.read("/5/0/3");
  bench.agent.setResult("success");
  await begun;
  assert.ok(bench.calls.includes("told 3"));
});

test("row 31: Cancel in Downloaded is (0,10)", async () => {
  await bench.start();
  await bench.downloaded();
  assert.equal(await bench.server.execute("/5/0/10"), "2.04");
  assert.equal(await bench.pair(), "0,10");
  assert.equal(bench.calls.at(-1), "reset");
});

test("row 32: an upgrade that is refused is Downloaded with its reason, and may be executed again", async () => {
  await bench.start();
  await bench.downloaded();
  for (const [script, result] of [
    [() => assert.fail("an error of no kind"), 8],
    [failure("noFlash"), 2],
    [failure("noMemory"), 3],
    [failure("integrityFailed"), 5],
    [failure("unsupportedPackage"), 6],
    [failure("deferred"), 11],
  ] as const) {
    bench.script.performUpgrade = script;
    assert.equal(await bench.server.execute("/5/0/2"), "2.04");
    await bench.until(`2,${result}`);
    assert.equal(await bench.pair(), `2,${result}`);
  }
  assert.ok(!bench.calls.includes("reset"));
  bench.script.performUpgrade = () => "installed";
  assert.equal(await bench.server.execute("/5/0/2"), "2.04");
  await bench.until("0,1");
});

test("row 33: success set later, without a restart, is (0,1), and the store is reset", async () => {
  await bench.start();
  await bench.updating();
  bench.agent.setResult("success");
  assert.equal(await bench.pair(), "0,1");
  assert.equal(bench.calls.at(-1), "reset");
});

test("rows 33, 34, 35: results set inside performUpgrade", async () => {
  await bench.start();
  for (const [result, pair] of [
    ["success", "0,1"],
    ["failed", "0,8"],
    ["integrityFailed", "0,5"],
    ["deferred", "2,11"],
  ] as const) {
    bench.script.performUpgrade = () => {
      bench.agent.setResult(result);
      return "pending";
    };
    await bench.downloaded();
    await bench.server.execute("/5/0/2");
    await bench.until(pair);
    assert.equal(await bench.pair(), pair);
  }
});

test("row 34: a failure set later is Idle with each of the results 2 … 9", async () => {
  await bench.start();
  const failures: [UpdateResult, number][] = [
    ["noFlash", 2],
    ["noMemory", 3],
    ["connectionLost", 4],
    ["integrityFailed", 5],
    ["unsupportedPackage", 6],
    ["invalidUri", 7],
    ["failed", 8],
    ["unsupportedProtocol", 9],
  ];
  for (const [result, onWire] of failures) {
    await bench.updating();
    bench.agent.setResult(result);
    assert.equal(await bench.pair(), `0,${onWire}`);
    assert.equal(bench.calls.at(-1), "reset");
  }
});

test("row 35: deferred set later is (2,11), and the image stays", async () => {
  await bench.start();
  await bench.updating();
  bench.agent.setResult("deferred");
  assert.equal(await bench.pair(), "2,11");
  assert.ok(!bench.calls.includes("reset"));
});

test("rows 36, 37, 38, 39: in Updating nothing may be written or executed", async () => {
  await bench.start();
  await bench.updating();
  assert.equal(await bench.server.push(IMAGE), "4.05", "row 36");
  assert.equal(await bench.server.push(ZERO), "4.05", "row 36");
  assert.equal(await bench.server.write("/5/0/1", ""), "4.05", "row 37");
  assert.equal(await bench.server.write("/5/0/1", bench.publish("b", IMAGE)), "4.00", "row 38");
  assert.equal(await bench.server.execute("/5/0/2"), "4.05", "row 39");
  assert.equal(await bench.server.execute("/5/0/10"), "4.05", "row 39");
  assert.equal(await bench.pair(), "3,0");
});

test("row 40: a failure may be set in Downloading and Downloaded; success, initial and cancelled are refused", async () => {
  await bench.start();
  const { release } = await bench.downloading();
  for (const result of ["success", "initial", "cancelled", "deferred"] as const) {
    assert.throws(() => bench.agent.setResult(result), refused);
  }
  bench.agent.setResult("noMemory");
  assert.equal(await bench.pair(), "0,3");
  release();
  delete bench.script.write;
  assert.throws(() => bench.agent.setResult("failed"), refused);
  await bench.downloaded();
  for (const result of ["success", "initial", "cancelled"] as const) {
    assert.throws(() => bench.agent.setResult(result), refused);
  }
  bench.agent.setResult("integrityFailed");
  assert.equal(await bench.pair(), "0,5");
});

test("row 41: Severity is 0 … 2 and 1 at first, Maximum Defer Period 0 and more", async () => {
  await bench.start();
  assert.equal(await bench.server.read("/5/0/11"), "1");
  assert.equal(await bench.server.write("/5/0/11", "3"), "4.00");
  assert.equal(await bench.server.write("/5/0/11", "-1"), "4.00");
  assert.equal(await bench.server.write("/5/0/11", "0"), "2.04");
  assert.equal(await bench.server.read("/5/0/11"), "0");
  assert.equal(await bench.server.read("/5/0/13"), "4.04", "nobody has set one");
  assert.equal(await bench.server.write("/5/0/13", "-5"), "4.00");
  assert.equal(await bench.server.write("/5/0/13", "600"), "2.04");
  assert.equal(await bench.server.read("/5/0/13"), "600");
});

test("row 42: name and version of the package are there in Downloaded only, in Discover too", async () => {
  bench.script.packageName = () => "pump";
  await bench.start();
  for (const id of ["6", "7"]) assert.equal(await bench.server.read(`/5/0/${id}`), "4.04");
  assert.doesNotMatch(await bench.server.read("/5", CONTENT_FORMATS.linkFormat), /<\/5\/0\/[67]>/);
  await bench.downloaded();
  assert.equal(await bench.server.read("/5/0/6"), "pump");
  assert.equal(await bench.server.read("/5/0/7"), "2.0.0");
  assert.match(await bench.server.read("/5", CONTENT_FORMATS.linkFormat), /<\/5\/0\/6>,<\/5\/0\/7>/);
  bench.script.packageName = () => undefined;
  assert.equal(await bench.server.read("/5/0/6"), "4.04");
});
