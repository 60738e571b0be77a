import assert from "node:assert/strict";
import { test } from "node:test";
import { FailedAttempts } from "./failed-attempts.ts";

test("some failures are free, then each wait is twice the one before, up to the longest", () => {
  const attempts = new FailedAttempts({ freeCount: 3, firstWaitMs: 1000, longestWaitMs: 5000 });
  const waits: number[] = [];
  for (let n = 0; n < 8; n += 1) {
    attempts.fail("192.0.2.1", 0);
    waits.push(attempts.waitMs("192.0.2.1", 0));
  }
  assert.deepEqual(waits, [0, 0, 0, 1000, 2000, 4000, 5000, 5000]);
  assert.equal(attempts.waitMs("192.0.2.1", 4999), 1);
  assert.equal(attempts.waitMs("192.0.2.1", 5000), 0);
  assert.equal(attempts.waitMs("192.0.2.2", 0), 0);
});

test("an address that fails no more is forgotten", () => {
  const attempts = new FailedAttempts({ freeCount: 1, forgottenAfterMs: 60_000 });
  attempts.fail("192.0.2.1", 0);
  attempts.fail("192.0.2.1", 60_001);
  assert.equal(attempts.waitMs("192.0.2.1", 60_001), 0);
});

test("a flood from many addresses takes bounded room", () => {
  const attempts = new FailedAttempts({ addressCount: 100 });
  for (let n = 0; n < 10_000; n += 1) attempts.fail(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, n);
  assert.equal(attempts.size, 100);
});

test("one IPv6 network is one address, and a mapped IPv4 address is itself", () => {
  const attempts = new FailedAttempts({ freeCount: 0 });
  attempts.fail("2001:db8:0:1::1", 0);
  assert.ok(attempts.waitMs("2001:db8::1:ffff:0:0:9", 0) > 0);
  assert.ok(attempts.waitMs("2001:0db8:0000:0001:0:0:0:7", 0) > 0);
  assert.equal(attempts.waitMs("2001:db8:0:2::1", 0), 0);
  attempts.fail("::ffff:192.0.2.1", 0);
  assert.ok(attempts.waitMs("192.0.2.1", 0) > 0);
  attempts.fail("::1", 0);
  assert.ok(attempts.waitMs("::1", 0) > 0);
});
