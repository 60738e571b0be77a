/** Deletes old records now and then. */
import type { Logger } from "pino";
import type { Retention } from "./store/retention.ts";

/** What became too old an hour ago hurts nobody. */
const EVERY_MS = 3_600_000;
/** A start has more urgent things to do. */
const FIRST_AFTER_MS = 60_000;

/** @returns Ends it, after the batch that is being deleted. */
export function keepTidy(retention: Pick<Retention, "sweep">, log: Pick<Logger, "info" | "warn">): () => Promise<void> {
  let isStopped = false;
  let running: Promise<void> | undefined;
  const sweep = async (): Promise<void> => {
    try {
      const swept = await retention.sweep(Date.now(), () => isStopped);
      if (Object.values(swept).some((count) => count > 0)) log.info(swept, "old records were deleted");
    } catch (error) {
      log.warn({ err: error }, "old records cannot be deleted now");
    }
  };
  const begin = (): void => {
    running ??= sweep().finally(() => {
      running = undefined;
    });
  };
  const first = setTimeout(begin, FIRST_AFTER_MS).unref();
  const timer = setInterval(begin, EVERY_MS).unref();
  return async () => {
    isStopped = true;
    clearTimeout(first);
    clearInterval(timer);
    await running;
  };
}
