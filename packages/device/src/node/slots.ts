/**
 * Two slots in a directory: one runs, the other is filled. A switch is one small write, and a new image has to prove itself.
 *
 *   boot → (the agent runs) → download into the other slot → verified → performUpgrade: "try it next" → restart
 *   boot: on trial → the agent finds that it works → confirm.  Not confirmed by the following start → the old image again.
 */
import type { ImageCrypto } from "@airlift/protocol/image/crypto-port";
import type { ImageFile } from "@airlift/protocol/image/reader";
import type { Trust } from "@airlift/protocol/image/verify";
import type { McubootVersion } from "@airlift/protocol/image/version";
import { UsageError } from "@airlift/protocol/lib/errors";
import { imageCrypto } from "@airlift/runtime/crypto";
import type { ImageDecoder } from "../image-decoder.ts";
import type { PersistedUpdate, SlotFiles, UnconditionalHandlers, UpdateStore } from "../ports.ts";
import { onFlash, resumptionOf } from "./download-file.ts";
import { checkHealth, type HealthCheck } from "./health-check.ts";
import { RecordStore } from "./record-store.ts";
import { type BootReport, bootSlots } from "./slot-boot.ts";
import { decodeBeside, decoderFor, moveDecoded } from "./slot-decode.ts";
import { decodedName, imageName, SlotDownloader, withoutDownload } from "./slot-download.ts";
import { openDirectory } from "./slot-files.ts";
import { type AdmissionRules, admitImage, type ImageDescription } from "./slot-image.ts";
import { otherSlot, type SlotContent, type SlotName, type SlotRecord, type SlotRecordStore } from "./slot-record.ts";

/** Octets that a power cut in mid-download may cost; each save costs three syncs of the medium. */
export const DEFAULT_PERSIST_EVERY_BYTES = 65_536;
/** 1 GiB: more than any image here, less than a disk. */
export const DEFAULT_MAX_IMAGE_BYTES = 2 ** 30;

export interface SlotsOptions {
  /** Where the slots are: a directory that is theirs alone, or file operations of another kind. */
  readonly directory: string | SlotFiles;
  /** Keys whose signatures count; `allow-unsigned` also takes raw files, and images signed by anybody. */
  readonly trust: Trust;
  readonly maxImageBytes?: number;
  readonly persistEveryBytes?: number;
  /** Version of the firmware the device was made with, which is in neither slot. Default `0.0.0`. */
  readonly factoryVersion?: string;
  /** The lowest security counter that gets in before any higher one was confirmed. Default 0. */
  readonly factorySecurityCounter?: number;
  /** Versions of the device's other images by their number. Default none. */
  readonly otherImages?: ReadonlyMap<number, McubootVersion>;
  /** Reads what a raw file says of itself. Of an MCUboot image the version is known anyway. */
  readonly describe?: (file: ImageFile) => Promise<ImageDescription>;
  /** Asked before a new image is confirmed; one that is not healthy is not, and the next start falls back. */
  readonly healthCheck?: HealthCheck;
  /** How long the health check may take. Default `DEFAULT_HEALTH_TIMEOUT_MS`. */
  readonly healthTimeoutMs?: number;
  /** For packages that are no images yet, such as deltas: `createZstdDecoder()`. Default none. */
  readonly decoders?: readonly ImageDecoder[];
}

export interface Slots {
  /**
   * Decides which image runs now. Once, at every start of the device, before anything else here.
   *
   * @throws {EnvironmentError} `NO_BOOTABLE_IMAGE` when neither slot holds a whole image; `FILE_SYSTEM`.
   */
  boot(): Promise<BootReport>;
  /**
   * Says that the running image works: if the health check agrees, it is the active one from now on, and the update has
   * succeeded. One durable write. Nothing happens when no image is on trial.
   *
   * @throws {EnvironmentError} UNHEALTHY, FILE_SYSTEM, NO_SPACE: the image is still on trial; start again to fall back.
   */
  confirm(): Promise<void>;
  /** In place of `boot`, when another process has booted and found that `slot` runs. Once. @throws {EnvironmentError} */
  attach(slot: SlotName): Promise<void>;
  /** The slot that runs; `isTrial` until it is confirmed, `isFactory` as long as it holds nothing. */
  running(): { readonly slot: SlotName; readonly isTrial: boolean; readonly isFactory: boolean };
  /** Version of the image that runs: its own, or `sha256:` and twelve digits of a raw file that names none. */
  version(): string;
  /** For `createUpdateAgent({ handlers })`. */
  readonly handlers: UnconditionalHandlers;
  /** For `createUpdateAgent({ store })`. */
  readonly store: UpdateStore;
}

/**
 * Opens the slots; nothing is read before `boot`.
 *
 * @throws {EnvironmentError} `FILE_SYSTEM` when the directory cannot be made.
 */
export function createSlots(options: SlotsOptions): Slots {
  return new DeviceSlots(options);
}

class DeviceSlots implements Slots {
  readonly handlers: UnconditionalHandlers;
  readonly store: UpdateStore;
  readonly #options: SlotsOptions;
  readonly #files: SlotFiles;
  readonly #crypto: ImageCrypto = imageCrypto;
  readonly #records: SlotRecordStore;
  readonly #downloader: SlotDownloader;
  #running: SlotName | undefined;

  constructor(options: SlotsOptions) {
    const { directory, maxImageBytes = DEFAULT_MAX_IMAGE_BYTES } = options;
    this.#options = options;
    this.#files = typeof directory === "string" ? openDirectory(directory, ["a", "b"]) : directory;
    this.#records = new RecordStore(this.#files, this.#crypto, factoryRecord(options));
    this.#downloader = new SlotDownloader({
      files: this.#files,
      records: this.#records,
      maxImageBytes,
      persistEveryBytes: options.persistEveryBytes ?? DEFAULT_PERSIST_EVERY_BYTES,
    });
    this.handlers = {
      openStream: (origin) => this.#downloader.open(origin),
      write: (bytes) => this.#downloader.write(bytes),
      finish: () => this.#finish(),
      reset: () => this.#reset(),
      performUpgrade: () => this.#performUpgrade(),
      packageName: () => this.#downloaded()?.name,
      packageVersion: () => this.#downloaded()?.version,
    };
    this.store = { load: async () => persistedUpdate(this.#booted()), save: (update) => this.#save(update) };
  }

  async boot(): Promise<BootReport> {
    if (this.#running)
      throw new UsageError("SLOTS_BOOTED", "the slots have booted; a start of the device is a new object");
    const report = await bootSlots(this.#files, this.#records, this.#crypto);
    this.#running = report.slot;
    return report;
  }

  async attach(slot: SlotName): Promise<void> {
    if (this.#running) throw new UsageError("SLOTS_BOOTED", "the slots have booted");
    await this.#records.load();
    this.#running = slot;
  }

  async confirm(): Promise<void> {
    const { trial } = this.#booted();
    if (trial !== "running") return;
    const { healthCheck, healthTimeoutMs } = this.#options;
    if (healthCheck) await checkHealth(healthCheck, healthTimeoutMs);
    await this.#records.change(({ trial: _over, download: _installed, ...record }) => {
      const active = otherSlot(record.active);
      const securityCounter = Math.max(record.securityCounter, record.contents[active]?.securityCounter ?? 0);
      return { ...record, active, securityCounter, update: { ...record.update, state: "idle", result: "success" } };
    });
  }

  running(): ReturnType<Slots["running"]> {
    const { active, trial, contents } = this.#booted();
    const slot = this.#running ?? active;
    return { slot, isTrial: trial === "running", isFactory: contents[slot] === undefined };
  }

  version(): string {
    const content = this.#booted().contents[this.running().slot];
    if (!content) return this.#options.factoryVersion ?? "0.0.0";
    return content.version ?? `sha256:${content.sha256.slice(0, 12)}`;
  }

  async #finish(): Promise<void> {
    const { trust, otherImages = new Map(), describe } = this.#options;
    const { securityCounter } = this.#booted();
    const rules = { trust, crypto: this.#crypto, securityCounter, otherImages, ...(describe && { describe }) };
    try {
      const { content, isDecoded } = await this.#downloader.finish((file) => this.#admit(file, rules));
      await onFlash(() =>
        this.#records.change(({ download, ...record }) => ({
          ...record,
          contents: { ...record.contents, [otherSlot(record.active)]: content },
          download: { ...download, offset: content.sizeBytes, isComplete: true, ...(isDecoded && { isDecoded }) },
          update: { ...record.update, state: "downloaded", result: "initial" },
        })),
      );
      await moveDecoded(this.#files, this.#records.record);
    } catch (error) {
      await this.#forget().catch(() => undefined);
      throw error;
    }
  }

  /** The package is the image, or is decoded to it. */
  async #admit(file: ImageFile, rules: AdmissionRules): Promise<{ content: SlotContent; isDecoded: boolean }> {
    const { decoders = [], maxImageBytes = DEFAULT_MAX_IMAGE_BYTES } = this.#options;
    const decoder = await decoderFor(file, decoders);
    if (!decoder) return { content: await admitImage(file, rules), isDecoded: false };
    const decoding = { files: this.#files, record: this.#booted(), decoder, maxImageBytes };
    return { content: await decodeBeside(file, decoding, (image) => admitImage(image, rules)), isDecoded: true };
  }

  async #reset(): Promise<void> {
    await this.#downloader.close();
    if (this.#booted().download && !this.#booted().trial) await this.#forget();
  }

  /** Frees the space first: it may be what the record needs. */
  async #forget(): Promise<void> {
    const slot = otherSlot(this.#booted().active);
    await this.#files.unlink(imageName(slot));
    await this.#files.unlink(decodedName(slot));
    await this.#records.change(withoutDownload);
  }

  async #performUpgrade(): Promise<"restarting"> {
    if (!this.#downloaded()) throw new UsageError("NOTHING_DOWNLOADED", "there is no image to install");
    await onFlash(() =>
      this.#records.change((record) => ({
        ...record,
        trial: "next",
        update: { ...record.update, state: "updating", result: "initial" },
      })),
    );
    return "restarting";
  }

  #downloaded() {
    const { download, contents, active } = this.#booted();
    return download?.isComplete ? contents[otherSlot(active)] : undefined;
  }

  async #save({ state, result, uri, notes }: PersistedUpdate): Promise<void> {
    this.#booted();
    await this.#records.change((record) => ({
      ...record,
      update: { state, result, ...(uri !== undefined && { uri }), ...(notes && { notes }) },
    }));
  }

  #booted(): SlotRecord {
    if (!this.#running) throw new UsageError("SLOTS_NOT_BOOTED", "call boot first");
    return this.#records.record;
  }
}

function factoryRecord({ factorySecurityCounter = 0 }: SlotsOptions): SlotRecord {
  return {
    generation: 0,
    active: "a",
    contents: {},
    update: { state: "idle", result: "initial" },
    securityCounter: factorySecurityCounter,
  };
}

function persistedUpdate({ update, download }: SlotRecord): PersistedUpdate {
  const { state: _state, result: _result, ...kept } = update;
  switch (update.state) {
    case "idle":
      return { state: "idle", result: update.result, ...kept };
    case "downloaded":
      return { state: "downloaded", result: update.result, ...kept };
    case "updating":
      return { state: "updating", result: "initial", ...kept };
    case "downloading": {
      const { uri = "" } = update;
      return { ...kept, state: "downloading", result: "initial", uri, ...resumptionOf(download, uri) };
    }
  }
}
