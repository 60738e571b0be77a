/** How long one side of a handshake waits: retransmission, look-ups, suspicions (RFC 6347 §4.2.4). */
import type { HandshakeTiming } from "./handshake-types.ts";
import type { Reason } from "./reasons.ts";

/** What is due: the flight again, or the end. */
export type Due = "retransmit" | "lookUpFailed" | "noAnswer" | Reason;

export class Patience {
  readonly #timing: HandshakeTiming;
  #timeoutMs: number;
  #retransmissionCount = 0;
  #isAsking = false;
  #suspicion: Reason | undefined;
  #dueAtMs: number | undefined;

  constructor(timing: HandshakeTiming) {
    this.#timing = timing;
    this.#timeoutMs = timing.retransmitMs;
  }

  get wakeAtMs(): number | undefined {
    return this.#dueAtMs;
  }

  /** How often the present flight was sent again. */
  get retransmissionCount(): number {
    return this.#retransmissionCount;
  }

  /** Whether somebody is looking a credential up. */
  get isAsking(): boolean {
    return this.#isAsking;
  }

  /** A new flight went out. */
  begin(nowMs: number): void {
    this.#timeoutMs = this.#timing.retransmitMs;
    this.#retransmissionCount = 0;
    this.#dueAtMs = nowMs + this.#timeoutMs;
  }

  ask(nowMs: number): void {
    this.#isAsking = true;
    this.#dueAtMs = nowMs + this.#timing.lookUpMs;
  }

  answered(nowMs: number): void {
    this.#isAsking = false;
    this.#dueAtMs = nowMs + this.#timeoutMs;
  }

  /** A reason to give up that anybody could have made up: it counts if nothing better comes for a while. */
  suspect(reason: Reason, nowMs: number): void {
    if (this.#suspicion || this.#isAsking) return;
    this.#suspicion = reason;
    const latestMs = nowMs + this.#timing.suspicionMs;
    this.#dueAtMs = Math.min(this.#dueAtMs ?? latestMs, latestMs);
  }

  /** The handshake went on. */
  trust(): void {
    this.#suspicion = undefined;
  }

  end(): void {
    this.#dueAtMs = undefined;
  }

  /** What is due now, once; the next timeout is twice as long. */
  take(nowMs: number): Due | undefined {
    if (this.#dueAtMs === undefined || nowMs < this.#dueAtMs) return undefined;
    if (this.#isAsking) return "lookUpFailed";
    if (this.#suspicion) return this.#suspicion;
    if (this.#retransmissionCount >= this.#timing.retransmissions) return "noAnswer";
    this.#retransmissionCount += 1;
    this.#timeoutMs = Math.min(2 * this.#timeoutMs, this.#timing.maxRetransmitMs);
    this.#dueAtMs = nowMs + this.#timeoutMs;
    return "retransmit";
  }
}
