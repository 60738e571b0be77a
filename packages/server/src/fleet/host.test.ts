import assert from "node:assert/strict";
import { test } from "node:test";
import { hostOf } from "./host.ts";

test("one IPv6 network is one host, however its addresses are written", () => {
  const hosts = ["2001:db8:0:1::1", "2001:db8::1:ffff:0:0:9", "2001:0DB8:0000:0001:0:0:0:7", "2001:db8:0:1::%eth0"];
  assert.deepEqual(new Set(hosts.map(hostOf)), new Set(["2001:db8:0:1::/64"]));
  assert.equal(hostOf("2001:db8:0:2::1"), "2001:db8:0:2::/64");
  assert.equal(hostOf("::1"), "0:0:0:0::/64");
});

test("an IPv4 address is itself, also where IPv6 carries it", () => {
  assert.deepEqual([hostOf("192.0.2.7"), hostOf("::ffff:192.0.2.7")], ["192.0.2.7", "192.0.2.7"]);
});
