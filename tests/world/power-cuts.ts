/** Power cuts by the seed: how many there were, and that none of them was the end of a device. */
import { seeded } from "@airlift/sim/world";
import { createDevice, isPowerCut, updateTo, type Wish } from "./updating-device.ts";

/** Cuts in each of two updates of a device; after them it gets the update without one. */
const CUTS_PER_UPDATE = 5;
/** Operations of the flash in one update, more or less: a cut falls within. */
const OPERATIONS = 100;

/** What is as broken as this need not be looked at any longer. */
const ENOUGH_BRICKS = 100;

export interface PowerCutCount {
  readonly cuts: number;
  readonly devices: number;
  /** Seeds of devices that did not come back, told something untrue, or got no update any more; with the reason. */
  readonly bricks: readonly { readonly seed: number; readonly reason: string }[];
}

/** At least `count` cuts, from `seed` on. */
export async function cutPower(count: number, seed: number): Promise<PowerCutCount> {
  const bricks: { seed: number; reason: string }[] = [];
  let cuts = 0;
  let devices = 0;
  for (; cuts < count && bricks.length < ENOUGH_BRICKS; devices += 1) {
    const outcome = await cutOneDevice(seed + devices);
    cuts += outcome.cuts;
    if (outcome.reason !== undefined) bricks.push({ seed: seed + devices, reason: outcome.reason });
  }
  return { cuts, devices, bricks };
}

async function cutOneDevice(seed: number): Promise<{ cuts: number; reason?: string }> {
  const random = seeded(seed);
  let cuts = 0;
  try {
    const flash = await createDevice();
    for (const wanted of [2, 3] as const) {
      const wish: Wish = { wanted, by: random() < 0.5 ? "pull" : "push" };
      for (let tries = 0; tries < CUTS_PER_UPDATE; tries += 1) {
        flash.cutAt = Math.floor(random() * OPERATIONS);
        const isCut = await updateTo(flash, wish).then(() => false, rethrowUnlessCut);
        flash.restart(random);
        if (!isCut) break;
        cuts += 1;
      }
      await updateTo(flash, wish);
      flash.restart(random);
    }
    return { cuts };
  } catch (error) {
    return { cuts, reason: String(error) };
  }
}

function rethrowUnlessCut(error: unknown): true {
  if (isPowerCut(error)) return true;
  throw error;
}
