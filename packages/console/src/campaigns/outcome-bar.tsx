/** Where the devices of a wave or campaign stand: a bar that is never without its numbers. */
import type { WaveCounts } from "@airlift/protocol/api/campaign";

/** In the order of the bar, with what the colour means in words. */
const PARTS = [
  ["succeeded", "succeeded"],
  ["held", "waiting for the word to apply"],
  ["active", "under way"],
  ["failed", "failed"],
  ["fellBack", "fell back"],
  ["silent", "silent"],
  ["cancelled", "cancelled"],
  ["skipped", "skipped"],
  ["pending", "not begun"],
] as const;

const FAILURES_SHOWN = 4;

export const failedCount = ({ failed }: WaveCounts): number =>
  Object.values(failed).reduce((sum, count) => sum + count, 0);

/** Devices that came to an end, whichever. */
export const endedCount = (counts: WaveCounts): number =>
  counts.succeeded + failedCount(counts) + counts.fellBack + counts.silent + counts.cancelled + counts.skipped;

/** Devices whose update came to an end of its own, good or bad. */
export const executedCount = (counts: WaveCounts): number =>
  counts.succeeded + failedCount(counts) + counts.fellBack + counts.silent;

/** Devices that have not ended. */
export const openCount = ({ pending, active, held }: WaveCounts): number => pending + active + held;

const countOf = (counts: WaveCounts, part: (typeof PARTS)[number][0]): number =>
  part === "failed" ? failedCount(counts) : counts[part];

export function OutcomeBar({ counts }: { readonly counts: WaveCounts }) {
  const total = Math.max(1, counts.total);
  const parts = PARTS.map(([part, name]) => ({ part, name, count: countOf(counts, part) }));
  return (
    <div>
      <div className="outcomes" aria-hidden>
        {parts.map(
          ({ part, count }) =>
            count > 0 && <span key={part} data-outcome={part} style={{ width: `${(100 * count) / total}%` }} />,
        )}
      </div>
      <ul className="outcome-list">
        {parts.map(
          ({ part, name, count }) =>
            count > 0 && (
              <li key={part}>
                <span className="outcome-key" data-outcome={part} aria-hidden /> {count.toLocaleString()} {name}
                {part === "failed" && ` (${failuresText(counts)})`}
              </li>
            ),
        )}
        {counts.total === 0 && <li>no devices</li>}
      </ul>
    </div>
  );
}

function failuresText({ failed }: WaveCounts): string {
  const kinds = Object.entries(failed)
    .filter(([, count]) => count > 0)
    .toSorted(([, a], [, b]) => b - a);
  const shown = kinds.slice(0, FAILURES_SHOWN).map(([kind, count]) => `${count} ${wordsOf(kind)}`);
  return kinds.length > FAILURES_SHOWN ? [...shown, "…"].join(", ") : shown.join(", ");
}

/** "connectionLost" → "connection lost", "invalidUri" → "invalid URI". */
export const wordsOf = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).replace(/ uri$/, " URI");
