/** A relay: sends each frame of its network on once, with one hop less. Source: Z-Mesh transport layer, "Relaying"; profile 5. */
import { toHex } from "../lib/bytes.ts";
import { decodeFrame, type FrameKeys, relayFrame } from "./frame.ts";
import { Refusals } from "./refusals.ts";

/** Echoes of a frame come back within its seven hops; after that, the same frame is a repeat that somebody wants to arrive. */
export const DEFAULT_ECHO_MS = 100;
/** Frames remembered at a time: what 100 ms of 50 kb/s can hold, many times over. */
export const DEFAULT_MAX_ECHOES = 256;

export interface RelayOptions {
  readonly echoMs?: number;
  readonly maxEchoes?: number;
}

export class Relay {
  /** Frames of strangers, and damaged ones. */
  readonly refusals = new Refusals();
  readonly #keys: FrameKeys;
  readonly #echoMs: number;
  readonly #maxEchoes: number;
  /** When each was sent on, the one sent first comes first. */
  readonly #sentAtMs = new Map<string, number>();

  constructor(keys: FrameKeys, { echoMs = DEFAULT_ECHO_MS, maxEchoes = DEFAULT_MAX_ECHOES }: RelayOptions = {}) {
    this.#keys = keys;
    this.#echoMs = echoMs;
    this.#maxEchoes = maxEchoes;
  }

  /** Frames that are remembered. */
  get echoCount(): number {
    return this.#sentAtMs.size;
  }

  /** The frame as it is to be sent on; `undefined` for an echo, one without a hop left, and what is no frame of this network. */
  take(bytes: Uint8Array, nowMs: number): Uint8Array<ArrayBuffer> | undefined {
    // Not before the MAC: else a stranger's frame would keep the genuine one from being sent on.
    const frame = this.refusals.guard(() => decodeFrame(bytes, this.#keys));
    if (frame === undefined) return undefined;
    const relayed = relayFrame(bytes);
    this.#forget(nowMs);
    const key = `${frame.kind} ${toHex(frame.name)} ${frame.fseq}`;
    if (relayed === undefined || this.#sentAtMs.has(key)) return undefined;
    this.#sentAtMs.set(key, nowMs);
    return relayed;
  }

  #forget(nowMs: number): void {
    for (const [key, atMs] of this.#sentAtMs) {
      if (atMs + this.#echoMs > nowMs && this.#sentAtMs.size < this.#maxEchoes) return;
      this.#sentAtMs.delete(key);
    }
  }
}
