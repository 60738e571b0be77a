/** Times in the viewer's zone, the full instant on hover. */
import { useNow } from "./now.ts";

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

/** "14:02:07". */
export const clockTime = (utcMs: number): string => CLOCK.format(utcMs);

/** "3 min ago", "in 2 h": the largest whole unit. A clock that runs ahead of ours shows as it is. */
export function relativeTime(utcMs: number, nowMs: number): string {
  const seconds = Math.round((nowMs - utcMs) / 1000);
  const size = Math.abs(seconds);
  const amount =
    size < 60
      ? `${size} s`
      : size < 3600
        ? `${Math.round(size / 60)} min`
        : size < 172_800
          ? `${Math.round(size / 3600)} h`
          : `${Math.round(size / 86_400)} days`;
  if (size < 2) return "now";
  return seconds < 0 ? `in ${amount}` : `${amount} ago`;
}

/** How long ago an ISO instant was; it goes on counting. */
export function Ago({ at }: { readonly at: string }) {
  const nowMs = useNow();
  const utcMs = Date.parse(at);
  return (
    <time dateTime={at} title={FULL.format(utcMs)}>
      {relativeTime(utcMs, nowMs)}
    </time>
  );
}
