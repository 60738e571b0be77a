/** Fills the slot that is not active, so that a power cut costs no more than the last few octets. */
import type { ImageFile } from "@airlift/protocol/image/reader";
import { toHex } from "@airlift/protocol/lib/bytes";
import { AirliftError, UsageError } from "@airlift/protocol/lib/errors";
import { type DownloadOrigin, HandlerError, type SlotFile, type SlotFiles } from "../ports.ts";
import { otherSlot, type SlotName, type SlotRecord, type SlotRecordStore } from "./slot-record.ts";

export interface SlotDownloaderOptions {
  readonly files: SlotFiles;
  readonly records: SlotRecordStore;
  readonly maxImageBytes: number;
  readonly persistEveryBytes: number;
}

/** The name of a slot's image among `SlotFiles`. */
export function imageName(slot: SlotName): string {
  return `${slot}/image`;
}

/** The name under which an image is put together from a package, beside it. */
export function decodedName(slot: SlotName): string {
  return `${slot}/decoded`;
}

/** The record with nothing but the active slot's content in it. */
export function withoutDownload({ download: _forgotten, ...record }: SlotRecord): SlotRecord {
  const kept = record.contents[record.active];
  return { ...record, contents: kept ? { [record.active]: kept } : {} };
}

/** The stream of one download. Errors are `HandlerError` noFlash where the medium is full. */
export class SlotDownloader {
  readonly #options: SlotDownloaderOptions;
  #file: SlotFile | undefined;
  #offset = 0;

  constructor(options: SlotDownloaderOptions) {
    this.#options = options;
  }

  /** Empties the slot first: its space may be what the record needs. Nothing boots from it unchecked. */
  async open(origin: DownloadOrigin): Promise<void> {
    const { records, files } = this.#options;
    if (records.record.trial) throw new HandlerError("noFlash", "the running image is not confirmed yet");
    await this.close();
    const target = otherSlot(records.record.active);
    const download = {
      ...(origin.uri !== undefined && { uri: origin.uri }),
      ...(origin.etag && { etag: toHex(origin.etag) }),
      offset: 0,
      isComplete: false,
    };
    await onFlash(async () => {
      await files.unlink(imageName(target));
      await files.unlink(decodedName(target));
      await records.change((record) => ({ ...withoutDownload(record), download }));
      this.#file = await files.open(imageName(target), "create");
      await files.syncFolderOf(imageName(target));
    });
    this.#offset = 0;
  }

  /** Appends; every `persistEveryBytes` the data is synced, and only then the offset that names them is. */
  async write(bytes: Uint8Array): Promise<void> {
    const { records, maxImageBytes, persistEveryBytes } = this.#options;
    const file = this.#file ?? (await this.#resume());
    if (this.#offset + bytes.length > maxImageBytes) {
      throw new HandlerError("noFlash", `the image is larger than ${maxImageBytes} octets`);
    }
    await onFlash(async () => {
      await file.write(this.#offset, bytes);
      this.#offset += bytes.length;
      if (this.#offset - (records.record.download?.offset ?? 0) < persistEveryBytes) return;
      await file.sync();
      const offset = this.#offset;
      await records.change((record) =>
        record.download ? { ...record, download: { ...record.download, offset } } : record,
      );
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
    const { records, files } = this.#options;
    const { download, active } = records.record;
    if (!download || download.isComplete) throw new UsageError("STREAM_CLOSED", "no download is open");
    const file = await files.open(imageName(otherSlot(active)), "update");
    if (!file) throw new UsageError("STREAM_CLOSED", "what was downloaded is gone");
    await file.truncate(download.offset);
    this.#file = file;
    this.#offset = download.offset;
    return file;
  }
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
