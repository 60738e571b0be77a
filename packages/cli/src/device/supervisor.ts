/** The part of a device that survives a restart: starts the program again whenever it says so. */
import { type ChildProcess, spawn } from "node:child_process";
import { beginAgainIfCompiled } from "../fresh-start.ts";

/** The program ends with this code to be started anew. */
export const REBOOT_EXIT_CODE = 85;

const WORKER_VARIABLE = "AIRLIFT_DEVICE_WORKER";

/** Whether this process is the program that a supervisor started. */
export function isWorker(): boolean {
  return process.env[WORKER_VARIABLE] === "1";
}

/** Runs this very command as a worker, again after each restart; its exit code in the end. */
export async function supervise(): Promise<number> {
  beginAgainIfCompiled();
  let worker: ChildProcess | undefined;
  // Ctrl-C reaches the whole group, so the worker has it already; a plain kill does not.
  const onInterrupt = (): void => undefined;
  const onTerminate = (): void => void worker?.kill("SIGTERM");
  process.on("SIGINT", onInterrupt);
  process.on("SIGTERM", onTerminate);
  try {
    for (;;) {
      worker = startWorker();
      const code = await exitOf(worker);
      if (code !== REBOOT_EXIT_CODE) return code;
    }
  } finally {
    process.off("SIGINT", onInterrupt);
    process.off("SIGTERM", onTerminate);
  }
}

/** Ends the worker when its supervisor is gone: power is cut for both or for none. */
export function dieWithSupervisor(): void {
  process.once("disconnect", () => process.exit(1));
  // Listening must not keep a program alive that has ended.
  process.channel?.unref();
}

/** The channel beside the three streams carries nothing; its end says that the other side is gone. */
function startWorker(): ChildProcess {
  return spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { ...process.env, [WORKER_VARIABLE]: "1" },
  });
}

function exitOf(worker: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    worker.once("error", () => resolve(1));
    worker.once("exit", (code) => resolve(code ?? 1));
  });
}
