/** Runs one program to its end, within a time, and keeps the end of what it prints. */
import { spawn } from "node:child_process";
import { EnvironmentError } from "@airlift/protocol/lib/errors";

/** A program and its arguments; no shell reads them. */
export type Command = readonly [string, ...string[]];

export interface CommandOptions {
  /** Then the program and all that it started are ended. Default `DEFAULT_COMMAND_TIMEOUT_MS`. */
  readonly timeoutMs?: number;
  /** Beside those of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Ends the program as the time limit does. */
  readonly signal?: AbortSignal | undefined;
}

export interface CommandOutcome {
  /** Absent when a signal ended it. */
  readonly exitCode: number | undefined;
  /** It took too long, or was told to end. */
  readonly wasEnded: boolean;
  /** The end of what it printed, both streams in the order of arrival, at most `KEPT_OUTPUT_CHARACTERS`. */
  readonly output: string;
}

/** Half an hour: an image of some gigabytes on slow flash. */
export const DEFAULT_COMMAND_TIMEOUT_MS = 30 * 60_000;
/** Enough for the last words of a program that fails. */
export const KEPT_OUTPUT_CHARACTERS = 4_096;
/** A program that does not heed SIGTERM so long is killed. */
const GRACE_MS = 5_000;
const LAST_WORDS_MS = 500;

/** @throws {EnvironmentError} COMMAND_NOT_STARTED: there is no such program, or it may not be run. */
export function runCommand([program, ...given]: Command, options: CommandOptions = {}): Promise<CommandOutcome> {
  const { timeoutMs = DEFAULT_COMMAND_TIMEOUT_MS, environment, signal } = options;
  return new Promise((resolve, reject) => {
    // A group of its own, so that what it starts ends with it.
    const child = spawn(program, given, {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      env: { ...process.env, ...environment },
    });
    let output = "";
    const keep = (text: string): void => {
      output = (output + text).slice(-KEPT_OUTPUT_CHARACTERS);
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", keep);
    const ending = endLater(child.pid, timeoutMs, signal);
    child.on("error", (cause) => {
      ending.stop();
      const facts = { program, code: (cause as { code?: unknown }).code };
      reject(new EnvironmentError("COMMAND_NOT_STARTED", `${program} could not be started`, facts, { cause }));
    });
    const done = (exitCode: number | null): void => {
      ending.stop();
      resolve({ exitCode: exitCode ?? undefined, wasEnded: ending.hasBegun(), output: output.trim() });
    };
    child.on("close", done);
    // What it left running may hold its output open for ever.
    child.on("exit", (exitCode) => setTimeout(() => done(exitCode), LAST_WORDS_MS).unref());
  });
}

/** Whether `{name}` in the words of a command can be filled in, and with what. */
export function fillIn(command: Command, values: Readonly<Record<string, string>>): Command {
  const [program, ...given] = command.map((word) =>
    word.replace(/\{([a-z]+)\}/g, (whole, name: string) => values[name] ?? whole),
  );
  return [program ?? "", ...given];
}

/** Why a command failed, in a sentence that ends with its last words; all that was kept of them is in `facts.output`. */
export function commandFailed([program]: Command, { exitCode, wasEnded, output }: CommandOutcome): EnvironmentError {
  const end = wasEnded ? "took too long" : exitCode === undefined ? "was killed" : `ended with ${exitCode}`;
  const lastLine = output.split("\n").at(-1) ?? "";
  const sentence = lastLine === "" ? `${program} ${end}` : `${program} ${end}: ${lastLine}`;
  return new EnvironmentError("COMMAND_FAILED", sentence, { program, exitCode, wasEnded, output });
}

function endLater(pid: number | undefined, timeoutMs: number, signal: AbortSignal | undefined) {
  let hasBegun = false;
  let killer: NodeJS.Timeout | undefined;
  const end = (): void => {
    hasBegun = true;
    send(pid, "SIGTERM");
    killer = setTimeout(() => send(pid, "SIGKILL"), GRACE_MS);
  };
  const timer = setTimeout(end, timeoutMs);
  signal?.addEventListener("abort", end, { once: true });
  if (signal?.aborted) end();
  return {
    hasBegun: () => hasBegun,
    stop: (): void => {
      if (hasBegun) send(pid, "SIGKILL");
      clearTimeout(timer);
      clearTimeout(killer);
      signal?.removeEventListener("abort", end);
    },
  };
}

/**
 * To the whole group. It may be gone already, or belong to somebody else, as what `sudo` started does: it ends by itself
 * then, and this is called by a timer, whose error would end the agent.
 */
function send(pid: number | undefined, name: "SIGTERM" | "SIGKILL"): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch {
    // Nobody is left to hear of it.
  }
}
