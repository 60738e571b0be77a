/** The few facts about both slots and the update under way that have to outlive a power cut, and where they are kept. */
import { type HashAlgorithm, hashOf, type ImageCrypto } from "@airlift/protocol/image/crypto-port";
import { decodeUtf8, encodeUtf8, toHex } from "@airlift/protocol/lib/bytes";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { UpdateResult } from "@airlift/protocol/update/firmware-update";
import type { SlotFiles, UpdateNotes } from "../ports.ts";

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

/** What fills, or has filled, the slot that is not active. */
export interface SlotDownload {
  readonly uri?: string;
  /** Hex. */
  readonly etag?: string;
  /** Octets that were synced. */
  readonly offset: number;
  /** Whether the slot's content is this download, verified. */
  readonly isComplete: boolean;
  /** What was downloaded had to be decoded: until the image has taken its place, it lies beside it. */
  readonly isDecoded?: boolean;
}

export interface SlotRecord {
  /** Rises with every change. */
  readonly generation: number;
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

const FORMAT = 1;
const CHECKSUM: HashAlgorithm = "sha256";
const NAMES = ["state-0", "state-1"] as const;
const UNFINISHED = "state-new";
/** A record has a few hundred octets and at most one URI and one entity tag. */
const LARGEST_RECORD_BYTES = 65_536;

/**
 * Keeps a record in two files by turns, each replaced at once and carrying its checksum: whatever a power cut does to
 * the one being written, the other is the state before.
 */
export class SlotRecordStore {
  readonly #files: SlotFiles;
  readonly #crypto: ImageCrypto;
  #record: SlotRecord;
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(files: SlotFiles, crypto: ImageCrypto, factory: SlotRecord) {
    this.#files = files;
    this.#crypto = crypto;
    this.#record = factory;
  }

  /** The record as it was last made durable. */
  get record(): SlotRecord {
    return this.#record;
  }

  /** Reads the newest whole record; `none` leaves the factory's, `damaged` too, but there was something. */
  async load(): Promise<"found" | "none" | "damaged"> {
    let outcome: "found" | "none" | "damaged" = "none";
    for (const name of NAMES) {
      const bytes = await this.#read(name);
      const record = bytes && this.#decode(bytes);
      if (!record) {
        if (bytes && outcome === "none") outcome = "damaged";
      } else if (outcome !== "found" || record.generation > this.#record.generation) {
        this.#record = record;
        outcome = "found";
      }
    }
    return outcome;
  }

  /**
   * Makes `change(record)` durable, after all changes asked for before. When that fails the record stays.
   *
   * @throws {EnvironmentError} `NO_SPACE`, `FILE_SYSTEM`.
   */
  change(change: (record: SlotRecord) => Omit<SlotRecord, "generation">): Promise<void> {
    const done = this.#lastChange.then(async () => {
      const next = { ...change(this.#record), generation: this.#record.generation + 1 };
      await this.#write(next);
      this.#record = next;
    });
    this.#lastChange = done.catch(() => undefined);
    return done;
  }

  /**
   * As `change`, but where the medium refuses, the change holds until the next start at least: a device that cannot
   * write has to boot all the same. Whether it was made durable.
   */
  async changeIfPossible(change: (record: SlotRecord) => Omit<SlotRecord, "generation">): Promise<boolean> {
    try {
      await this.change(change);
      return true;
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      this.#record = { ...change(this.#record), generation: this.#record.generation };
      return false;
    }
  }

  async #read(name: string): Promise<Uint8Array | undefined> {
    const file = await this.#files.open(name, "read");
    if (!file) return undefined;
    try {
      return await file.read(0, LARGEST_RECORD_BYTES);
    } finally {
      await file.close();
    }
  }

  async #write(record: SlotRecord): Promise<void> {
    const name = NAMES[record.generation % 2] ?? NAMES[0];
    const file = await this.#files.open(UNFINISHED, "create");
    try {
      await file?.write(0, this.#encode(record));
      await file?.sync();
    } finally {
      await file?.close();
    }
    await this.#files.rename(UNFINISHED, name);
    await this.#files.syncFolderOf(name);
  }

  #encode(record: SlotRecord): Uint8Array {
    const text = JSON.stringify({ format: FORMAT, ...record });
    return encodeUtf8(`${text}\n${toHex(hashOf(this.#crypto, CHECKSUM, encodeUtf8(text)))}\n`);
  }

  #decode(bytes: Uint8Array): SlotRecord | undefined {
    const [text = "", checksum = ""] = (decodeUtf8(bytes) ?? "").split("\n");
    if (checksum !== toHex(hashOf(this.#crypto, CHECKSUM, encodeUtf8(text)))) return undefined;
    const { format, ...record } = JSON.parse(text);
    return format === FORMAT ? record : undefined;
  }
}
