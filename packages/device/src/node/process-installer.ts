/**
 * A program of one file that updates itself: the file is the image, a restart of the process is the restart of the device.
 *
 * The process that is started first only watches. It starts the program as its child, from a slot or, as long as nothing
 * was installed, from the file that the device was made with, which nobody ever writes to. A new file that crashes, does
 * not confirm itself in time or loses its power meanwhile is followed by the old one.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Trust } from "@airlift/protocol/image/verify";
import { UsageError } from "@airlift/protocol/lib/errors";
import { DEFAULT_TRIAL_TIMEOUT_MS } from "../agent-options.ts";
import type { Command } from "./command.ts";
import { verifyProgram } from "./program-signature.ts";
import { createSlots, type Slots, type SlotsOptions } from "./slots.ts";

export interface ProcessInstallerOptions
  extends Pick<
    SlotsOptions,
    "maxImageBytes" | "persistEveryBytes" | "healthCheck" | "healthTimeoutMs" | "decoders" | "factoryVersion"
  > {
  /** Holds the slots; theirs alone. */
  readonly directory: string;
  /** Keys of which one has to have signed a new program file (`signProgram`). */
  readonly trust: Trust;
  /** The file that the device was made with. Default the one that runs. */
  readonly program?: string;
  /** How to start a program file. Default this Node, with the options and arguments that it was given itself. */
  readonly command?: (file: string) => Command;
  /** How long a new program may take to confirm itself before it is ended. Default that of the agent. */
  readonly trialTimeoutMs?: number;
}

export interface ProcessInstaller {
  /** For `createUpdateAgent({ slots })`. */
  readonly slots: Slots;
  /** For `createUpdateAgent({ reboot })`: ends this process, and the watching one starts what is to run next. */
  restart(): void;
}

/** What a child exits with to be started again. */
export const RESTART_EXIT_CODE = 86;
/** As a shell has it for what cannot be run. */
const CANNOT_START_EXIT_CODE = 126;
/** A program that does not heed SIGTERM so long is killed. */
const GRACE_MS = 5_000;
const SLOT_VARIABLE = "AIRLIFT_SLOT";

/**
 * In the process that is started first this never settles: it watches the program and exits as it does. In the program
 * itself it gives what an agent needs. To be called before anything that must not happen twice.
 *
 * @throws {EnvironmentError} NO_BOOTABLE_IMAGE, FILE_SYSTEM.
 */
export async function createProcessInstaller(options: ProcessInstallerOptions): Promise<ProcessInstaller> {
  const slot = process.env[SLOT_VARIABLE];
  if (slot === undefined) process.exit(await superviseProgram(options));
  if (slot !== "a" && slot !== "b")
    throw new UsageError("SLOT_VARIABLE", `${SLOT_VARIABLE} is neither a nor b`, { slot });
  const slots = openSlots(options);
  await slots.attach(slot);
  return { slots, restart: () => process.exit(RESTART_EXIT_CODE) };
}

/** Runs the program until it ends for good; its exit code. */
export async function superviseProgram(options: ProcessInstallerOptions): Promise<number> {
  for (;;) {
    const slots = openSlots(options);
    await slots.boot();
    const child = startProgram(slots, options);
    const isTrial = slots.running().isTrial;
    const timer = isTrial ? endLater(child, options) : undefined;
    const { exitCode, wasTold } = await ended(child).catch((error) => {
      // A new file that cannot even be started has failed as one that crashes has.
      if (!isTrial) throw error;
      return { exitCode: CANNOT_START_EXIT_CODE, wasTold: false };
    });
    clearTimeout(timer);
    const isUnproved = isTrial && (await isOnTrial(options));
    if (wasTold || (exitCode !== RESTART_EXIT_CODE && !isUnproved)) return exitCode;
  }
}

function openSlots({ trust, ...options }: ProcessInstallerOptions): Slots {
  return createSlots({ ...options, trust: "allow-unsigned", describe: (file) => verifyProgram(file, trust) });
}

function startProgram(slots: Slots, options: ProcessInstallerOptions): ChildProcess {
  const { directory, program = process.argv[1] ?? "", command = commandOfThis } = options;
  const { slot, isFactory } = slots.running();
  standAlone(directory);
  const [first, ...given] = command(isFactory ? program : join(directory, slot, "image"));
  return spawn(first, given, { stdio: "inherit", env: { ...process.env, [SLOT_VARIABLE]: slot } });
}

/** Without it the nearest package.json above would decide what kind of module a file of the slots is. */
function standAlone(directory: string): void {
  try {
    writeFileSync(join(directory, "package.json"), "{}\n", { flag: "wx" });
  } catch {
    // It is there, or the medium refuses: what can run has to run all the same.
  }
}

function commandOfThis(file: string): Command {
  return [process.execPath, ...process.execArgv, file, ...process.argv.slice(2)];
}

/** Ends a program on trial, unless it has confirmed itself meanwhile. */
function endLater(child: ChildProcess, options: ProcessInstallerOptions): NodeJS.Timeout {
  const { trialTimeoutMs = DEFAULT_TRIAL_TIMEOUT_MS } = options;
  return setTimeout(() => {
    // A record that cannot be read is no reason to end what may run well; the next start reads it again.
    void isOnTrial(options)
      .catch(() => false)
      .then((isUnproved) => isUnproved && end(child));
  }, trialTimeoutMs);
}

async function isOnTrial(options: ProcessInstallerOptions): Promise<boolean> {
  const slots = openSlots(options);
  await slots.attach("a");
  return slots.running().isTrial;
}

function end(child: ChildProcess): void {
  child.kill("SIGTERM");
  const killer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
  child.once("exit", () => clearTimeout(killer));
}

/** How the child ended, and whether this process was told to end and has passed it on. */
function ended(child: ChildProcess): Promise<{ exitCode: number; wasTold: boolean }> {
  return new Promise((resolve, reject) => {
    let wasTold = false;
    const pass = (signal: NodeJS.Signals): void => {
      wasTold = true;
      child.kill(signal);
    };
    const signals = ["SIGTERM", "SIGINT"] as const;
    for (const signal of signals) process.on(signal, pass);
    const stop = (): void => {
      for (const signal of signals) process.off(signal, pass);
    };
    child.once("error", (error) => {
      stop();
      reject(error);
    });
    child.once("exit", (code) => {
      stop();
      resolve({ exitCode: code ?? 1, wasTold });
    });
  });
}
