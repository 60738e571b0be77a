/** Does a thing soon after it was asked for, once for all that ask meanwhile: at once after a quiet time, at intervals in a busy one. */

/** What is asked for in one moment is done together … */
const GATHER_MS = 100;
/** … and while it keeps being asked for, it is not done more often. */
const PAUSE_MS = 1500;

export interface Soon {
  readonly ask: () => void;
  /** What was asked for is not done any more. */
  readonly stop: () => void;
}

export function soon(act: () => void): Soon {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastMs = Number.NEGATIVE_INFINITY;
  const run = () => {
    timer = undefined;
    lastMs = performance.now();
    act();
  };
  return {
    ask: () => {
      timer ??= setTimeout(run, Math.max(GATHER_MS, lastMs + PAUSE_MS - performance.now()));
    },
    stop: () => {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
