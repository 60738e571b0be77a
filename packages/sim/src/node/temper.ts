/** How a simulated device behaves for as long as it lives. */
import type { Random } from "@airlift/protocol/lib/core";

/**
 * `silent`: goes off the air with its first installation and never comes back · `fallsBack`: every new image fails its first start ·
 * `slow`: writes a block in `SLOW_WRITE_MS` and restarts as slowly · `sleeping`: registers in queue mode · `losesPower`: once in
 * each download.
 */
export const TEMPERS = ["silent", "fallsBack", "slow", "sleeping", "losesPower"] as const;

export type Temper = (typeof TEMPERS)[number] | "steady";

/** Share of the fleet by temper, 0 … 1 each; what is left is steady. */
export type TemperShares = Readonly<Partial<Record<(typeof TEMPERS)[number], number>>>;

/** What one write to a slow flash takes. */
export const SLOW_WRITE_MS = 50;

/** Draws a device's temper. */
export function temperOf(shares: TemperShares, random: Random): Temper {
  let chance = random();
  for (const temper of TEMPERS) {
    chance -= shares[temper] ?? 0;
    if (chance < 0) return temper;
  }
  return "steady";
}
