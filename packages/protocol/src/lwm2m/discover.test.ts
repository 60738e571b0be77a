import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeUtf8, encodeUtf8 } from "../lib/bytes.ts";
import { type Discovered, decodeDiscover, encodeDiscover } from "./discover.ts";

const at = (path: readonly number[], rest: Partial<Discovered> = {}): Discovered => ({
  path,
  version: undefined,
  instanceCount: undefined,
  attributes: {},
  ...rest,
});

test("§6.3.2: attributes, dimension and version of what is discovered", () => {
  const text = "</3>;ver=1.1;pmin=10;pmax=60,</3/0>,</3/0/6>;dim=2,</3/0/7>;dim=2;gt=50;lt=42.2,</3/0/8>;dim=2";
  const found = decodeDiscover(encodeUtf8(text), [3]);
  assert.deepEqual(found, [
    at([3], { version: "1.1", attributes: { pmin: 10, pmax: 60 } }),
    at([3, 0]),
    at([3, 0, 6], { instanceCount: 2 }),
    at([3, 0, 7], { instanceCount: 2, attributes: { gt: 50, lt: 42.2 } }),
    at([3, 0, 8], { instanceCount: 2 }),
  ]);
  assert.equal(decodeUtf8(encodeDiscover(found, "1.1")), text);
  assert.match(decodeUtf8(encodeDiscover(found, "1.0")) ?? "", /^<\/3>;ver="1.1";/);
});
test("a root of the device's own, links to elsewhere, and attributes that make no sense", () => {
  const text = '</lwm2m/5/0>;dim=many;pmin=-1,</lwm2m/5/0/3>;pmin="5",</lwm2m/3/0>,</5/0/5>,</lwm2m/5/0/x>,</lwm2m>';
  assert.deepEqual(decodeDiscover(encodeUtf8(text), [5, 0], ["lwm2m"]), [
    at([5, 0]),
    at([5, 0, 3], { attributes: { pmin: 5 } }),
  ]);
});
