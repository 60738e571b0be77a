/** A disk that takes nothing. A gateway that only hears goes on; one that sends ends: nothing is sent that is not on record. */
import { EnvironmentError } from "@airlift/protocol/lib/errors";

/** Of node:fs; what else goes wrong there is a mistake of ours, or of whoever started the program. */
const CODES: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EIO", "EROFS", "EFBIG"]);

/** DISK, if that is what `error` tells; undefined = it is something else. */
export function diskFailureOf(error: unknown, dataDir: string): EnvironmentError | undefined {
  if (!(error instanceof Error) || !("code" in error) || !CODES.has(error.code)) return undefined;
  const sentence = `what has to be kept in ${dataDir} cannot be: ${error.message}. Nothing is sent any more; the next start goes on where it was`;
  return new EnvironmentError("DISK", sentence, { dataDir, reason: error.code }, { cause: error });
}
