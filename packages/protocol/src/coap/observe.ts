/** Which of two notifications is the newer (RFC 7641 §3.4). */

/** How long sequence numbers can be compared; later, whatever arrives is newer. */
const COMPARABLE_MS = 128_000;
const HALF_OF_SEQUENCE = 2 ** 23;

/** Values of the Observe option in a request. @see RFC 7641 §2 */
export const OBSERVE = { register: 0, deregister: 1 } as const;

/** Sequence numbers have 24 bits. @see RFC 7641 §4.4 */
export const OBSERVE_MODULUS = 2 ** 24;

/** A notification's sequence number (0 … 2²⁴ − 1) and when it came. */
export interface Freshness {
  readonly sequence: number;
  readonly atMs: number;
}

/** Whether `next` reports a later state than `last`; an older one is to be dropped. */
export function isFresher(last: Freshness, next: Freshness): boolean {
  if (next.atMs > last.atMs + COMPARABLE_MS) return true;
  const ahead = next.sequence - last.sequence;
  return (ahead > 0 && ahead < HALF_OF_SEQUENCE) || (ahead < 0 && -ahead > HALF_OF_SEQUENCE);
}
