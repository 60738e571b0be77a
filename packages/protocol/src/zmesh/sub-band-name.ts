/** Names of sub-bands: their edges in MHz, and behind a stroke what tells two of the same edges apart: "868.0-868.6", "869.7-870.0/5mW". */
import { SUB_BANDS } from "./regions.ts";

/** In the place of a sub-band where links are no radio: no law limits them. */
export const WIRED = "wired";
/** What radios below 1 GHz can be set to. */
export const LEAST_KHZ = 137_000;
export const MOST_KHZ = 960_000;

/** Where a sub-band begins and ends. */
export interface BandEdges {
  readonly fromKhz: number;
  readonly toKhz: number;
}

/** The edges that a name says; undefined when it says none. At most three decimals, so whole kHz. */
export function edgesIn(name: string): BandEdges | undefined {
  const [, from, to] = /^(\d{1,4}(?:\.\d{1,3})?)-(\d{1,4}(?:\.\d{1,3})?)(?:\/\S+)?$/.exec(name) ?? [];
  if (from === undefined || to === undefined) return undefined;
  return { fromKhz: Math.round(Number(from) * 1000), toKhz: Math.round(Number(to) * 1000) };
}

/** Why no sub-band has this name; undefined when one may, of these tables or of an operator's own. */
export function subBandFault(name: string): string | undefined {
  const edges = edgesIn(name);
  if (edges === undefined) return `${name} says no edges in MHz, as 868.0-868.6 does`;
  if (edges.toKhz <= edges.fromKhz) return `${name} ends before it begins`;
  if (edges.fromKhz < LEAST_KHZ || edges.toKhz > MOST_KHZ)
    return `${name} is not within ${LEAST_KHZ / 1000} … ${MOST_KHZ / 1000} MHz, where these radios send`;
  return undefined;
}

/** Why no gateway can send in a sub-band of this name. */
export function gatewayBandFault(name: string): string | undefined {
  if (name === WIRED) return undefined;
  if (SUB_BANDS.find((band) => band.name === name)?.scope === "channel")
    return `${name} has a limit for each channel, and gateways do not hop`;
  return subBandFault(name);
}
