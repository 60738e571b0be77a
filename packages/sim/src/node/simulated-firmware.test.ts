import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../world.ts";
import { SimulatedFirmware } from "./simulated-firmware.ts";

const OPENED = {};

test("a raw image is known by its digest; an empty one is none", async () => {
  const firmware = new SimulatedFirmware({ version: "1.0.0", failShare: 0, random: seeded(1) });
  firmware.handlers.openStream(OPENED);
  assert.throws(() => firmware.handlers.finish(), { result: "unsupportedPackage" });
  firmware.handlers.openStream(OPENED);
  firmware.handlers.write(Uint8Array.of(1, 2, 3));
  firmware.handlers.finish();
  assert.equal(firmware.handlers.packageVersion?.(), "sha256:039058c6f2c0");
  assert.equal(firmware.handlers.performUpgrade(), "restarting");
  firmware.restart();
  assert.equal(firmware.version, "sha256:039058c6f2c0");
});

test("an image that is not confirmed falls back with the next restart", async () => {
  const firmware = new SimulatedFirmware({ version: "1.0.0", failShare: 0, random: seeded(1) });
  firmware.handlers.openStream(OPENED);
  firmware.handlers.write(Uint8Array.of(1));
  firmware.handlers.finish();
  firmware.handlers.performUpgrade();
  firmware.restart();
  firmware.restart();
  assert.equal(firmware.version, "1.0.0");
  assert.deepEqual(await firmware.store.load(), { state: "idle", result: "failed", uri: "" });
});

test("updates that are to go wrong do so in all three ways, and never run the new version", async () => {
  const firmware = new SimulatedFirmware({ version: "1.0.0", failShare: 0.999_999, random: seeded(2) });
  const ways = new Set<string>();
  for (let i = 0; i < 30; i += 1) {
    firmware.handlers.openStream(OPENED);
    firmware.handlers.write(Uint8Array.of(i));
    try {
      firmware.handlers.finish();
      try {
        firmware.handlers.performUpgrade();
        firmware.restart();
        ways.add((await firmware.store.load()).result);
      } catch {
        ways.add("refused");
      }
    } catch {
      ways.add("integrityFailed");
    }
    assert.equal(firmware.version, "1.0.0");
  }
  assert.deepEqual([...ways].sort(), ["failed", "integrityFailed", "refused"]);
});
