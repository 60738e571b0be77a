import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../world.ts";
import { SimulatedFirmware } from "./simulated-firmware.ts";
import { TEMPERS, temperOf } from "./temper.ts";

test("each temper has its share of the fleet, and the same seed draws the same fleet", () => {
  const draw = (seed: number) => {
    const random = seeded(seed);
    const shares = { silent: 0.01, fallsBack: 0.02, slow: 0.03, sleeping: 0.1, losesPower: 0.2 };
    return Array.from({ length: 10_000 }, () => temperOf(shares, random));
  };
  const fleet = draw(5);
  assert.deepEqual(fleet, draw(5));
  const shareOf = (temper: string) => fleet.filter((one) => one === temper).length / fleet.length;
  for (const [i, expected] of [0.01, 0.02, 0.03, 0.1, 0.2].entries())
    assert.ok(Math.abs(shareOf(TEMPERS[i] ?? "") - expected) < 0.02, TEMPERS[i]);
  assert.ok(Math.abs(shareOf("steady") - 0.64) < 0.02);
});

test("a device that falls back runs its old firmware after the first start of any image", () => {
  const firmware = new SimulatedFirmware({ version: "1.0.0", failShare: 0, temper: "fallsBack", random: seeded(1) });
  firmware.handlers.openStream({});
  firmware.handlers.write(Uint8Array.of(1));
  firmware.handlers.finish();
  firmware.handlers.performUpgrade();
  firmware.restart();
  assert.equal(firmware.version, "1.0.0");
});
