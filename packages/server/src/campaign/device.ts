/** What the rules are told of a device when they decide about it. */
import type { DeviceFacts } from "./query/ast.ts";
import type { ZoneReport } from "./schedule/wall-clock.ts";
import type { Target } from "./target.ts";

/** What became of a device's updates, over all campaigns. */
export interface DeviceHistory {
  /** Updates in a row that failed, fell back or went silent; a success ends the row. */
  readonly failuresInRow: number;
  readonly lastFailureAtMs: number | null;
  /** Versions that campaigns replaced by others, the newest first, at most 8. */
  readonly leftVersions: readonly string[];
}

export const NO_HISTORY: DeviceHistory = { failuresInRow: 0, lastFailureAtMs: null, leftVersions: [] };

/** Another campaign that wants, or has, the same device: the one that counts most. */
export interface Rival {
  readonly campaignId: string;
  readonly name: string;
  readonly priority: number;
  /** Its update of the device is under way. */
  readonly isUnderWay: boolean;
}

/** A target with what the store knows of its device. */
export interface Candidate {
  readonly target: Target;
  readonly device: DeviceFacts & ZoneReport;
  readonly history: DeviceHistory;
  /** An update under way first, of whatever campaign; else the running one of the highest priority (the older on a tie); null = none. */
  readonly rival: Rival | null;
}
