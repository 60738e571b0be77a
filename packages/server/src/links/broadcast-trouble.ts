/** What keeps one broadcast, or one device of it, from going on and nobody else's: numbers are used up, a key or an image's file is not here. */
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { Muteness } from "../store/mesh-devices.ts";
import type { MeshChange, MeshUpdate } from "../store/mesh-updates.ts";

/** These are everybody's: a turn ends with them, and the next one begins anew. */
const OF_ALL: readonly string[] = ["DATABASE_AWAY", "STORE_BUSY"];

/** Why, for those who wait for it; undefined when the failure is not of one broadcast alone. */
export const troubleOf = (error: unknown): string | undefined =>
  error instanceof EnvironmentError && !OF_ALL.includes(error.code) ? error.message : undefined;

/** Of an update whose device nothing can be said to. */
export const MUTE_TEXT: Readonly<Record<Muteness, string>> = {
  keyless: "the device's own key is not here",
  numberless: "the device has used up its own numbers and needs a new key",
};

/** What is said of an update that cannot go on: a key may be brought back, numbers do not come again. */
export function muteChange({ updateId, state }: MeshUpdate, muteness: Muteness): MeshChange {
  const why = MUTE_TEXT[muteness];
  if (muteness === "numberless") return { updateId, state: "failed", failure: "rejected", sentence: `failed: ${why}` };
  return waitChange({ updateId, state }, why);
}

/** Who has a part of it from an earlier broadcast keeps it. */
export function waitChange({ updateId, state }: Pick<MeshUpdate, "updateId" | "state">, why: string): MeshChange {
  const kept = state === "transferring" ? state : ("waiting" as const);
  return { updateId, state: kept, failure: null, sentence: `${kept}: ${why}` };
}
