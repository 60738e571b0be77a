/** The imperative shell around a core: gives it the real clock and performs what it asks for. */
import type { Core } from "@airlift/protocol/lib/core";

/** The longest delay a timer of Node can hold; waking a core early is harmless. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A core that runs on the real clock. */
export interface Driven<Input, Output = unknown> {
  /** Feeds one input; what follows from it is performed before this returns it. */
  feed(input: Input): readonly Output[];
  /** Ends the timer; the core is never woken again. */
  stop(): void;
}

/**
 * Runs `core` on the monotonic clock until `stop`.
 *
 * @param perform Carries out one output; it may feed the core again.
 */
export function drive<Input, Output>(
  core: Core<Input, Output>,
  wake: Input,
  perform: (output: Output) => void,
): Driven<Input, Output> {
  let timer: NodeJS.Timeout | undefined;
  let armedForMs = Number.POSITIVE_INFINITY;
  let stopped = false;

  const arm = (nowMs: number): void => {
    const dueMs = core.wakeAtMs;
    // A timer that fires too early costs one empty step; moving it at every input costs more than the input.
    if (stopped || dueMs === undefined || armedForMs <= dueMs) return;
    clearTimeout(timer);
    armedForMs = dueMs;
    timer = setTimeout(onTimer, Math.min(Math.max(0, Math.ceil(dueMs - nowMs)), LONGEST_TIMER_MS));
  };
  const onTimer = (): void => {
    armedForMs = Number.POSITIVE_INFINITY;
    feed(wake);
  };
  const feed = (input: Input): readonly Output[] => {
    const nowMs = performance.now();
    const outputs = core.step(input, nowMs);
    arm(nowMs);
    for (const output of outputs) perform(output);
    return outputs;
  };
  return {
    feed,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
