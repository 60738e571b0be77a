/** One process at a time: a file that names its owner, and is taken over when that owner is no more. */
import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { machineMoment } from "./machine-time.ts";

/** A lock that is held. */
export interface FileLock {
  /** Gives it back; once. */
  release(): void;
}

/** @throws {EnvironmentError} `LOCKED` while another process holds it; node:fs throws its own. */
export function lockFile(path: string): FileLock {
  const mine = JSON.stringify(ownerOf(process.pid));
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    writeFileSync(draft, mine, { mode: 0o600 });
    for (let attempt = 0; attempt < 3; attempt += 1) {
      if (tryLink(draft, path)) return { release: () => release(path, mine) };
      evict(path, draft);
    }
    throw held(path);
  } finally {
    rmSync(draft, { force: true });
  }
}

interface Owner {
  readonly pid: number;
  readonly bootId: string;
  /** Numbers of processes come again; the moment one began does not. */
  readonly startTicks: string;
}

const ownerOf = (pid: number): Owner => ({ pid, bootId: machineMoment().bootId, startTicks: startTicksOf(pid) ?? "" });

/** Removes the lock of an owner that is gone. @throws {EnvironmentError} `LOCKED` when it is not gone. */
function evict(path: string, draft: string): void {
  const text = readIfThere(path);
  if (text === undefined) return;
  if (isAlive(text)) throw held(path);
  const aside = `${draft}.old`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  // Somebody else may have evicted the same owner and moved in meanwhile: then it is theirs.
  if (readIfThere(aside) !== text) tryLink(aside, path);
  unlinkSync(aside);
}

function isAlive(text: string): boolean {
  let owner: Owner;
  try {
    owner = JSON.parse(text) as Owner;
  } catch {
    return false;
  }
  const now = ownerOf(owner.pid);
  if (owner.bootId !== now.bootId) return false;
  if (now.startTicks !== "") return owner.startTicks === now.startTicks;
  try {
    process.kill(owner.pid, 0);
    return owner.bootId === "";
  } catch {
    return false;
  }
}

function release(path: string, mine: string): void {
  if (readIfThere(path) === mine) unlinkSync(path);
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Field 22 of /proc/PID/stat; the second one may hold spaces. */
function startTicksOf(pid: number): string | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}

const held = (path: string): EnvironmentError =>
  new EnvironmentError("LOCKED", `another process uses ${path}`, { path });
