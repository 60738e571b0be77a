/** What goes into a transmitter and comes out of it. */
import type { Poll } from "./command.ts";
import type { DutyLedger, LedgerRecord } from "./duty-ledger.ts";
import type { LossAssumption } from "./repair-plan.ts";
import type { TransmitterState } from "./transmitter-table.ts";

export type TransmitterInput =
  /** A device has answered a poll: it still needs `deficit` packets, 1 … 65535. */
  | { readonly kind: "answer"; readonly device: string; readonly deficit: number }
  /** A device asks for packets. */
  | { readonly kind: "interest"; readonly seqs: readonly number[] }
  | { readonly kind: "cancel" }
  | { readonly kind: "wake" };

export type TransmitterOutput =
  /** Both to be durable, together, before what follows in the list is done. */
  | { readonly kind: "save"; readonly record: TransmitterRecord; readonly ledger: LedgerRecord }
  /** Begins now; its airtime is booked. */
  | { readonly kind: "content"; readonly seq: number; readonly payload: Uint8Array }
  /** A command to the group: seal and send it now; its airtime is booked. */
  | { readonly kind: "poll"; readonly poll: Poll }
  | { readonly kind: "ended"; readonly outcome: "finished" | "cancelled"; readonly tally: Tally };

/** What was sent. */
export interface Tally {
  readonly controlCount: number;
  readonly dataCount: number;
  readonly repairCount: number;
  readonly pollCount: number;
  readonly answerCount: number;
  readonly airtimeMs: number;
}

/** The messages from `first` to `last`, one after the other; or a poll. */
export type Run =
  | { readonly kind: "content"; readonly first: number; readonly last: number }
  | { readonly kind: "poll"; readonly slotCount: number; readonly slotMs: number; readonly leastDeficit: number };

/** What outlives a restart. It holds no key. */
export interface TransmitterRecord {
  readonly state: TransmitterState;
  /** What is still to be sent, in order. */
  readonly runs: readonly Run[];
  readonly lastRepair: number;
  /** Copies of End that were sent or are among `runs`. */
  readonly endCount: number;
  readonly pollCount: number;
  /** Polls without an answer since the last one that had some. */
  readonly quietCount: number;
  /** Devices were asked once to fetch what they lack: those that still answer polls cannot. */
  readonly wereInvited?: boolean;
  readonly tally: Tally;
}

/** What is broadcast: `PackedContent`, or what a content store holds. Two calls give the same octets. */
export interface BroadcastContent {
  readonly name: Uint8Array;
  readonly dataCount: number;
  readonly payloadBytes: number;
  /** The payload of any SEQ: 0 Begin, 1 … K, K + 1 End, then parity. */
  payloadAt(seq: number): Uint8Array;
}

export interface TransmitterOptions {
  readonly content: BroadcastContent;
  /** Of the sub-band; shared with everything else this transmitter sends. */
  readonly ledger: DutyLedger;
  /** Monotonic. */
  readonly startAtMs: number;
  /** Between the beginnings of two packets; announced, and at least what `gapMs` says. */
  readonly gapMs: number;
  readonly loss: number;
  readonly clumping?: LossAssumption["clumping"];
  readonly deviceCount: number;
  readonly rateBps?: number;
  /** `false`: all receivers are plain, and parity would be wasted. */
  readonly usesRepair?: boolean;
  readonly slotMs?: number;
  readonly maxPolls?: number;
  readonly pullQuietMs?: number;
}

/** A status event at 50 kb/s takes 7.2 ms; the rest is for clocks and radios that turn round. */
export const DEFAULT_SLOT_MS = 20;
/** Rounds of parity before those that are left have to ask for themselves. */
export const DEFAULT_MAX_POLLS = 16;
/** Nobody has asked for so long: a device asks 2 s after the invitation, and 4 s after an answer. The next poll tells whether all have all. */
export const DEFAULT_PULL_QUIET_MS = 15_000;
