/** What of a firmware update must survive a power cut. */
import type { FirmwareState, UpdateResult } from "@airlift/protocol/update/firmware-update";
import type { PersistedUpdate } from "../ports.ts";

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
}

/** What a store loaded. */
export function fromStore(stored: PersistedUpdate): Persisted {
  const { state, result, uri = "", notes = {} } = stored;
  const isDownloading = stored.state === "downloading";
  return {
    ...FACTORY,
    lastStateChangeAtS: notes.lastStateChangeAtS ?? FACTORY.lastStateChangeAtS,
    severity: notes.severity ?? FACTORY.severity,
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

/** What a store is to save. */
export function toStore(facts: Persisted): PersistedUpdate {
  const { state, result, uri, etag, storedBytes, pulled } = facts;
  const { lastStateChangeAtS, severity, resultTold, discarding } = facts;
  const told = resultTold ? { toldResult: result } : {};
  const notes = { lastStateChangeAtS, severity, discarding, ...told };
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
};
