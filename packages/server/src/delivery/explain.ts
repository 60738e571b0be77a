/** What an update waits for, in one plain sentence that is true when it is read: since when, how long, and why. */
import type { Device, Update } from "@airlift/protocol/api/schemas";
import { isFinalUpdateState } from "@airlift/protocol/update/device-update";

export type ExplainedUpdate = Pick<
  Update,
  "state" | "sentence" | "since" | "createdAt" | "acknowledgedBytes" | "totalBytes"
>;

/** What is known of the device's presence. */
export interface ExplainedDevice extends Pick<Device, "presence" | "lastSeenAt" | "expiresAt" | "lifetimeS"> {
  /** UTC milliseconds at which a device in queue mode stopped listening; absent while it listens. */
  readonly asleepSinceMs?: number | undefined;
}

/** @param device `undefined` when nothing is known of it. @param nowMs UTC milliseconds. */
export function explain(update: ExplainedUpdate, device: ExplainedDevice | undefined, nowMs: number): string {
  const { state, sentence } = update;
  if (isFinalUpdateState(state)) return sentence;
  const absence = device && absenceOf(device, nowMs);
  if (absence !== undefined) {
    // Whoever was away before the update began keeps it waiting only since then.
    const sinceMs = Math.max(absence.sinceMs, Date.parse(update.createdAt));
    return `waiting ${durationText(nowMs - sinceMs)}: ${absence.why}`;
  }
  const sinceMs = Date.parse(update.since);
  const lasted = durationText(nowMs - sinceMs);
  if (state === "transferring") return `${sentence} (${progressText(update)}, for ${lasted})`;
  if (!sentence.startsWith(WAITING)) return `${sentence} (for ${lasted})`;
  const [why = "", ...next] = sentence.slice(WAITING.length).split("; ");
  // A reason that says when it ends is not told since when it holds as well: that is in how long.
  const since = why.includes(" UTC") ? "" : ` since ${clockText(sinceMs, nowMs)}`;
  return [`waiting ${lasted}: ${why}${since}`, ...next].join("; ");
}

const WAITING = "waiting: ";

interface Absence {
  readonly sinceMs: number;
  readonly why: string;
}

function absenceOf(device: ExplainedDevice, nowMs: number): Absence | undefined {
  const { presence, asleepSinceMs, lifetimeS } = device;
  const seenMs = Date.parse(device.lastSeenAt);
  switch (presence) {
    case "registered":
      if (asleepSinceMs === undefined) return undefined;
      return {
        sinceMs: asleepSinceMs,
        why: `asleep since ${clockText(asleepSinceMs, nowMs)}, last lifetime ${lifetimeS} s`,
      };
    case "expired": {
      const sinceMs = Math.min(Date.parse(device.expiresAt), nowMs);
      const heard = `last heard ${clockText(seenMs, nowMs)}, lifetime ${lifetimeS} s`;
      return { sinceMs, why: `the device's registration expired ${clockText(sinceMs, nowMs)} (${heard})` };
    }
    case "deregistered":
      return { sinceMs: seenMs, why: `the device de-registered; last heard ${clockText(seenMs, nowMs)}` };
  }
}

function progressText({ acknowledgedBytes, totalBytes }: ExplainedUpdate): string {
  const percent = totalBytes === 0 ? 0 : Math.floor((100 * acknowledgedBytes) / totalBytes);
  return `${percent} %, ${acknowledgedBytes} of ${totalBytes} bytes`;
}

/** "4 s", "38 min", "5 h", "3 d": the largest unit of which there are two or more, or one of the smallest. */
export function durationText(durationMs: number): string {
  const seconds = Math.max(0, Math.floor(durationMs / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** "14:02 UTC", with the day when it is not today's. */
function clockText(atMs: number, nowMs: number): string {
  const instant = isoText(atMs);
  const time = `${instant.slice(11, 16)} UTC`;
  return instant.slice(0, 10) === isoText(nowMs).slice(0, 10) ? time : `${instant.slice(0, 10)} ${time}`;
}

const isoText = (atMs: number): string => new Date(atMs).toISOString();
