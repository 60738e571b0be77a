/** Which device is in which wave: the same answer for the same campaign, whoever asks. */

import type { CampaignPolicy, WavePolicy } from "./policy.ts";
import type { DeviceFacts } from "./query/ast.ts";
import { matches } from "./query/match.ts";

/**
 * A device's turn within a campaign, 0 … 2³² − 1: evenly spread, and different for each seed, so that the same devices are not always the
 * first. FNV-1a over the UTF-16 code units of `seed/endpoint`, then mixed as MurmurHash3 does at its end.
 */
export function orderKey(seed: string, endpoint: string): number {
  let hash = 0x811c9dc5;
  const text = `${seed}/${endpoint}`;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The wave whose query a device matches first; undefined = it is dealt out by its turn. */
export function queriedWave(waves: readonly WavePolicy[], device: DeviceFacts, utcMs: number): number | undefined {
  const found = waves.findIndex(({ share }) => share.kind === "query" && matches(share.query, device, utcMs));
  return found < 0 ? undefined : found;
}

/**
 * How many devices each wave gets, by number. Percentages are of all targets; what is asked for beyond what is there comes out short, and
 * what rounding leaves over goes to the last wave that is no query.
 *
 * @param queriedCounts Devices that each wave's query took.
 * @param total All targets, those included.
 */
export function waveSizes(waves: readonly WavePolicy[], queriedCounts: readonly number[], total: number): number[] {
  let left =
    total - waves.reduce((sum, { share }, i) => sum + (share.kind === "query" ? (queriedCounts[i] ?? 0) : 0), 0);
  const sizes = waves.map(({ share }, i) => {
    if (share.kind === "query") return queriedCounts[i] ?? 0;
    const wanted =
      share.kind === "remaining"
        ? left
        : share.kind === "count"
          ? share.count
          : Math.round((total * share.basisPoints) / 10_000);
    const size = Math.min(left, wanted);
    left -= size;
    return size;
  });
  const last = waves.findLastIndex(({ share }) => share.kind !== "query");
  if (last >= 0) sizes[last] = (sizes[last] ?? 0) + left;
  return sizes;
}

/** What is needed of a device to deal it out. */
export interface DealtDevice {
  readonly endpoint: string;
  readonly orderKey: number;
  /** `queriedWave`. */
  readonly wave: number | undefined;
}

/**
 * Deals devices out into waves: `result[i]` is the wave of `devices[i]`. Sorts by turn, so a million take about a second; a store may do
 * the same with one ORDER BY (order_key, endpoint) and `waveSizes`.
 */
export function dealWaves(
  waves: readonly WavePolicy[],
  devices: readonly DealtDevice[],
): { readonly waveOf: Uint8Array; readonly sizes: readonly number[] } {
  const queriedCounts = waves.map(() => 0);
  for (const { wave } of devices) if (wave !== undefined) queriedCounts[wave] = (queriedCounts[wave] ?? 0) + 1;
  const sizes = waveSizes(waves, queriedCounts, devices.length);
  const rest = devices.flatMap(({ wave }, i) => (wave === undefined ? [i] : []));
  rest.sort((a, b) => compareTurns(devices[a], devices[b]));
  const waveOf = Uint8Array.from(devices, ({ wave }) => wave ?? 0);
  let next = 0;
  waves.forEach(({ share }, wave) => {
    if (share.kind === "query") return;
    for (const i of rest.slice(next, next + (sizes[wave] ?? 0))) waveOf[i] = wave;
    next += sizes[wave] ?? 0;
  });
  return { waveOf, sizes };
}

/** The wave of a device that joins later: its query's, else the last one. */
export function lateWave(policy: CampaignPolicy, device: DeviceFacts, utcMs: number): number {
  return queriedWave(policy.waves, device, utcMs) ?? policy.waves.length - 1;
}

/** By turn, then by name. */
function compareTurns(a: DealtDevice | undefined, b: DealtDevice | undefined): number {
  if (!a || !b) return 0;
  return a.orderKey - b.orderKey || (a.endpoint < b.endpoint ? -1 : 1);
}
