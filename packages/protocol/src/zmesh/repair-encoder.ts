/** Makes parity chunks: the sum modulo 2 of the ciphertext payloads that a row covers. Needs no key. */
import { UsageError } from "../lib/errors.ts";
import type { RepairRows } from "./repair-rows.ts";

export class RepairEncoder {
  readonly payloadBytes: number;
  readonly #rows: RepairRows;
  readonly #payloads: readonly Uint32Array[];

  /**
   * @param payloads The ciphertext payloads of chunks 1 … K, of one length, a multiple of 8; copied.
   * @throws {UsageError} `PAYLOAD_SIZE` when they are not.
   */
  constructor(rows: RepairRows, payloads: readonly Uint8Array[]) {
    this.#rows = rows;
    this.payloadBytes = payloads[0]?.length ?? 0;
    const isFit = (payload: Uint8Array) => payload.length === this.payloadBytes && payload.length % 8 === 0;
    if (this.payloadBytes === 0 || !payloads.every(isFit))
      throw new UsageError("PAYLOAD_SIZE", "payloads have one length, a multiple of 8");
    this.#payloads = payloads.map((payload) => new Uint32Array(payload.slice().buffer));
  }

  /** Parity chunk n, n = 1, 2, … */
  parity(n: number): Uint8Array<ArrayBuffer> {
    const isMember = this.#rows(n);
    const sum = new Uint32Array(this.payloadBytes / 4);
    for (let i = 0; i < this.#payloads.length; i += 1) {
      if (!isMember(i + 1)) continue;
      const payload = this.#payloads[i] as Uint32Array;
      for (let word = 0; word < sum.length; word += 1) sum[word] = (sum[word] as number) ^ (payload[word] as number);
    }
    return new Uint8Array(sum.buffer);
  }
}
