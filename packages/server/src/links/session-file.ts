/** DTLS sessions over a restart: a file that exists only while no server runs, for its owner alone. */
import { readFile, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { syncFolder, writeFileAtomically } from "@airlift/runtime/atomic-file";
import type { Logger } from "pino";
import type { DoorSessions } from "./dtls-door.ts";

/** Its name in the data folder. It belongs into no backup: sessions of an older moment must not be taken up. */
export const SESSION_FILE = "dtls-sessions.json";

/** By the host that the door listens on. */
type SessionsByHost = ReadonlyMap<string, DoorSessions>;

interface SessionFile {
  readonly version: 1;
  readonly doors: readonly (readonly [host: string, sessions: DoorSessions])[];
}

/**
 * What the last run left, and deletes it first: sessions that are taken up twice would use their numbers twice, which gives
 * their keys away. What cannot be read is left out: devices then make new sessions.
 */
export async function takeSessions(path: string, log: Logger): Promise<SessionsByHost> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
    await unlink(path);
    await syncFolder(dirname(path));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT") log.warn({ code, path }, "the sessions of the last run cannot be taken up");
    return new Map();
  }
  try {
    const file = JSON.parse(text) as SessionFile;
    if (file.version === 1) return new Map(file.doors);
  } catch {
    // Its text holds keys and is not repeated.
  }
  log.warn({ path }, "the sessions of the last run cannot be read: devices make new ones");
  return new Map();
}

/** Keeps sessions for the next run. */
export async function keepSessions(path: string, sessions: SessionsByHost, log: Logger): Promise<void> {
  const file: SessionFile = { version: 1, doors: [...sessions] };
  try {
    await writeFileAtomically(path, JSON.stringify(file), { mode: 0o600 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    log.warn({ code, path }, "the sessions could not be kept: devices make new ones");
  }
}
