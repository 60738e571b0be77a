/** As whom the embedded PostgreSQL runs: it refuses to be root, so root starts it as somebody else. */
import { execFile } from "node:child_process";
import { accessSync, chownSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { EnvironmentError } from "@airlift/protocol/lib/errors";

const run = promisify(execFile);

/** How to start a program of PostgreSQL: as `account`, by a `prefix` command that changes to it when there is one. */
export interface RunAs {
  /** Undefined = as we are. */
  readonly account: { readonly uid: number; readonly gid: number } | undefined;
  readonly prefix: readonly string[];
}

/** Accounts that may own the database of a root process, in order of preference. No account is created. */
const ACCOUNTS = ["postgres", "nobody"] as const;

/**
 * Decides how to run the programs in `binary`'s folder on the data in `folder`, which exists, and makes that account its owner.
 *
 * @throws {EnvironmentError} NO_DATABASE_USER when root has no account to run them as, or it cannot reach the folder.
 */
export async function chooseRunAs(folder: string, binary: string): Promise<RunAs> {
  if (process.getuid?.() !== 0) return { account: undefined, prefix: [] };
  const account = await findAccount();
  const { uid, gid } = account;
  chownSync(folder, uid, gid);
  if (isOpenToAll(dirname(folder)) && isOpenToAll(dirname(binary))) return { account, prefix: [] };
  // A folder that is closed to others, such as /root: the account gets the right to pass through, and no other of root's.
  const setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].find(isExecutable);
  if (setpriv === undefined)
    throw new EnvironmentError(
      "NO_DATABASE_USER",
      `PostgreSQL does not run as root, and another account cannot reach ${folder}: use --data with a folder open to all, or --database-url`,
      { folder },
    );
  const capability = "+dac_override";
  const prefix = [setpriv, "--securebits", "+no_setuid_fixup", "--reuid", `${uid}`, "--regid", `${gid}`];
  return { account, prefix: [...prefix, "--clear-groups", "--inh-caps", capability, "--ambient-caps", capability] };
}

async function findAccount(): Promise<{ uid: number; gid: number }> {
  for (const account of ACCOUNTS) {
    try {
      const [uid, gid] = await Promise.all([run("id", ["-u", account]), run("id", ["-g", account])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // There is no such account: the next one.
    }
  }
  throw new EnvironmentError(
    "NO_DATABASE_USER",
    `PostgreSQL does not run as root, and there is no account ${ACCOUNTS.join(" or ")}: run airlift as another user, or use --database-url`,
  );
}

/** Whether every folder from the root down to `folder` lets any account through. */
function isOpenToAll(folder: string): boolean {
  for (let path = folder; ; path = dirname(path)) {
    if ((statSync(path).mode & constants.S_IXOTH) === 0) return false;
    if (path === dirname(path)) return true;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
