/** What goes into the core of the firmware update and what comes out of it. */
import type { FailureResult, FirmwareEvent, UpdateResult } from "@airlift/protocol/update/firmware-update";
import type { DownloadOrigin, HandlerFailure, UpgradeOrder, UpgradeProgress } from "../ports.ts";
import type { Persisted } from "./persisted.ts";

/** Where an update stands. */
export type Standing = Pick<Persisted, "state" | "result">;

/** One request of the server that waits for its answer; unique as long as it does. */
export type Exchange = number;

/** What a handler's call came to. `reason` is absent for an error that is no `HandlerError`. */
export type HandlerOutcome =
  | { readonly ok: true; readonly value?: UpgradeProgress | undefined }
  | { readonly ok: false; readonly reason?: HandlerFailure | undefined };

export type HandlerCall =
  | { readonly handler: "openStream"; readonly origin: DownloadOrigin }
  | { readonly handler: "write"; readonly bytes: Uint8Array }
  | { readonly handler: "finish" | "reset" }
  | { readonly handler: "performUpgrade"; readonly order: UpgradeOrder };

/** A piece of a push. `push` names the transfer, `exchange` the request that brought this piece. */
export interface PackageChunk {
  readonly kind: "packageChunk";
  readonly push: number;
  readonly exchange: Exchange;
  readonly first: boolean;
  readonly last: boolean;
  readonly bytes: Uint8Array;
  /** `base64`: the content format was text/plain. */
  readonly encoding: "opaque" | "base64";
}

/** What a server may set at any time: Severity, Maximum Defer Period, Automatic Upgrade at Download (11, 13, 14). */
export type UpdateSetting =
  | Pick<Persisted, "severity">
  | Pick<Persisted, "automaticUpgrade">
  | { readonly maximumDeferPeriodS: number };

export type UpdateInput =
  /** The first input of every run: takes up what the last run left. */
  | { readonly kind: "start" }
  /** `supported`: the URI can be parsed and its scheme is one that the device pulls. */
  | { readonly kind: "writeUri"; readonly exchange: Exchange; readonly uri: string; readonly supported: boolean }
  | PackageChunk
  | { readonly kind: "packageBroken"; readonly push: number }
  | { readonly kind: "executeUpdate" | "executeCancel"; readonly exchange: Exchange }
  | { readonly kind: "writeSetting"; readonly exchange: Exchange; readonly setting: UpdateSetting }
  /** The first answer of the pull: what is known of the image. */
  | { readonly kind: "pullOrigin"; readonly pull: number; readonly etag: Uint8Array | undefined }
  | { readonly kind: "pullChunk"; readonly pull: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "pullEnded"; readonly pull: number }
  | { readonly kind: "pullFailed"; readonly pull: number; readonly result: FailureResult }
  /** The image at the URI is no longer the one that a resumed pull began with. */
  | { readonly kind: "pullChanged"; readonly pull: number }
  | { readonly kind: "handlerSettled"; readonly call: number; readonly outcome: HandlerOutcome }
  /** The integrator tells an outcome; `settable` says whether it may. */
  | { readonly kind: "setResult"; readonly result: UpdateResult }
  /** What another component, or the integrator, did moves this one; only an event that the state has an arrow for. */
  | { readonly kind: "moved"; readonly event: FirmwareEvent }
  /** The deferred update is to begin. */
  | { readonly kind: "accept" }
  /** A server has been told the Update Result. */
  | { readonly kind: "resultTold" }
  | { readonly kind: "wake" };

export type AnswerCode = "2.04" | "2.31" | "4.00" | "4.05" | "4.08" | "5.00";

export type UpdateOutput =
  | { readonly kind: "answer"; readonly exchange: Exchange; readonly code: AnswerCode }
  /** Settle it with `handlerSettled`; no other call is made before. */
  | ({ readonly kind: "call"; readonly call: number } & HandlerCall)
  /** Download `uri` from `offset` on; `etag` is set when `offset` is not 0. */
  | {
      readonly kind: "startPull";
      readonly pull: number;
      readonly uri: string;
      readonly offset: number;
      readonly etag: Uint8Array | undefined;
    }
  /** The last chunk is stored; the next one may come. */
  | { readonly kind: "pullNext"; readonly pull: number }
  | { readonly kind: "stopPull"; readonly pull: number }
  /** To be on the disk before any later output is performed. */
  | { readonly kind: "save"; readonly persisted: Persisted }
  /**
   * Resources of /5/0 whose values changed, in the order in which observers are to be told, and where the update stood
   * then: by the time this is performed the facts may have moved on.
   */
  | ({ readonly kind: "changed"; readonly resources: readonly number[] } & Standing);
