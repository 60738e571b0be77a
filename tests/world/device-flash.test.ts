/** Power cuts at every operation of the flash, and flash that is full, under a whole device: core, slots and boot. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createSlots } from "@airlift/device/node/slots";
import type { Flash, Loss } from "@airlift/sim/flash";
import { seeded } from "@airlift/sim/world";
import { cutPower } from "./power-cuts.ts";
import { createDevice, isPowerCut, Stuck, updateTo, type Wish } from "./updating-device.ts";

const SEED = Number(process.env["POWER_CUT_SEED"] ?? 1);
const WISHES: readonly Wish[] = [
  { wanted: 2, by: "pull" },
  { wanted: 2, by: "push" },
];

async function countOperations(wish: Wish): Promise<number> {
  const flash = await createDevice();
  const counts: number[] = [];
  const restart = flash.restart.bind(flash);
  flash.restart = (loss) => {
    counts.push(flash.operationCount);
    restart(loss);
  };
  await updateTo(flash, wish);
  return counts.reduce((sum, count) => sum + count, flash.operationCount);
}

/** The power goes at one operation; then the same update, and the next one, are made without a cut. */
async function cutAt(at: number, wish: Wish, loss: Loss): Promise<void> {
  const flash = await createDevice();
  flash.cutAt = at;
  await assert.rejects(updateTo(flash, wish), isPowerCut, `operation ${at}`);
  flash.restart(loss);
  await updateTo(flash, wish);
  flash.restart("kept");
  await updateTo(flash, { ...wish, wanted: 3 });
}

for (const wish of WISHES) {
  test(`a power cut at every operation of an update by ${wish.by}: whole, true, and the next updates work`, async () => {
    const count = await countOperations(wish);
    assert.ok(count > 60, `${count} operations`);
    for (let at = 0; at < count; at += 1) {
      await cutAt(at, wish, "lost");
      await cutAt(at, wish, "kept");
      await cutAt(at, wish, seeded(SEED + at));
    }
  });
}

test(`seeded power cuts, in updates and in the recovery from others (POWER_CUT_SEED=${SEED})`, async () => {
  const { cuts, bricks } = await cutPower(1_000, SEED);
  assert.deepEqual(bricks, []);
  assert.ok(cuts >= 1_000);
});

const CAPACITY_BYTES = 10_000;

/** Leaves `roomBytes` of the flash to the device. */
async function fill(flash: Flash, roomBytes: number): Promise<void> {
  const names = ["a/image", "b/image", "state-0", "state-1"];
  const usedBytes = names.reduce((sum, name) => sum + (flash.peek(name)?.length ?? 0), 0);
  const filler = await flash.open("filler", "create");
  await filler?.write(0, new Uint8Array(CAPACITY_BYTES - usedBytes - roomBytes));
  await filler?.sync();
  await flash.syncFolderOf("filler");
}

test("flash with too little room, whatever it is: the old image runs, and it says noFlash", async () => {
  const outcomes = new Set<string>();
  for (const wish of WISHES) {
    for (let roomBytes = 0; roomBytes <= 3_000; roomBytes += 50) {
      const flash = await createDevice(CAPACITY_BYTES);
      await fill(flash, roomBytes);
      const outcome = await updateTo(flash, wish).then(
        () => "updated",
        (error) => (error instanceof Stuck ? error.outcome : Promise.reject(error)),
      );
      outcomes.add(outcome);
      flash.restart("kept");
      const slots = createSlots({ directory: flash, trust: "allow-unsigned" });
      assert.equal((await slots.boot()).outcome, "unchanged", `${roomBytes} octets: ${outcome}`);
      assert.equal(slots.version(), outcome === "updated" ? "2.0.0" : "1.0.0", `${roomBytes} octets: ${outcome}`);
    }
  }
  assert.ok(outcomes.has("updated") && outcomes.has("1.0.0 idle noFlash"), [...outcomes].join("; "));
  for (const outcome of outcomes) assert.match(outcome, /^(updated|1\.0\.0 (idle|downloaded) (noFlash|failed))$/);
});
