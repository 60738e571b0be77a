/** One small record that has to outlive a power cut, and how it is changed. */
import { type HashAlgorithm, hashOf, type ImageCrypto } from "@airlift/protocol/image/crypto-port";
import { decodeUtf8, encodeUtf8, toHex } from "@airlift/protocol/lib/bytes";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { SlotFiles } from "../ports.ts";

/** What every record has; the rest is JSON. */
export interface StoredRecord {
  /** Rises with every change. */
  readonly generation: number;
}

/** A record that has not got its number yet. */
export type Unnumbered<R extends StoredRecord> = Omit<R, "generation">;

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
export class RecordStore<R extends StoredRecord> {
  readonly #files: SlotFiles;
  readonly #crypto: ImageCrypto;
  #record: R;
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(files: SlotFiles, crypto: ImageCrypto, factory: R) {
    this.#files = files;
    this.#crypto = crypto;
    this.#record = factory;
  }

  /** The record as it was last made durable. */
  get record(): R {
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
  change(change: (record: R) => Unnumbered<R>): Promise<void> {
    const done = this.#lastChange.then(async () => {
      const next = numbered(change(this.#record), this.#record.generation + 1);
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
  async changeIfPossible(change: (record: R) => Unnumbered<R>): Promise<boolean> {
    try {
      await this.change(change);
      return true;
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      this.#record = numbered(change(this.#record), this.#record.generation);
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

  async #write(record: R): Promise<void> {
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

  #encode(record: R): Uint8Array {
    const text = JSON.stringify({ format: FORMAT, ...record });
    return encodeUtf8(`${text}\n${toHex(hashOf(this.#crypto, CHECKSUM, encodeUtf8(text)))}\n`);
  }

  #decode(bytes: Uint8Array): R | undefined {
    const [text = "", checksum = ""] = (decodeUtf8(bytes) ?? "").split("\n");
    if (checksum !== toHex(hashOf(this.#crypto, CHECKSUM, encodeUtf8(text)))) return undefined;
    const { format, ...record } = JSON.parse(text);
    return format === FORMAT ? record : undefined;
  }
}

function numbered<R extends StoredRecord>(record: Unnumbered<R>, generation: number): R {
  return { ...record, generation } as R;
}
