/**
 * What an integrator writes: the handlers of the firmware update.
 *
 * The set is that of a C SDK's firmware update module, as the LwM2M Firmware Update object (/5) needs it. The five of
 * `UpdateHandlers` that are not optional suffice. The agent calls one handler at a time and waits for its promise, so
 * a handler may be slow but never runs twice at once. One that does not settle in
 * time (`handlerTimeoutMs`, `upgradeTimeoutMs`) counts as failed, and what it still does is its own affair.
 */
import type { TransmissionParameters } from "@airlift/protocol/coap/transmission";
import type { TransportSecurity } from "@airlift/protocol/lib/transport-security";
import type { HandlerReason, UpdateResult } from "@airlift/protocol/update/firmware-update";

/**
 * The reasons a handler may give; each becomes the Update Result (/5/0/5) of the same name. conflictingState and
 * dependencyError are for components (object 33629); from the handlers of object 5 they count as no reason.
 */
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
   * Installs the downloaded image, after the server has its answer and has been told State 3.
   * `order` says who wants it, and whether it may be put off: then a `HandlerError` deferred shows Update Result 11, and
   * `performUpgrade` is called again after the agent's `acceptUpdate`, or when the Maximum Defer Period is over.
   * `restarting`: the process or device goes down now and reports the outcome with its next start.
   * `pending`: the outcome comes later through the agent's `setResult`. `installed`: done without a restart.
   * An error returns to Downloaded with failed, and the server may execute Update again; so does a deferral that `order`
   * does not allow.
   */
  performUpgrade(order: UpgradeOrder): Promise<UpgradeProgress> | UpgradeProgress;

  /**
   * The image that runs on trial has proved itself: it registered with its server. Called after a restart in Updating,
   * before the agent tells success; from now on the boot loader keeps the image. An error becomes the result failed.
   * Absent: the agent stays in Updating until `setResult`.
   */
  confirm?(): Promise<void> | void;

  /** Name of the downloaded package, /5/0/6; absent = the resource does not exist. Called in Downloaded only. */
  packageName?(): string | undefined;
  /** Version of the downloaded package, /5/0/7; as `packageName`. */
  packageVersion?(): string | undefined;
  /**
   * Transmission parameters of a pull over CoAP, asked before each of its connections; `undefined`, or an error: those of
   * the agent.
   */
  transmissionFor?(uri: string): TransmissionParameters | undefined;
  /**
   * What secures a pull over TLS or DTLS (https, coaps+tcp, coaps), asked before each of its connections; what the server
   * holds itself comes over the session with it, and nothing is asked. Absent: the server's certificate is checked
   * against the system's trust store; a certificate cannot be pinned over DTLS. `undefined`, or an error, means that there is nothing for
   * this URI: the pull ends with unsupportedProtocol, or with the result that a `HandlerError` names.
   */
  securityFor?(uri: string): Promise<TransportSecurity | undefined> | TransportSecurity | undefined;
  /**
   * How long a pull over TCP or HTTP may hear nothing, in milliseconds, asked before each of its connections. Absent, an
   * error, or not above 0: 30 s.
   */
  tcpTimeoutFor?(uri: string): number | undefined;
}

/** What the integrator says of a pull: how its connections are secured, and how patient they are. */
export type PullHandlers = Pick<UpdateHandlers, "transmissionFor" | "securityFor" | "tcpTimeoutFor">;

/** Handlers that install for whoever orders it, and put nothing off. */
export interface UnconditionalHandlers extends UpdateHandlers {
  performUpgrade(): Promise<UpgradeProgress> | UpgradeProgress;
}

/** Who wants the downloaded image to be installed now. */
export interface UpgradeOrder {
  /**
   * `server` Execute of Update · `automatic` Automatic Upgrade at Download (/5/0/14) · `accepted` a deferral was ended by
   * `acceptUpdate` · `deadline` by the Maximum Defer Period (/5/0/13): install without asking anybody.
   */
  readonly by: "server" | "automatic" | "accepted" | "deadline";
  /** False when the server allows no deferral, or when its time is over. */
  readonly mayDefer: boolean;
  /** /5/0/11: 0 critical, 1 mandatory, 2 optional. */
  readonly severity: number;
}

export type UpgradeProgress = "restarting" | "pending" | "installed";

/**
 * What of an update outlives a restart. At a start the agent loads it and goes on from there.
 *
 * In every state `uri` is the Package URI (/5/0/1) the server wrote last; absent or empty = none.
 */
export type PersistedUpdate = (
  | { readonly state: "idle"; readonly result: UpdateResult; readonly uri?: string }
  | {
      readonly state: "downloading";
      readonly result: "initial";
      /** Empty while the server pushes: such a download cannot be resumed. */
      readonly uri: string;
      /** Of the first answer, to resume with; absent when there was none, or when nothing is stored yet. */
      readonly etag?: Uint8Array;
      /**
       * Octets that are stored for good. 0: nothing is open, begin with `openStream`. Above 0: the stream is open and the
       * next `write` has to bring the octet at this offset; to begin anew, call `reset`, then `openStream`.
       */
      readonly offset: number;
    }
  | { readonly state: "downloaded"; readonly result: UpdateResult; readonly uri?: string }
  /** The new image runs on trial: the agent proves that it works, then confirms it; else the next start falls back. */
  | { readonly state: "updating"; readonly result: "initial"; readonly uri?: string }
) & { readonly notes?: UpdateNotes };

/** What a store should keep beside the truth; without it an agent forgets it at a restart, and works all the same. */
export interface UpdateNotes {
  /** /5/0/12: seconds since 1970-01-01T00:00:00Z. */
  readonly lastStateChangeAtS?: number;
  /** /5/0/11: 0 critical, 1 mandatory, 2 optional. */
  readonly severity?: number;
  /** /5/0/13: seconds; absent when no server has set one. */
  readonly maximumDeferPeriodS?: number;
  /** /5/0/14. */
  readonly automaticUpgrade?: boolean;
  /** Seconds since 1970-01-01T00:00:00Z: the update that was executed may not be put off beyond this. */
  readonly updateDeadlineAtS?: number;
  /** The result that a server has read last, if it has read one since the last change. */
  readonly toldResult?: UpdateResult;
  /** A discarded image may still lie in the store: its `reset` had not ended. */
  readonly discarding?: boolean;
}

/**
 * Where the agent's part of the truth is kept. `save` is durable once its promise settles; the agent saves before it acts.
 * The handlers may know more: after a start, `load` already tells what became of the download and the installation
 * (`updating` that never switched is `downloaded` with `failed`; an image that fell back is `idle` with `failed`).
 * Calls may overlap with the handlers; they take effect in the order in which they were made.
 */
export interface UpdateStore {
  load(): Promise<PersistedUpdate>;
  /** The `offset` and `etag` of a download are the handlers' own affair and are not taken from `update`. */
  save(update: PersistedUpdate): Promise<void>;
}

/**
 * The few file operations the slots need, as a port, so that a test can cut the power at each of them.
 *
 * Names are relative to the slots' directory, with at most one folder: `a/image`. What was written is only certain to
 * outlive a power cut after `sync` of the file, what was created, renamed or removed only after `syncFolderOf` its name.
 * `rename` replaces at once: whoever looks sees the old or the new file.
 * All reject with `EnvironmentError`: `NO_SPACE` when the medium is full, else `FILE_SYSTEM`.
 */
export interface SlotFiles {
  /** `undefined` when a file to `read` or `update` is not there. `create` makes it, or empties the one that is there. */
  open(name: string, how: "read" | "update" | "create"): Promise<SlotFile | undefined>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; that there is none is no error. */
  unlink(name: string): Promise<void>;
  syncFolderOf(name: string): Promise<void>;
}

export interface SlotFile {
  sizeBytes(): Promise<number>;
  /** The octets at `offset`: `length` of them, or fewer at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Writes all of `bytes`, which may be reused once the promise settles. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  truncate(sizeBytes: number): Promise<void>;
  sync(): Promise<void>;
  /** Once; no other call follows. */
  close(): Promise<void>;
}
