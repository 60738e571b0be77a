/** What the demo's viewer sees: one line that moves on a terminal; elsewhere a line when there is news, and not too many. */
import type { Update } from "@airlift/protocol/api/schemas";

export interface Display {
  say(line: string): void;
  title(line: string): void;
  progress(updates: readonly Update[]): void;
  /** Goes to stdout: what is left to read when all is over. */
  result(text: string): void;
}

/** Lines of plain progress are so far apart. */
const LINE_EVERY_MS = 2_000;
const BAR_CELLS = 30;

export function createDisplay(): Display {
  const isTerminal = process.stderr.isTTY === true;
  let lastLineMs = Number.NEGATIVE_INFINITY;
  let lastLine = "";
  const clear = isTerminal ? "\r\u001b[K" : "";
  const say = (line: string): void => void process.stderr.write(`${clear}${line}\n`);
  return {
    say,
    title: (line) => say(`\n${line}`),
    progress: (updates) => {
      const line = summaryOf(updates);
      if (isTerminal) process.stderr.write(`${clear}${line}`);
      else if (line !== lastLine && performance.now() - lastLineMs >= LINE_EVERY_MS) {
        lastLineMs = performance.now();
        lastLine = line;
        say(line);
      }
    },
    result: (text) => void process.stdout.write(`${clear}${text}`),
  };
}

function summaryOf(updates: readonly Update[]): string {
  const whole = updates.reduce((sum, { totalBytes }) => sum + totalBytes, 0);
  const done = updates.reduce((sum, update) => sum + doneBytes(update), 0);
  const cells = Math.round((BAR_CELLS * done) / Math.max(1, whole));
  const counts = new Map<string, number>();
  for (const { state } of updates) counts.set(state, (counts.get(state) ?? 0) + 1);
  const states = [...counts].map(([state, count]) => `${state} ${count}`).join(" · ");
  return `${"█".repeat(cells)}${"░".repeat(BAR_CELLS - cells)} ${Math.floor((100 * done) / Math.max(1, whole))} %  ${states}`;
}

/** What has left the transfer behind has all of it. */
function doneBytes({ state, acknowledgedBytes, totalBytes }: Update): number {
  return ["queued", "waiting", "transferring"].includes(state) ? acknowledgedBytes : totalBytes;
}
