/** Each record is accepted once (RFC 6347 §4.1.2.6, RFC 4303 §3.4.3). */

/** The last 64 sequence numbers as bits in two halves, small enough to lie in every session. */
export interface ReplayWindow {
  /** The highest sequence number accepted; −1 before the first. */
  newest: number;
  /** Bit n: `newest` − n was accepted, n = 0 … 31. */
  recent: number;
  /** Bit n: `newest` − 32 − n. */
  older: number;
}

const HALF = 32;

export function createReplayWindow(): ReplayWindow {
  return { newest: -1, recent: 0, older: 0 };
}

/** Whether a record with this number may still be accepted: newer than all, or within the window and not yet seen. */
export function isFresh(window: ReplayWindow, sequence: number): boolean {
  const age = window.newest - sequence;
  if (age < 0) return true;
  if (age >= 2 * HALF) return false;
  return ((age < HALF ? window.recent >>> age : window.older >>> (age - HALF)) & 1) === 0;
}

/** Notes a record whose tag was right. Whether it is the newest of all: only such a one may move the peer's address. */
export function accept(window: ReplayWindow, sequence: number): boolean {
  const age = window.newest - sequence;
  if (age < 0) {
    shift(window, window.newest < 0 ? 2 * HALF : -age);
    window.recent = (window.recent | 1) >>> 0;
    window.newest = sequence;
    return true;
  }
  if (age < HALF) window.recent = (window.recent | (1 << age)) >>> 0;
  else if (age < 2 * HALF) window.older = (window.older | (1 << (age - HALF))) >>> 0;
  return false;
}

function shift(window: ReplayWindow, by: number): void {
  if (by >= HALF) {
    window.older = by >= 2 * HALF ? 0 : (window.recent << (by - HALF)) >>> 0;
    window.recent = 0;
    return;
  }
  window.older = ((window.older << by) | (window.recent >>> (HALF - by))) >>> 0;
  window.recent = (window.recent << by) >>> 0;
}
