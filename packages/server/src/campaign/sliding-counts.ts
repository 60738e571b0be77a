/** How many devices ended within the last so many minutes, and how many of them badly: a ring of slots, O(1) each. */

/** `slots[i]` counts the ends of the slot number `newest - i`; a slot is a sixteenth of the window. */
export interface SlidingCounts {
  /** Number of the newest slot since the epoch. */
  readonly newest: number;
  readonly slots: readonly { readonly executed: number; readonly matched: number }[];
}

const SLOT_COUNT = 16;

export const NO_SLIDING_COUNTS: SlidingCounts = { newest: 0, slots: [] };

/** Counts one end at `utcMs`. A clock that went back counts into the newest slot. */
export function countEnd(
  counts: SlidingCounts,
  { windowMs, matched }: { windowMs: number; matched: boolean },
  utcMs: number,
): SlidingCounts {
  const moved = moveTo(counts, windowMs, utcMs);
  const [first = { executed: 0, matched: 0 }, ...rest] = moved.slots;
  return {
    newest: moved.newest,
    slots: [{ executed: first.executed + 1, matched: first.matched + Number(matched) }, ...rest],
  };
}

/** What the window holds; its edge is up to a sixteenth of it too late. */
export function within(counts: SlidingCounts, windowMs: number, utcMs: number): { executed: number; matched: number } {
  return moveTo(counts, windowMs, utcMs).slots.reduce(
    (sum, slot) => ({ executed: sum.executed + slot.executed, matched: sum.matched + slot.matched }),
    { executed: 0, matched: 0 },
  );
}

function moveTo(counts: SlidingCounts, windowMs: number, utcMs: number): SlidingCounts {
  const slotMs = Math.max(1, Math.ceil(windowMs / SLOT_COUNT));
  const newest = Math.max(counts.newest, Math.floor(utcMs / slotMs));
  const skipped = Math.min(newest - counts.newest, SLOT_COUNT);
  if (skipped === 0) return counts.slots.length > 0 ? counts : { newest, slots: [{ executed: 0, matched: 0 }] };
  const empty = Array.from({ length: skipped }, () => ({ executed: 0, matched: 0 }));
  return { newest, slots: [...empty, ...counts.slots].slice(0, SLOT_COUNT) };
}
