/** The download into the slot that is not active. */
import { type DownloadOrigin, HandlerError, type SlotFiles } from "../ports.ts";
import { DownloadFile } from "./download-file.ts";
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

/** As `DownloadFile`, and an image on trial is left alone. Nothing boots from the slot unchecked. */
export class SlotDownloader extends DownloadFile {
  readonly #options: SlotDownloaderOptions;

  constructor(options: SlotDownloaderOptions) {
    const { files, records, maxImageBytes, persistEveryBytes } = options;
    super({
      files,
      maxImageBytes,
      persistEveryBytes,
      name: () => imageName(otherSlot(records.record.active)),
      load: () => records.record.download,
      save: (download) =>
        records.change((record) => ({
          ...(download.offset === 0 ? withoutDownload(record) : record),
          download,
        })),
    });
    this.#options = options;
  }

  override async open(origin: DownloadOrigin): Promise<void> {
    const { files, records } = this.#options;
    if (records.record.trial) throw new HandlerError("noFlash", "the running image is not confirmed yet");
    await files.unlink(decodedName(otherSlot(records.record.active)));
    await super.open(origin);
  }
}
