/** The few facts about both slots and the update under way that have to outlive a power cut. */
import type { UpdateResult } from "@airlift/protocol/update/firmware-update";
import type { UpdateNotes } from "../ports.ts";
import type { DownloadRecord } from "./download-file.ts";
import type { RecordStore, StoredRecord } from "./record-store.ts";

export type SlotName = "a" | "b";

/** A whole image in a slot, as it was verified. */
export interface SlotContent {
  readonly sizeBytes: number;
  /** SHA-256 of the file, hex. */
  readonly sha256: string;
  readonly securityCounter: number;
  readonly name?: string;
  readonly version?: string;
}

/** What fills, or has filled, the slot that is not active; complete when it is the slot's content, verified. */
export interface SlotDownload extends DownloadRecord {
  /** What was downloaded had to be decoded: until the image has taken its place, it lies beside it. */
  readonly isDecoded?: boolean;
}

export interface SlotRecord extends StoredRecord {
  /** The slot that boots when no other is on trial. */
  readonly active: SlotName;
  /** The other slot is to be tried with the next start, or runs since the last one and is not confirmed. */
  readonly trial?: "next" | "running";
  /** A slot without content is empty or being filled; the active one without content is what the device was made with. */
  readonly contents: { readonly a?: SlotContent; readonly b?: SlotContent };
  readonly download?: SlotDownload;
  readonly update: {
    readonly state: "idle" | "downloading" | "downloaded" | "updating";
    readonly result: UpdateResult;
    readonly uri?: string;
    readonly notes?: UpdateNotes;
  };
  /** The highest security counter that was confirmed here; no image with a lower one gets in. */
  readonly securityCounter: number;
}

export function otherSlot(slot: SlotName): SlotName {
  return slot === "a" ? "b" : "a";
}

export type SlotRecordStore = RecordStore<SlotRecord>;
