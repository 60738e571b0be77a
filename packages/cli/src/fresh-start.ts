/**
 * A program that runs for years begins again when its first start has filled the compile cache: Node strips the types of what is not in
 * there, and what that takes, 28 MB, stays with the process for good. A cache that is full, or cannot be written, changes nothing.
 */
import { statSync } from "node:fs";
import { flushCompileCache, getCompileCacheDir } from "node:module";

/**
 * How this process may begin again. Absent: by itself. A number: its launcher, whose channel it would lose, starts it again when it ends
 * with this exit code. Anything else: it has done so.
 */
const FRESH_START_VARIABLE = "AIRLIFT_FRESH_START";

const { [FRESH_START_VARIABLE]: way } = process.env;
// Programs that this one starts begin by themselves.
delete process.env[FRESH_START_VARIABLE];

let hasCompiled = false;

/** Keeps what was compiled so far. By itself Node does so at the end, which a program that loses its power does not have. */
export function keepCompiled(): void {
  const beforeMs = keptAtMs();
  flushCompileCache();
  hasCompiled = keptAtMs() !== beforeMs;
}

/** Returns at once when nothing had to be compiled, and else not: to be called before anything is opened. May be called twice. */
export function beginAgainIfCompiled(): void {
  if (!hasCompiled) return;
  if (/^\d+$/.test(way ?? "")) process.exit(Number(way));
  // Another parent's channel would be closed, and it would take that for the end.
  if (way !== undefined || process.channel !== undefined) return;
  const words = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  // The same process for whoever started it; absent on Windows.
  process.execve?.(process.execPath, words, { ...process.env, [FRESH_START_VARIABLE]: "done" });
}

/** When something was last put into the cache; undefined without one. What is kept gets its name when it is whole, which changes the folder. */
function keptAtMs(): number | undefined {
  const folder = getCompileCacheDir();
  return folder === undefined ? undefined : statSync(folder, { throwIfNoEntry: false })?.mtimeMs;
}
