/** How long a frame is on air, and how far apart packets have to be. Source: profile 5, 7. */
import { FRAME_OVERHEAD_BYTES } from "./frame.ts";

/** Preamble 3, sync word 2, length 1: what the radio puts before a frame. */
export const PHY_OVERHEAD_BYTES = 6;

/** 2-GFSK at 433, 868 and 915 MHz. */
export const DEFAULT_RATE_BPS = 50_000;
/** No radio for a mesh is slower or faster. */
export const LEAST_RATE_BPS = 100;
export const MOST_RATE_BPS = 10_000_000;

/** Milliseconds on air of a frame with this payload, without a NetID. */
export function airtimeMs(payloadBytes: number, rateBps: number = DEFAULT_RATE_BPS): number {
  return (8000 * (PHY_OVERHEAD_BYTES + FRAME_OVERHEAD_BYTES + payloadBytes)) / rateBps;
}

/** What keeps packets apart. */
export interface PacingLimits {
  /** Until the slowest target has programmed a chunk. */
  readonly flashMs: number;
  /** One hop of a relay, 0 without relays; three of them fit between two packets. */
  readonly hopMs: number;
  /** What the operator wants at least. */
  readonly leastGapMs: number;
}

/** Milliseconds between the beginnings of two packets. */
export function gapMs(limits: PacingLimits, packetMs: number): number {
  return Math.max(packetMs + limits.flashMs, 3 * limits.hopMs, limits.leastGapMs, packetMs);
}
