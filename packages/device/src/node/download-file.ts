/** Downloads a package into a file, so that a power cut costs no more than the last few octets. */
import type { ImageFile } from "@airlift/protocol/image/reader";
import { fromHex, toHex } from "@airlift/protocol/lib/bytes";
import { AirliftError, UsageError } from "@airlift/protocol/lib/errors";
import { type DownloadOrigin, HandlerError, type PersistedUpdate, type SlotFile, type SlotFiles } from "../ports.ts";

/** What is known of a download for good. */
export interface DownloadRecord {
  readonly uri?: string;
  /** Hex. */
  readonly etag?: string;
  /** Octets that were synced. */
  readonly offset: number;
  /** All of it is there, and was verified. */
  readonly isComplete: boolean;
}

export interface DownloadFileOptions {
  readonly files: SlotFiles;
  /** Where the next download goes. */
  name(): string;
  /** What the record says of it. */
  load(): DownloadRecord | undefined;
  /** Durable when it settles. */
  save(download: DownloadRecord): Promise<void>;
  readonly maxImageBytes: number;
  readonly persistEveryBytes: number;
}

/** The stream of one download. Errors are `HandlerError` noFlash where the medium is full. */
export class DownloadFile {
  readonly #options: DownloadFileOptions;
  #file: SlotFile | undefined;
  #offset = 0;

  constructor(options: DownloadFileOptions) {
    this.#options = options;
  }

  /** Removes the old file first: its space may be what the record needs. */
  async open(origin: DownloadOrigin): Promise<void> {
    const { files, name, save } = this.#options;
    await this.close();
    await onFlash(async () => {
      await files.unlink(name());
      await save({
        ...(origin.uri !== undefined && { uri: origin.uri }),
        ...(origin.etag && { etag: toHex(origin.etag) }),
        offset: 0,
        isComplete: false,
      });
      this.#file = await files.open(name(), "create");
      await files.syncFolderOf(name());
    });
    this.#offset = 0;
  }

  /** Appends; every `persistEveryBytes` the data is synced, and only then the offset that names them is. */
  async write(bytes: Uint8Array): Promise<void> {
    const { load, save, maxImageBytes, persistEveryBytes } = this.#options;
    const file = this.#file ?? (await this.#resume());
    if (this.#offset + bytes.length > maxImageBytes) {
      throw new HandlerError("noFlash", `the image is larger than ${maxImageBytes} octets`);
    }
    await onFlash(async () => {
      await file.write(this.#offset, bytes);
      this.#offset += bytes.length;
      const download = load();
      if (!download || this.#offset - download.offset < persistEveryBytes) return;
      await file.sync();
      await save({ ...download, offset: this.#offset });
    });
  }

  /** Makes all octets durable, hands them to `verify`, closes. What `verify` gives goes through. */
  async finish<T>(verify: (file: ImageFile) => Promise<T>): Promise<T> {
    const file = this.#file ?? (await this.#resume());
    try {
      await onFlash(() => file.sync());
      return await verify({ reader: file, sizeBytes: this.#offset });
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  /** Goes on where the record says; what was written behind that may be torn. */
  async #resume(): Promise<SlotFile> {
    const { files, name, load } = this.#options;
    const download = load();
    if (!download || download.isComplete) throw new UsageError("STREAM_CLOSED", "no download is open");
    const file = await files.open(name(), "update");
    if (!file) throw new UsageError("STREAM_CLOSED", "what was downloaded is gone");
    await file.truncate(download.offset);
    this.#file = file;
    this.#offset = download.offset;
    return file;
  }
}

/** What a store loads of a download that is under way: where it goes on, if this is the one that `uri` names. */
export function resumptionOf(
  download: DownloadRecord | undefined,
  uri: string,
): Pick<Extract<PersistedUpdate, { state: "downloading" }>, "offset" | "etag"> {
  if (!download || download.uri !== uri || download.isComplete) return { offset: 0 };
  const etag = download.etag === undefined ? undefined : fromHex(download.etag);
  return { offset: download.offset, ...(etag && { etag }) };
}

/** Tells an agent that the medium is full in the words of its handlers. */
export async function onFlash<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof AirliftError && cause.code === "NO_SPACE") {
      throw new HandlerError("noFlash", cause.message, { cause });
    }
    throw cause;
  }
}
