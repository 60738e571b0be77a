/** What an integrator writes for packages above the firmware (object 9): handlers for each, and where their state is kept. */
import type { SoftwareResult, SoftwareState } from "@airlift/protocol/update/software-management";
import type { PersistedUpdate, PullHandlers, UpdateHandlers, UpgradeProgress } from "./ports.ts";

/**
 * The handlers of one package. Those of the download are as in `UpdateHandlers`; `reset` forgets what was downloaded and
 * leaves what is installed. One is called at a time.
 */
export interface SoftwareHandlers
  extends PullHandlers,
    Pick<UpdateHandlers, "openStream" | "write" | "finish" | "reset"> {
  /**
   * Installs what was downloaded, over what is installed if there is something; it is inactive then. What it gives is as
   * for `performUpgrade`. An error leaves the package delivered, with installFailed.
   */
  install(): Promise<UpgradeProgress> | UpgradeProgress;
  /** Removes the package, active or not. An error leaves it installed and inactive, with uninstallFailed. */
  uninstall(): Promise<void> | void;
  /** The server will send an upgrade of the package, which stays in place until then; stop it where it must not run. */
  prepareUpgrade?(): Promise<void> | void;
  /** Starts the software. An error refuses the request. */
  activate(): Promise<void> | void;
  /** Stops the software. An error refuses the request. */
  deactivate(): Promise<void> | void;
  /** After a restart for an installation: the server has been reached. As in `UpdateHandlers`. */
  confirm?(): Promise<void> | void;
  /** PkgName (/9/x/0) of what is installed, else of what was downloaded; empty when there is neither. */
  packageName(): string;
  /** PkgVersion (/9/x/1), as `packageName`. */
  packageVersion(): string;
}

/** What of a package outlives a restart. */
export interface PersistedSoftware {
  readonly state: SoftwareState;
  readonly result: SoftwareResult;
  /** Of its download and installation. */
  readonly download: PersistedUpdate;
}

/** As `UpdateStore`, for one package. */
export interface SoftwareStore {
  load(): Promise<PersistedSoftware>;
  save(software: PersistedSoftware): Promise<void>;
}

export interface SoftwareOptions {
  readonly handlers: SoftwareHandlers;
  /** Without one a restart begins with nothing installed. */
  readonly store?: SoftwareStore;
}

/** Packages by the number of their instance, 0 … 65534. */
export type SoftwareTable = Readonly<Record<number, SoftwareOptions>>;

/** A package of a running agent. */
export interface Software {
  readonly state: SoftwareState;
  readonly result: SoftwareResult;
  readonly isActive: boolean;
  /** The outcome of an installation that `install` left pending. @throws {UsageError} RESULT_NOT_SETTABLE */
  setResult(result: "installed" | "installFailed"): void;
}
