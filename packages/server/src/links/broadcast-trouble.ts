/** What keeps one broadcast from going on and nobody else's: a group's numbers are used up, its key or an image's file is not here. */
import { EnvironmentError } from "@airlift/protocol/lib/errors";

/** These are everybody's: a turn ends with them, and the next one begins anew. */
const OF_ALL: readonly string[] = ["DATABASE_AWAY", "STORE_BUSY"];

/** Why, for those who wait for it; undefined when the failure is not of one broadcast alone. */
export const troubleOf = (error: unknown): string | undefined =>
  error instanceof EnvironmentError && !OF_ALL.includes(error.code) ? error.message : undefined;
