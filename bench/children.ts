/** Benchmarks run each part in a process of its own, so that they neither warm nor slow each other. */
import { type ChildProcess, fork } from "node:child_process";

/** A part of a benchmark in a process of its own. */
export interface Child {
  /** The next message it sends. Rejects when it exits before. */
  next<T>(): Promise<T>;
  send(message: unknown): void;
  stop(): void;
  /** As a power cut does. */
  kill(): void;
  /** Resolves when it has exited. */
  readonly ended: Promise<void>;
}

/** Starts `file` (beside this one) with `args`. Messages wait until they are asked for. */
export function startChild(file: string, args: readonly string[] = []): Child {
  // With the collector within reach, a child can tell what it holds from what is yet to be swept.
  const execArgv = ["--expose-gc"];
  const child: ChildProcess = fork(new URL(file, import.meta.url), args, {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    execArgv,
  });
  const messages: unknown[] = [];
  const waiting: { resolve(message: unknown): void; reject(error: Error): void }[] = [];
  child.on("message", (message) => {
    const first = waiting.shift();
    if (first) first.resolve(message);
    else messages.push(message);
  });
  child.on("exit", (code) => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`${file} ended with ${code}`));
  });
  const ended = new Promise<void>((resolve) => {
    child.on("exit", () => resolve());
  });
  return {
    ended,
    next: <T>() =>
      new Promise<T>((resolve, reject) => {
        if (messages.length > 0) resolve(messages.shift() as T);
        else if (child.exitCode !== null) reject(new Error(`${file} has ended with ${child.exitCode}`));
        else waiting.push({ resolve: resolve as (message: unknown) => void, reject });
      }),
    send: (message) => void child.send(message as object),
    stop: () => void child.kill(),
    kill: () => void child.kill("SIGKILL"),
  };
}
