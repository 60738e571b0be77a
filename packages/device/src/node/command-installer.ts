/**
 * Hands a downloaded package to a program that installs it: RAUC, SWUpdate, systemd-sysupdate, a script.
 *
 *   download into one file → verify command → (the server executes Update) → install command → restart
 *   start: status command, or another version than before → on trial → the server is reached → confirm command
 */
import { copyFile, link, unlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { ImageFile } from "@airlift/protocol/image/reader";
import { imageCrypto } from "@airlift/runtime/crypto";
import {
  HandlerError,
  type HandlerFailure,
  type PersistedUpdate,
  type SlotFiles,
  type UnconditionalHandlers,
  type UpdateStore,
} from "../ports.ts";
import { type Command, commandFailed, fillIn, runCommand } from "./command.ts";
import { DownloadFile } from "./download-file.ts";
import { checkHealth, type HealthCheck } from "./health-check.ts";
import { bootIdOfLinux, type InstallRecord, loadedFrom } from "./install-record.ts";
import { RecordStore } from "./record-store.ts";
import { openDirectory } from "./slot-files.ts";
import type { ImageDescription } from "./slot-image.ts";
import { DEFAULT_MAX_IMAGE_BYTES, DEFAULT_PERSIST_EVERY_BYTES } from "./slots.ts";

/** The commands; `{file}` stands for the package's path, `{version}` for its version. */
export interface InstallCommands {
  /** Puts the package in place. Exit code 0: done. */
  readonly install: Command;
  /** Whether the package is whole and by whom it should be. Exit code other than 0: integrityFailed. */
  readonly verify?: Command;
  /** After the restart: exit code 0 when the new version runs. Without it another version than before says so. */
  readonly status?: Command;
  /** Keeps the new version for good, once its server has been reached. */
  readonly confirm?: Command;
  /** What other exit codes of `install` and `verify` mean. */
  readonly results?: Readonly<Record<number, HandlerFailure>>;
  /** Whether an installation needs a restart to take effect. Default true. */
  readonly needsRestart?: boolean;
}

export interface CommandInstallerOptions extends InstallCommands {
  /** Holds the package and what has to outlive a restart; its alone. */
  readonly directory: string;
  /** Of the system that runs at present. */
  version(): string;
  /** Reads what the package says of itself. */
  readonly describe?: (file: ImageFile) => Promise<ImageDescription>;
  /** Path at which the install command looks for the package; default where it was downloaded. */
  readonly place?: (description: ImageDescription) => string;
  readonly healthCheck?: HealthCheck;
  readonly healthTimeoutMs?: number;
  readonly maxImageBytes?: number;
  readonly persistEveryBytes?: number;
  /** How long each command may take. */
  readonly timeoutMs?: number;
  /** Differs from one start of the device to the next; default that of Linux. */
  readonly bootId?: () => string | undefined;
}

export interface CommandInstaller {
  /** For `createUpdateAgent({ handlers })`. */
  readonly handlers: UnconditionalHandlers;
  /** For `createUpdateAgent({ store })`. */
  readonly store: UpdateStore;
}

const PACKAGE = "package";
const VERSION = /^[A-Za-z0-9][A-Za-z0-9._+~^-]*$/;

/** @throws {EnvironmentError} `FILE_SYSTEM` when the directory cannot be made. */
export function createCommandInstaller(options: CommandInstallerOptions): CommandInstaller {
  return new Installer(options);
}

class Installer implements CommandInstaller {
  readonly handlers: UnconditionalHandlers;
  readonly store: UpdateStore;
  readonly #options: CommandInstallerOptions;
  readonly #files: SlotFiles;
  readonly #records: RecordStore<InstallRecord>;
  readonly #download: DownloadFile;
  #isLoaded: Promise<unknown> | undefined;

  constructor(options: CommandInstallerOptions) {
    const { directory, maxImageBytes = DEFAULT_MAX_IMAGE_BYTES } = options;
    this.#options = options;
    const files = openDirectory(directory);
    this.#files = files;
    this.#records = new RecordStore<InstallRecord>(files, imageCrypto, {
      generation: 0,
      update: { state: "idle", result: "initial" },
    });
    this.#download = new DownloadFile({
      files,
      maxImageBytes,
      persistEveryBytes: options.persistEveryBytes ?? DEFAULT_PERSIST_EVERY_BYTES,
      name: () => PACKAGE,
      load: () => this.#records.record.download,
      save: (download) => this.#records.change((record) => ({ ...record, download })),
    });
    this.handlers = {
      openStream: async (origin) => {
        await this.#loaded();
        await this.#download.open(origin);
      },
      write: async (bytes) => {
        await this.#loaded();
        await this.#download.write(bytes);
      },
      finish: () => this.#finish(),
      reset: () => this.#reset(),
      performUpgrade: () => this.#install(),
      confirm: () => this.#confirm(),
      packageName: () => this.#complete()?.name,
      packageVersion: () => this.#complete()?.version,
    };
    this.store = { load: () => this.#load(), save: (update) => this.#save(update) };
  }

  get #path(): string {
    return join(this.#options.directory, PACKAGE);
  }

  #loaded(): Promise<unknown> {
    this.#isLoaded ??= this.#records.load();
    return this.#isLoaded;
  }

  #complete(): InstallRecord["download"] {
    const { download } = this.#records.record;
    return download?.isComplete ? download : undefined;
  }

  // ---- download ----

  async #finish(): Promise<void> {
    await this.#loaded();
    try {
      await this.#verify();
    } catch (error) {
      await this.#forget().catch(() => undefined);
      throw error;
    }
  }

  async #verify(): Promise<void> {
    const { verify, describe } = this.#options;
    await this.#download.finish(async (file) => {
      if (file.sizeBytes === 0) throw new HandlerError("unsupportedPackage", "the package is empty");
      const described = (await describe?.(file)) ?? {};
      // It becomes a word of a command, and part of a path.
      if (!VERSION.test(described.version ?? "0")) throw new HandlerError("unsupportedPackage", "not a version");
      if (verify) await this.#run(verify, "integrityFailed", described);
      await this.#records.change((record) => ({
        ...record,
        download: { ...record.download, ...described, offset: file.sizeBytes, isComplete: true },
        update: { ...record.update, state: "downloaded", result: "initial" },
      }));
    });
  }

  async #reset(): Promise<void> {
    await this.#loaded();
    await this.#download.close();
    await this.#forget();
  }

  /** Frees the space first: it may be what the record needs. */
  async #forget(): Promise<void> {
    await this.#files.unlink(PACKAGE);
    await this.#records.change(({ download: _gone, installation: _over, ...record }) => record);
  }

  // ---- installation ----

  async #install(): Promise<"restarting" | "installed"> {
    await this.#loaded();
    const { version, install, needsRestart = true } = this.#options;
    const described = this.#complete() ?? {};
    const bootId = this.#bootId();
    const installation = { fromVersion: version(), ...(bootId !== undefined && { bootId }), isDone: false };
    await this.#records.change((record) => ({ ...record, installation }));
    const placed = await this.#place(described);
    try {
      await this.#run(install, "failed", described, placed);
    } finally {
      if (placed !== this.#path) await unlink(placed).catch(() => undefined);
    }
    if (!needsRestart) return "installed";
    await this.#records.change((record) => ({ ...record, installation: { ...installation, isDone: true } }));
    return "restarting";
  }

  async #confirm(): Promise<void> {
    const { confirm, healthCheck, healthTimeoutMs } = this.#options;
    if (healthCheck) await checkHealth(healthCheck, healthTimeoutMs);
    if (confirm) await this.#run(confirm, "failed", this.#complete() ?? {});
  }

  /** Where the command looks for the package: a second name of the same file, or a copy on another medium. */
  async #place(described: ImageDescription): Promise<string> {
    const { place } = this.#options;
    if (!place) return this.#path;
    const placed = resolve(place(described));
    // It lies there already, and must not be removed to make room for itself.
    if (placed === resolve(this.#path)) return this.#path;
    await unlink(placed).catch(() => undefined);
    await link(this.#path, placed).catch(() => copyFile(this.#path, placed));
    return placed;
  }

  /** @throws {HandlerError} what the exit code means. {EnvironmentError} COMMAND_FAILED where it means nothing special. */
  async #run(command: Command, otherwise: HandlerFailure | "failed", described: ImageDescription, file = this.#path) {
    const { timeoutMs, results = {} } = this.#options;
    const { version = "" } = described;
    const filled = fillIn(command, { file, version });
    const outcome = await runCommand(filled, timeoutMs === undefined ? {} : { timeoutMs });
    if (outcome.exitCode === 0) return;
    const meaning = outcome.exitCode === undefined ? undefined : results[outcome.exitCode];
    const cause = commandFailed(filled, outcome);
    const result = outcome.wasEnded ? "failed" : (meaning ?? otherwise);
    throw result === "failed" ? cause : new HandlerError(result, cause.message, { cause });
  }

  // ---- what outlives a restart ----

  async #load(): Promise<PersistedUpdate> {
    await this.#loaded();
    return loadedFrom(this.#records.record, {
      bootId: this.#bootId(),
      isNew: (fromVersion) => this.#runsNew(fromVersion),
    });
  }

  async #runsNew(fromVersion: string): Promise<boolean> {
    const { status, version, timeoutMs } = this.#options;
    if (!status) return version() !== fromVersion;
    const command = fillIn(status, { file: this.#path, version: this.#complete()?.version ?? "" });
    return (await runCommand(command, timeoutMs === undefined ? {} : { timeoutMs })).exitCode === 0;
  }

  async #save({ state, result, uri, notes }: PersistedUpdate): Promise<void> {
    await this.#loaded();
    await this.#records.change((record) => ({
      ...record,
      update: { state, result, ...(uri !== undefined && { uri }), ...(notes && { notes }) },
    }));
  }

  #bootId(): string | undefined {
    const { bootId = bootIdOfLinux } = this.#options;
    return bootId();
  }
}
