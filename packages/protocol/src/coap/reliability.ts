/** Retransmission of confirmable messages (RFC 7252 §4.2). Pure: no socket, no clock, no randomness of its own. */
import type { Core, Random } from "../lib/core.ts";
import { Deadlines } from "../lib/deadlines.ts";
import type { TransmissionParameters } from "./transmission.ts";

/** `Key` names one transmission: any value that is the same value again, such as an object. */
export type ReliabilityInput<Key> =
  | { readonly kind: "sent"; readonly key: Key; readonly parameters: TransmissionParameters }
  | { readonly kind: "settled"; readonly key: Key }
  | { readonly kind: "wake" };

export type ReliabilityOutput<Key> =
  | { readonly kind: "retransmit"; readonly key: Key; readonly retransmissionCount: number }
  | { readonly kind: "noAnswer"; readonly key: Key };

interface Pending {
  readonly parameters: TransmissionParameters;
  retransmissionCount: number;
  timeoutMs: number;
}

export class Reliability<Key> implements Core<ReliabilityInput<Key>, ReliabilityOutput<Key>> {
  readonly #pending = new Map<Key, Pending>();
  readonly #deadlines = new Deadlines<Key>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  get wakeAtMs(): number | undefined {
    return this.#deadlines.earliestMs;
  }

  get size(): number {
    return this.#pending.size;
  }

  step(input: ReliabilityInput<Key>, nowMs: number): ReliabilityOutput<Key>[] {
    if (input.kind === "sent") this.#start(input.key, input.parameters, nowMs);
    else if (input.kind === "settled") this.#forget(input.key);
    else return this.#retransmitDue(nowMs);
    return [];
  }

  #start(key: Key, parameters: TransmissionParameters, nowMs: number): void {
    const { ackTimeoutMs, ackRandomFactor } = parameters;
    const timeoutMs = ackTimeoutMs * (1 + (ackRandomFactor - 1) * this.#random());
    this.#pending.set(key, { parameters, retransmissionCount: 0, timeoutMs });
    this.#deadlines.set(key, nowMs + timeoutMs);
  }

  #forget(key: Key): void {
    if (this.#pending.delete(key)) this.#deadlines.delete(key);
  }

  #retransmitDue(nowMs: number): ReliabilityOutput<Key>[] {
    const outputs: ReliabilityOutput<Key>[] = [];
    for (let key = this.#deadlines.popDue(nowMs); key !== undefined; key = this.#deadlines.popDue(nowMs)) {
      const pending = this.#pending.get(key) as Pending;
      if (pending.retransmissionCount === pending.parameters.maxRetransmit) {
        this.#pending.delete(key);
        outputs.push({ kind: "noAnswer", key });
        continue;
      }
      pending.retransmissionCount += 1;
      pending.timeoutMs *= 2;
      // Counted from now, not from when it was due: a late wake must not turn into a burst of what was missed.
      this.#deadlines.set(key, nowMs + pending.timeoutMs);
      outputs.push({ kind: "retransmit", key, retransmissionCount: pending.retransmissionCount });
    }
    return outputs;
  }
}
