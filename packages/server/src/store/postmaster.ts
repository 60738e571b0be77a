/** Finding the process that runs a PostgreSQL cluster. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The process that runs the cluster of `folder`, if one does: not just any process with a number left over from a crash. */
export function postmasterOf(folder: string): number | undefined {
  const pid = Number.parseInt(textOf(join(folder, "postmaster.pid")), 10);
  if (!Number.isInteger(pid) || !isRunning(pid)) return undefined;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`\0-D\0${folder}\0`) ? pid : undefined;
  } catch {
    // No /proc: PostgreSQL itself finds out whether the process is one of its own.
    return pid;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** A file's text, empty when there is no such file. */
export function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
