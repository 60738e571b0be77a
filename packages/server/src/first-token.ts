/** The first administrator's token: who may read the data folder may rule the server, and nobody else gets in before. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { writeFileAtomically } from "@airlift/runtime/atomic-file";
import type { Logger } from "pino";
import type { TokenStore } from "./store/credential-ports.ts";

export const FIRST_TOKEN_FILE = "first-admin-token";

/**
 * Makes a token when there is none, and puts it into a file for its owner alone. The log says where, never what.
 *
 * @throws {EnvironmentError} FIRST_TOKEN when the file cannot be written; then there is no token either.
 */
export async function keepFirstToken(tokens: TokenStore, dataDir: string, log: Logger): Promise<void> {
  const file = join(dataDir, FIRST_TOKEN_FILE);
  let isWritten = false;
  const keep = async (text: string) => {
    await writeFileAtomically(file, `${text}\n`, { mode: 0o600 }).catch((error: Error) => {
      throw new EnvironmentError("FIRST_TOKEN", `${file}: ${error.message}`, { file }, { cause: error });
    });
    isWritten = true;
  };
  const made = await tokens.createFirst(keep).catch(async (error: unknown) => {
    // A file that opens nothing would only mislead.
    if (isWritten) await rm(file, { force: true });
    throw error;
  });
  if (made !== undefined)
    log.warn(
      { file, tokenId: made.id },
      "there was no token: an administrator's is in this file; delete it when you have it",
    );
}
