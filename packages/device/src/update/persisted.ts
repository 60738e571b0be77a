/** What of a firmware update must survive a power cut. */
import type { FirmwareState, UpdateResult } from "@airlift/protocol/update/firmware-update";

/** Plain values, saved before anything that depends on them is done. */
export interface Persisted {
  readonly state: FirmwareState;
  readonly result: UpdateResult;
  /** Package URI (/5/0/1); empty when none is set. */
  readonly uri: string;
  /** Whether the package in Downloading comes from `uri`; a push cannot be continued after a restart. */
  readonly pulled: boolean;
  /** Entity tag of the download that is being stored; `undefined` while it has none. */
  readonly etag: Uint8Array | undefined;
  /** A discarded image may still lie in the store: its reset had not ended. */
  readonly discarding: boolean;
  /** A server has read the result: a restart in Idle may return to the initial one. */
  readonly resultTold: boolean;
  /** How often `performUpgrade` was called for the image in Updating. */
  readonly upgradeAttempts: number;
  /** /5/0/12: seconds since 1970-01-01T00:00:00Z; 0 when the state never changed. */
  readonly lastStateChangeAtS: number;
  /** /5/0/11: 0 critical, 1 mandatory, 2 optional. */
  readonly severity: number;
}

/** A device that was never updated. */
export const FACTORY: Persisted = {
  state: "idle",
  result: "initial",
  uri: "",
  pulled: false,
  etag: undefined,
  discarding: false,
  resultTold: true,
  upgradeAttempts: 0,
  lastStateChangeAtS: 0,
  severity: 1,
};
