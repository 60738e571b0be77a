/**
 * What an integrator writes: the handlers of the firmware update.
 *
 * The set is that of a C SDK's firmware update module, as the LwM2M Firmware Update object (/5) needs it. The five of
 * `UpdateHandlers` that are not optional suffice. The agent calls one handler at a time and waits for its promise, so
 * a handler may be slow but never runs twice at once.
 */
import type { HandlerReason } from "@airlift/protocol/update/firmware-update";

/** The reasons a handler may give; each becomes the Update Result (/5/0/5) of the same name. */
export type HandlerFailure = HandlerReason;

/** Thrown by a handler that knows why it failed. Any other error becomes the default that the handler's comment names. */
export class HandlerError extends Error {
  readonly result: HandlerFailure;

  constructor(result: HandlerFailure, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "HandlerError";
    this.result = result;
  }
}

/** What is known of a download before its first byte. Push: neither is known. */
export interface DownloadOrigin {
  /** Package URI (/5/0/1) of a pull. */
  readonly uri?: string;
  /** Entity tag of the first answer, for a later resume: CoAP ETag 1 … 8 octets, or the strong HTTP tag. */
  readonly etag?: Uint8Array;
}

export interface UpdateHandlers {
  /**
   * Prepares to receive an image: opens a file, gets flash ready. Called in Idle (push: when the Write begins; pull: when
   * the first block arrives). Once per download, or again after `reset` when a download starts over.
   * An error becomes noFlash on a pull; on a push the Write is refused and the result stays.
   */
  openStream(origin: DownloadOrigin): Promise<void> | void;

  /**
   * Appends the next octets of the image, 1 … 1024 of a block or what a TCP read gave. `bytes` is a view that is
   * valid until the promise settles. On an error `reset` follows at once; default noFlash.
   */
  write(bytes: Uint8Array): Promise<void> | void;

  /** Closes and verifies what was written. Counts as closed whatever happens; no `reset` follows an error. Default noFlash. */
  finish(): Promise<void> | void;

  /**
   * Forgets the image: closes a stream that is open, deletes what was stored. Called on a reset by the server, Cancel, a
   * failed download, and after an update has ended. May be called when nothing was opened, and more than once.
   */
  reset(): Promise<void> | void;

  /**
   * Reopens what an earlier run of the program stored of this download, and returns how many octets are really there:
   * the next `write` appends after them. Called once after a restart in Downloading, instead of `openStream`, when the
   * download has an entity tag. Absent, 0 or an error: `reset`, and the download starts over.
   */
  resumeStream?(origin: DownloadOrigin): Promise<number> | number;

  /**
   * Installs the downloaded image, after the server has its answer and has been told State 3.
   * `restarting`: the process or device goes down now and reports the outcome with its next start.
   * `pending`: the outcome comes later through the agent's `setResult`. `installed`: done without a restart.
   * An error returns to Downloaded with failed, and the server may execute Update again.
   */
  performUpgrade(): Promise<UpgradeProgress> | UpgradeProgress;

  /**
   * What became of the update, asked once after a restart in Updating. Absent counts as `unknown`.
   * `notStarted`: power went before anything was installed; `performUpgrade` is called again.
   * `unknown`: the outcome comes later through the agent's `setResult`.
   */
  upgradeOutcome?(): Promise<UpgradeOutcome> | UpgradeOutcome;

  /**
   * The running image has proved itself: it reached the server. Called once after the first registration of every
   * start; a boot loader that would fall back to the old image no longer does after this.
   */
  confirm?(): Promise<void> | void;

  /** Name of the downloaded package, /5/0/6; absent = the resource does not exist. Called in Downloaded only. */
  packageName?(): string | undefined;
  /** Version of the downloaded package, /5/0/7; as `packageName`. */
  packageVersion?(): string | undefined;
}

export type UpgradeProgress = "restarting" | "pending" | "installed";

export type UpgradeOutcome = "success" | "integrityFailed" | "failed" | "notStarted" | "unknown";
