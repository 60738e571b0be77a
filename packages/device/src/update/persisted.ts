/** What of a firmware update must survive a power cut. */
import type { FirmwareState, UpdateResult } from "@airlift/protocol/update/firmware-update";
import type { PersistedUpdate, UpdateNotes } from "../ports.ts";

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
  /** Octets of the download that were in the store when the program started. */
  readonly storedBytes: number;
  /** /5/0/12: seconds since 1970-01-01T00:00:00Z; 0 when the state never changed. */
  readonly lastStateChangeAtS: number;
  /** /5/0/11: 0 critical, 1 mandatory, 2 optional. */
  readonly severity: number;
  /** /5/0/13: seconds, 0 = no deferral; `undefined` when no server has set one, and a deferral has no end. */
  readonly maximumDeferPeriodS: number | undefined;
  /** /5/0/14. */
  readonly automaticUpgrade: boolean;
  /** Until when the update that was executed may be put off, in seconds since 1970; `undefined` = for ever, or none was. */
  readonly updateDeadlineAtS: number | undefined;
}

/** What a store loaded. */
export function fromStore(stored: PersistedUpdate): Persisted {
  const { state, result, uri = "", notes = {} } = stored;
  const isDownloading = stored.state === "downloading";
  return {
    ...FACTORY,
    lastStateChangeAtS: notes.lastStateChangeAtS ?? FACTORY.lastStateChangeAtS,
    severity: notes.severity ?? FACTORY.severity,
    maximumDeferPeriodS: notes.maximumDeferPeriodS,
    automaticUpgrade: notes.automaticUpgrade ?? FACTORY.automaticUpgrade,
    updateDeadlineAtS: isDeferrable(state, result) ? notes.updateDeadlineAtS : undefined,
    discarding: notes.discarding ?? FACTORY.discarding,
    state,
    result,
    uri,
    pulled: isDownloading && uri !== "",
    etag: isDownloading ? stored.etag : undefined,
    storedBytes: isDownloading ? stored.offset : 0,
    // The store may tell another result than the one that was saved: what became of an installation.
    resultTold: notes.toldResult === result,
  };
}

/** Whether a deadline has a meaning in a state: the update is deferred, or may be as long as it installs. */
export function isDeferrable(state: FirmwareState, result: UpdateResult): boolean {
  return state === "updating" || (state === "downloaded" && result === "deferred");
}

/** What a store is to save. */
export function toStore(facts: Persisted): PersistedUpdate {
  const { state, result, uri, etag, storedBytes, pulled } = facts;
  const notes = notesOf(facts);
  switch (state) {
    case "idle":
      return { state, result, uri, notes };
    case "downloaded":
      return { state, result, uri, notes };
    case "updating":
      return { state, result: "initial", uri, notes };
    case "downloading": {
      const download = { state, result: "initial", uri: pulled ? uri : "", offset: storedBytes, notes } as const;
      return etag === undefined ? download : { ...download, etag };
    }
  }
}

function notesOf(facts: Persisted): UpdateNotes {
  const { lastStateChangeAtS, severity, automaticUpgrade, discarding } = facts;
  const { resultTold, result, maximumDeferPeriodS, updateDeadlineAtS } = facts;
  return {
    lastStateChangeAtS,
    severity,
    automaticUpgrade,
    discarding,
    ...(maximumDeferPeriodS !== undefined && { maximumDeferPeriodS }),
    ...(updateDeadlineAtS !== undefined && { updateDeadlineAtS }),
    ...(resultTold && { toldResult: result }),
  };
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
  storedBytes: 0,
  lastStateChangeAtS: 0,
  severity: 1,
  maximumDeferPeriodS: undefined,
  automaticUpgrade: false,
  updateDeadlineAtS: undefined,
};
