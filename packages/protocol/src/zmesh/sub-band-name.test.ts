import assert from "node:assert/strict";
import { test } from "node:test";
import { SUB_BANDS } from "./regions.ts";
import { edgesIn, gatewayBandFault, subBandFault, WIRED } from "./sub-band-name.ts";

test("§7: the name of each sub-band of the table says its edges", () => {
  for (const { name, fromKhz, toKhz } of SUB_BANDS) {
    assert.deepEqual(edgesIn(name), { fromKhz, toKhz });
    assert.equal(subBandFault(name), undefined);
  }
});

test("a sub-band of an operator's own is taken when radios below 1 GHz can send there", () => {
  for (const name of ["917.0-923.5", "920-928", "470.3-489.3/cn", "169.4-169.475"])
    assert.equal(subBandFault(name), undefined);
  for (const name of [
    "",
    "868",
    "868.0-",
    "868.6-868.0",
    "868.0-868.0",
    "999-1000",
    "0-1",
    "2400-2483.5",
    "868.0-868.6 ",
    "868.0-868.6x",
    "-868.0-868.6",
    "NaN-868",
    "1e3-1e4",
    "868.0-868.6/",
    "868.00001-868.6",
    "north",
    "\u0000",
  ])
    assert.notEqual(subBandFault(name), undefined, name);
});

test("§7: a gateway may send on a wire, and where one limit is for all that it sends", () => {
  assert.equal(gatewayBandFault(WIRED), undefined);
  for (const { name, scope } of SUB_BANDS)
    assert.equal(gatewayBandFault(name) === undefined, scope === "transmitter", name);
});
