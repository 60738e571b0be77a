/** A receiver's session as a table, and what each state is in the words of LwM2M. Source: Z-Mesh software update; profile 7, 8, 9. */
import type { Arrow, Table } from "../machine/table.ts";
import type { FirmwareResult, FirmwareState } from "../update/firmware-update.ts";
import type { StatusDetail } from "./status-event.ts";

export type ReceiverState =
  | "idle"
  | "waiting"
  | "receiving"
  | "repairing"
  | "pulling"
  | "suspended"
  | "verified"
  | "applying";

/** The results a reception can fail with. */
export type ReceptionFailure = "noFlash" | "connectionLost" | "integrityFailed" | "unsupportedPackage";

/**
 * `begun`: the first message of the content that says what it is. `ended`: End came, or parity did. `silent`: nothing for
 * max(30 s, 20 gaps). `heard`: something after that. `request`: the device asks for packets itself. `finished`: complete and
 * verified.
 */
export type ReceiverEvent =
  | "schedule"
  | "begun"
  | "ended"
  | "silent"
  | "heard"
  | "request"
  | "finished"
  | "apply"
  | "applied"
  | "rolledBack"
  | "cancel"
  | `failed.${ReceptionFailure}`;

export type ReceiverAction = "prepare" | "discard" | "install";

type ReceiverArrow = Arrow<ReceiverState, ReceiverAction, FirmwareResult>;

const to = (state: ReceiverState, result: FirmwareResult, ...actions: ReceiverAction[]): ReceiverArrow => ({
  to: state,
  actions,
  extra: result,
});

const cancel = to("idle", "cancelled", "discard");
/** A new schedule takes the place of what is under way: the operator wants that one. */
const schedule = to("waiting", "initial", "discard");

const fail: Readonly<Record<`failed.${ReceptionFailure}`, ReceiverArrow>> = {
  "failed.noFlash": to("idle", "noFlash", "discard"),
  "failed.connectionLost": to("idle", "connectionLost", "discard"),
  "failed.integrityFailed": to("idle", "integrityFailed", "discard"),
  "failed.unsupportedPackage": to("idle", "unsupportedPackage", "discard"),
};

const underWay = { schedule, cancel, ...fail };

/** `extra` is the Update Result that holds in the state an arrow leads to. */
export const RECEIVER: Table<ReceiverState, ReceiverEvent, ReceiverAction, FirmwareResult> = {
  idle: { schedule: to("waiting", "initial") },
  waiting: {
    schedule: to("waiting", "initial"),
    cancel: to("idle", "cancelled"),
    request: to("pulling", "initial"),
    begun: to("receiving", "initial", "prepare"),
    ...fail,
  },
  receiving: {
    ...underWay,
    ended: to("repairing", "initial"),
    silent: to("suspended", "initial"),
    request: to("pulling", "initial"),
    finished: to("verified", "initial"),
  },
  repairing: {
    ...underWay,
    silent: to("suspended", "initial"),
    request: to("pulling", "initial"),
    finished: to("verified", "initial"),
  },
  pulling: {
    ...underWay,
    begun: to("pulling", "initial", "prepare"),
    finished: to("verified", "initial"),
  },
  suspended: {
    ...underWay,
    heard: to("repairing", "initial"),
    request: to("pulling", "initial"),
    finished: to("verified", "initial"),
  },
  verified: { ...underWay, apply: to("applying", "initial", "install") },
  applying: {
    applied: to("idle", "success", "discard"),
    rolledBack: to("idle", "failed", "discard"),
  },
};

/** A state in LwM2M's words, and the detail a status event adds to it. */
export const STATUS_OF: Readonly<
  Record<ReceiverState, { readonly state: FirmwareState; readonly detail: StatusDetail }>
> = {
  idle: { state: "idle", detail: "none" },
  waiting: { state: "idle", detail: "scheduled" },
  receiving: { state: "downloading", detail: "receiving" },
  repairing: { state: "downloading", detail: "repairing" },
  pulling: { state: "downloading", detail: "repairing" },
  suspended: { state: "downloading", detail: "suspended" },
  verified: { state: "downloaded", detail: "verified" },
  applying: { state: "updating", detail: "applying" },
};
