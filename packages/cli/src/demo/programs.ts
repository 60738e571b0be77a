/** The programs of the demo: each is the real command in a process of its own, and none outlives the demo by accident. */
import { type ChildProcess, spawn } from "node:child_process";
import { openSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { EnvironmentError } from "@airlift/protocol/lib/errors";

const COMMAND = join(import.meta.dirname, "../../bin/airlift.js");

/** How long a program may take to end when it is asked to. */
const PATIENCE_MS = 10_000;

export class Programs {
  readonly #running = new Set<ChildProcess>();
  readonly #logFolder: string;

  constructor(logFolder: string) {
    this.#logFolder = logFolder;
  }

  /** Starts `airlift …` in a process group of its own; what it prints goes to `<name>.log`. */
  start(name: string, args: readonly string[]): ChildProcess {
    const log = openSync(join(this.#logFolder, `${name}.log`), "a");
    const child = spawn(process.execPath, [COMMAND, ...args], { detached: true, stdio: ["ignore", log, log] });
    this.#running.add(child);
    child.once("exit", () => this.#running.delete(child));
    return child;
  }

  /** Ends a program and all it started at once, as a power cut does. */
  async cutPower(child: ChildProcess): Promise<void> {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    signalGroup(child, "SIGKILL");
    await ended;
  }

  /** Asks all to end and waits for it; whoever does not is killed. */
  async stopAll(): Promise<void> {
    for (const child of this.#running) signalGroup(child, "SIGTERM");
    const deadlineMs = performance.now() + PATIENCE_MS;
    while (this.#running.size > 0 && performance.now() < deadlineMs) await sleep(50);
    for (const child of this.#running) signalGroup(child, "SIGKILL");
  }

  /** @throws {EnvironmentError} PROGRAM_ENDED when the program ends before `isReady` says yes. */
  async untilReady(child: ChildProcess, name: string, isReady: () => Promise<boolean>): Promise<void> {
    while (!(await isReady())) {
      if (child.exitCode !== null || child.signalCode !== null) {
        const log = join(this.#logFolder, `${name}.log`);
        throw new EnvironmentError("PROGRAM_ENDED", `${name} ended before it was ready; see ${log}`, { name, log });
      }
      await sleep(100);
    }
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
