/**
 * The life of one device in a campaign as a table: the update's own states, with attempts and the campaign's permits on top.
 *
 * `queued` and `waiting` without an attempt under way are the campaign's; from `begin` on the states are the update's own
 * (delivery/device-update), told by the events of the same names.
 */
import type { Arrow, Table } from "@airlift/protocol/machine/table";
import type { UpdateState } from "@airlift/protocol/update/device-update";

/**
 * What the campaign decides: `defer` waits, `begin` hands an attempt over, `apply` permits the installation, `hold` lets it wait, `withdraw`
 * takes the permit back from whoever has not executed yet, `retry` puts a failed attempt back, `nextStone` goes on to the next image of the chain, `end` cancels what is not under way, `stop` what is. The others
 * are states of the attempt's update.
 */
export type TargetEvent =
  | "defer"
  | "begin"
  | "apply"
  | "hold"
  | "withdraw"
  | "retry"
  | "nextStone"
  | "end"
  | "giveUp"
  | "exclude"
  | "againByHand"
  | "stop"
  | Exclude<UpdateState, "queued">;

/** `open`: an attempt is under way from here on; `close`: it has ended; `order…`: what the device is to be told. */
export type TargetAction = "open" | "close" | "orderBegin" | "orderApply" | "orderHold" | "orderCancel";

type TargetArrow = Arrow<UpdateState, TargetAction, undefined>;

const to = (state: UpdateState, ...actions: TargetAction[]): TargetArrow => ({ to: state, actions, extra: undefined });

const decisions = {
  defer: to("waiting"),
  begin: to("waiting", "open", "orderBegin"),
  end: to("cancelled"),
  giveUp: to("silent"),
  exclude: to("skipped"),
} as const;

const bad = {
  failed: to("failed", "close"),
  silent: to("silent", "close"),
  fellBack: to("fellBack", "close"),
  cancelled: to("cancelled", "close"),
  skipped: to("skipped", "close"),
  retry: to("waiting", "close"),
} as const;

const news = {
  ...bad,
  succeeded: to("succeeded", "close"),
  nextStone: to("waiting", "close"),
  transferring: to("transferring"),
  downloaded: to("downloaded"),
  waitingToApply: to("waitingToApply"),
  applying: to("applying"),
  confirming: to("confirming"),
} as const;

export const TARGET: Table<UpdateState, TargetEvent, TargetAction, undefined> = {
  queued: decisions,
  waiting: {
    ...decisions,
    ...news,
    waiting: to("waiting"),
    withdraw: to("waiting", "orderHold"),
    stop: to("waiting", "orderCancel"),
  },
  transferring: {
    ...news,
    waiting: to("waiting"),
    withdraw: to("transferring", "orderHold"),
    stop: to("transferring", "orderCancel"),
  },
  downloaded: {
    ...news,
    waiting: to("waiting"),
    withdraw: to("downloaded", "orderHold"),
    stop: to("downloaded", "orderCancel"),
  },
  waitingToApply: {
    ...news,
    waiting: to("waiting"),
    apply: to("waitingToApply", "orderApply"),
    hold: to("waitingToApply"),
    // Until its update says that it waits again, it may be installing, and keeps its place under the caps.
    withdraw: to("downloaded", "orderHold"),
    stop: to("waitingToApply", "orderCancel"),
  },
  // Too late for this time; one that comes back with the image not installed is not asked again.
  applying: { ...news, downloaded: to("downloaded"), withdraw: to("applying", "orderHold") },
  confirming: { ...news, downloaded: to("downloaded"), withdraw: to("confirming", "orderHold") },
  succeeded: {},
  failed: { againByHand: to("waiting") },
  silent: { againByHand: to("waiting") },
  fellBack: { againByHand: to("waiting") },
  cancelled: { againByHand: to("waiting") },
  skipped: { againByHand: to("waiting") },
};
