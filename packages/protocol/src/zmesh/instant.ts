/** Instants on the wire: 48 bits of Unix milliseconds, UTC (the field of a UUIDv7), with two values that mean something else. */

export const INSTANT_BYTES = 6;
/** All ones. Update Time: not scheduled. Apply Time: wait for the Apply command. */
export const NEVER = 2 ** 48 - 1;
/** Update Time: on request of the device. Apply Time: at once when verified. */
export const AT_ONCE = 0;

/** Whether a time on the wire is an instant, and not one of the two words. */
export const isInstant = (atMs: number): boolean => atMs !== AT_ONCE && atMs !== NEVER;
