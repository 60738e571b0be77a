/** How a stream of events says that it is alive, for whoever cannot see that its connection is. */

/**
 * The type of the server-sent event that breaks a silence. It has no id and its data is an empty object: whoever listens
 * for events of no type, as browsers do by default, does not hear it, and whoever does not look at types finds no event.
 *
 * @see HTML Living Standard §9.2.6: a comment is never told to a page
 */
export const HEARTBEAT_EVENT = "heartbeat";

/** Between two heartbeats: proxies close what is silent for a minute, and pages say within one that a line is dead. */
export const HEARTBEAT_MS = 15_000;

/** The pause before a stream that broke off is asked for again: a server that restarts is back soon. */
export const RECONNECT_MS = 2_000;

/** No pause gets longer, however long the server is away: whoever waits for it is back within this of its return. */
export const LONGEST_RECONNECT_MS = 30_000;

/**
 * The pause before the next connection: twice as long with each that failed, to a bound, for ever.
 *
 * @param failureCount Connections that failed one after the other, at least 1.
 * @param chance From 0 up to 1: takes up to a quarter off, so that those whom one server has lost do not come back at once.
 * @param firstMs After the first failure, where the server has named a pause. Default `RECONNECT_MS`.
 */
export const reconnectPauseMs = (failureCount: number, chance: number, firstMs = RECONNECT_MS): number =>
  Math.min(LONGEST_RECONNECT_MS, firstMs * 2 ** (failureCount - 1)) * (1 - chance / 4);
