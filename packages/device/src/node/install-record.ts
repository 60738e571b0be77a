/** What of an installation by command outlives a restart, and what a start makes of it. */
import { readFileSync } from "node:fs";
import type { UpdateResult } from "@airlift/protocol/update/firmware-update";
import type { PersistedUpdate, UpdateNotes } from "../ports.ts";
import { type DownloadRecord, resumptionOf } from "./download-file.ts";
import type { StoredRecord } from "./record-store.ts";
import type { ImageDescription } from "./slot-image.ts";

export interface InstallRecord extends StoredRecord {
  readonly update: {
    readonly state: PersistedUpdate["state"];
    readonly result: UpdateResult;
    readonly uri?: string;
    readonly notes?: UpdateNotes;
  };
  readonly download?: DownloadRecord & ImageDescription;
  /** An installation was begun; `isDone` when its command has ended well. */
  readonly installation?: { readonly fromVersion: string; readonly bootId?: string; readonly isDone: boolean };
}

/** What is known of the system that has just started. */
export interface StartedSystem {
  /** Of this start; `undefined` where a device has none. */
  readonly bootId: string | undefined;
  /** Whether the installed version runs; the installation began on `fromVersion`. */
  isNew(fromVersion: string): Promise<boolean>;
}

/** What the last run left, and what became of the installation that it began. */
export async function loadedFrom(record: InstallRecord, system: StartedSystem): Promise<PersistedUpdate> {
  const { update, download } = record;
  const { state: _state, result: _result, ...kept } = update;
  switch (update.state) {
    case "idle":
      return { state: "idle", result: update.result, ...kept };
    case "downloaded":
      return { state: "downloaded", result: update.result, ...kept };
    case "updating":
      return { ...(await outcomeOf(record, system)), ...kept };
    case "downloading": {
      const { uri = "" } = update;
      return { ...kept, state: "downloading", result: "initial", uri, ...resumptionOf(download, uri) };
    }
  }
}

type Outcome = { state: "idle" | "downloaded"; result: "failed" } | { state: "updating"; result: "initial" };

async function outcomeOf({ installation }: InstallRecord, { bootId, isNew }: StartedSystem): Promise<Outcome> {
  const hasRestarted = bootId === undefined || bootId !== installation?.bootId;
  // The power went in the middle, or only this process restarted: the package is still there.
  if (!installation?.isDone || !hasRestarted) return { state: "downloaded", result: "failed" };
  return (await isNew(installation.fromVersion))
    ? { state: "updating", result: "initial" }
    : { state: "idle", result: "failed" };
}

/** What the kernel calls this start; `undefined` where there is no Linux. */
export function bootIdOfLinux(): string | undefined {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return undefined;
  }
}
