/** What goes into a receiver and comes out of it. */
import type { Random } from "../lib/core.ts";
import type { FirmwareResult } from "../update/firmware-update.ts";
import type { Cancel, Poll } from "./command.ts";
import type { ContentProfile, ExpectedContent } from "./content-proof.ts";
import type { ZmeshCrypto } from "./crypto-port.ts";
import type { InterestFields } from "./interest.ts";
import type { ReceiverState } from "./receiver-table.ts";
import type { Schedule } from "./schedule.ts";
import type { StatusDetail, StatusEvent } from "./status-event.ts";
import type { WordFlash } from "./word-flash.ts";

/** Commands are opened and found fresh before they get here; frames have a MAC that fits and the schedule's name. */
export type ReceiverInput =
  | { readonly kind: "schedule"; readonly schedule: Schedule; readonly utcMs: number }
  | { readonly kind: "cancel"; readonly cancel: Cancel }
  | { readonly kind: "apply"; readonly name: Uint8Array }
  /** The network wants it to ask for what it lacks, if it can. */
  | { readonly kind: "fetch"; readonly name: Uint8Array }
  | { readonly kind: "poll"; readonly poll: Poll }
  /** Another device's answer to the poll was heard. */
  | { readonly kind: "overheard"; readonly deficit: number }
  | { readonly kind: "content"; readonly seq: number; readonly payload: Uint8Array }
  /** The device has a new idea of the time of day. */
  | { readonly kind: "clock"; readonly utcMs: number }
  /** What became of the installation. */
  | { readonly kind: "installed"; readonly outcome: "confirmed" | "rolledBack" }
  | { readonly kind: "wake" };

export type ReceiverOutput =
  /** To be durable before what follows it in the list is done. */
  | { readonly kind: "save"; readonly record: ReceiverRecord }
  | { readonly kind: "status"; readonly status: ReceiverStatus }
  | { readonly kind: "interest"; readonly interest: InterestFields }
  /** Once for a session. A record found in `applying` was told so: its owner installs then, or says what became of it. */
  | { readonly kind: "install" };

/** A status event but for what the device knows of itself: its version and its battery. */
export type ReceiverStatus = Omit<StatusEvent, "version" | "batteryPercent" | "flags" | "detail"> & {
  readonly detail: StatusDetail;
};

/** What outlives a restart, beside the two flashes. It holds the content key. */
export interface ReceiverRecord {
  readonly state: ReceiverState;
  readonly result: FirmwareResult;
  /** Absent in idle. */
  readonly schedule?: Schedule;
  /** Known since the content began; then the flashes hold a reception of it. */
  readonly profile?: ContentProfile;
  /** From End. */
  readonly end?: { readonly applyAtMs: number; readonly imageDigest: Uint8Array };
  /** The flashes are being cleared: not yet to be looked at. */
  readonly isClearing?: boolean;
}

export interface ReceiverOptions {
  readonly crypto: ZmeshCrypto;
  /** For the slot of an answer and the moment of a request. */
  readonly random: Random;
  /** As large as the largest image. */
  readonly slotFlash: WordFlash;
  readonly scratchFlash: WordFlash;
  /** The verified manifest of a content, if the device has one. */
  expectedContent?(name: Uint8Array): ExpectedContent | undefined;
  /** A content without a manifest is taken. Default `false`. */
  readonly allowsUnsigned?: boolean;
  /** `false`: a plain receiver without a decoder. Default `true`. */
  readonly usesRepair?: boolean;
  /** `false`: the device cannot ask for packets. Default `true`. */
  readonly canRequest?: boolean;
  readonly maxMissing?: number;
  readonly timing?: Partial<ReceiverTiming>;
}

export interface ReceiverTiming {
  /** After Update Time, a reception that got stuck is given up. */
  readonly windowMs: number;
  /** Nothing heard for so long, or for 20 gaps, means suspended. */
  readonly silenceMs: number;
  /** How long a suspended reception waits for the broadcast before it asks itself. */
  readonly patienceMs: number;
  /** First pause between two requests; it doubles while nothing comes, up to `longestPauseMs`. */
  readonly requestPauseMs: number;
  readonly longestPauseMs: number;
  /** When no manifest announces another. */
  readonly gapMs: number;
}

/** In the field: half a minute of silence is a suspended session, six hours after Update Time a stuck one is over. */
export const DEFAULT_RECEIVER_TIMING: ReceiverTiming = {
  windowMs: 6 * 3_600_000,
  silenceMs: 30_000,
  patienceMs: 60_000,
  requestPauseMs: 2_000,
  longestPauseMs: 600_000,
  gapMs: 1_000,
};
