/** Retransmission of confirmable messages (RFC 7252 §4.2). Pure: no socket, no clock, no randomness of its own. */
import type { Core, Random } from "../lib/core.ts";

/** Timing of one CoAP endpoint (RFC 7252 §4.8). */
export interface TransmissionParameters {
  readonly ackTimeoutMs: number;
  /** Upper bound of the first timeout as a factor of `ackTimeoutMs`; at least 1. */
  readonly ackRandomFactor: number;
  readonly maxRetransmit: number;
}

/** The defaults of RFC 7252 §4.8: a silent peer is given up after 62 … 93 s. */
export const DEFAULT_TRANSMISSION: TransmissionParameters = {
  ackTimeoutMs: 2_000,
  ackRandomFactor: 1.5,
  maxRetransmit: 4,
};

export type ReliabilityInput =
  | { readonly kind: "send"; readonly messageId: number; readonly datagram: Uint8Array }
  | { readonly kind: "acknowledged" | "rejected"; readonly messageId: number }
  | { readonly kind: "wake" };

export type ReliabilityOutput =
  | { readonly kind: "transmit"; readonly datagram: Uint8Array }
  | { readonly kind: "delivered"; readonly messageId: number }
  | { readonly kind: "failed"; readonly messageId: number; readonly reason: "rejected" | "noAnswer" };

interface Pending {
  datagram: Uint8Array;
  retransmissions: number;
  timeoutMs: number;
  dueAtMs: number;
}

export class Reliability implements Core<ReliabilityInput, ReliabilityOutput> {
  readonly #pending = new Map<number, Pending>();
  readonly #parameters: TransmissionParameters;
  readonly #random: Random;

  constructor(parameters: TransmissionParameters, random: Random) {
    this.#parameters = parameters;
    this.#random = random;
  }

  get wakeAtMs(): number | undefined {
    let earliest: number | undefined;
    for (const { dueAtMs } of this.#pending.values())
      if (earliest === undefined || dueAtMs < earliest) earliest = dueAtMs;
    return earliest;
  }

  step(input: ReliabilityInput, nowMs: number): ReliabilityOutput[] {
    switch (input.kind) {
      case "send":
        return this.#send(input.messageId, input.datagram, nowMs);
      case "acknowledged":
        return this.#settle(input.messageId, { kind: "delivered", messageId: input.messageId });
      case "rejected":
        return this.#settle(input.messageId, { kind: "failed", messageId: input.messageId, reason: "rejected" });
      case "wake":
        return this.#retransmitDue(nowMs);
    }
  }

  #send(messageId: number, datagram: Uint8Array, nowMs: number): ReliabilityOutput[] {
    const { ackTimeoutMs, ackRandomFactor } = this.#parameters;
    const timeoutMs = ackTimeoutMs * (1 + (ackRandomFactor - 1) * this.#random());
    this.#pending.set(messageId, { datagram, retransmissions: 0, timeoutMs, dueAtMs: nowMs + timeoutMs });
    return [{ kind: "transmit", datagram }];
  }

  /** An answer to a message that is no longer pending is a duplicate and changes nothing (§4.2). */
  #settle(messageId: number, outcome: ReliabilityOutput): ReliabilityOutput[] {
    return this.#pending.delete(messageId) ? [outcome] : [];
  }

  #retransmitDue(nowMs: number): ReliabilityOutput[] {
    const outputs: ReliabilityOutput[] = [];
    for (const [messageId, pending] of this.#pending) {
      if (pending.dueAtMs > nowMs) continue;
      if (pending.retransmissions === this.#parameters.maxRetransmit) {
        this.#pending.delete(messageId);
        outputs.push({ kind: "failed", messageId, reason: "noAnswer" });
        continue;
      }
      pending.retransmissions += 1;
      pending.timeoutMs *= 2;
      pending.dueAtMs += pending.timeoutMs;
      outputs.push({ kind: "transmit", datagram: pending.datagram });
    }
    return outputs;
  }
}
