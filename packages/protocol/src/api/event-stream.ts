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
