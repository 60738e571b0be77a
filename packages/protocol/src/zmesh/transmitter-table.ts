/** A broadcast as a table. Source: Z-Mesh software update; profile 7, 8. */
import type { Arrow, Table } from "../machine/table.ts";

export type TransmitterState =
  | "waiting"
  | "streaming"
  | "repairing"
  | "polling"
  | "pulling"
  | "ending"
  | "finished"
  | "cancelled";

/**
 * `due`: Update Time. `sent`: nothing of the present run is left. After a poll `unanswered`, or `settled` when that was the last
 * one needed, or `exhausted` when there were too many; or what its answers ask for. `unasked`: nobody asks for packets, or not any
 * more; whoever cannot ask answers the next poll. `quiet`: the same when the polls are used up.
 */
export type TransmitterEvent =
  | "due"
  | "sent"
  | "unanswered"
  | "settled"
  | "exhausted"
  | "needsParity"
  | "needsHead"
  | "needsPull"
  | "unasked"
  | "quiet"
  | "cancel";

export type TransmitterAction =
  | "sendAll"
  | "sendPoll"
  | "sendParity"
  | "sendHead"
  | "invitePull"
  | "sendEnd"
  | "stop"
  | "tell";

type TransmitterArrow = Arrow<TransmitterState, TransmitterAction, undefined>;

const to = (state: TransmitterState, ...actions: TransmitterAction[]): TransmitterArrow => ({
  to: state,
  actions,
  extra: undefined,
});

const cancel = to("cancelled", "stop", "tell");

export const TRANSMITTER: Table<TransmitterState, TransmitterEvent, TransmitterAction, undefined> = {
  waiting: { due: to("streaming", "sendAll"), cancel },
  streaming: { sent: to("polling", "sendPoll"), cancel },
  repairing: { sent: to("polling", "sendPoll"), cancel },
  polling: {
    unanswered: to("polling", "sendPoll"),
    settled: to("ending", "sendEnd"),
    exhausted: to("pulling", "invitePull"),
    needsParity: to("repairing", "sendParity"),
    needsHead: to("repairing", "sendHead"),
    needsPull: to("pulling", "invitePull"),
    cancel,
  },
  pulling: { unasked: to("polling", "sendPoll"), quiet: to("ending", "sendEnd"), cancel },
  ending: { sent: to("finished", "tell"), cancel },
  finished: {},
  cancelled: {},
};
