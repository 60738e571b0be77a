/** Ends the waiting for what the integrator's code may never settle. */
import { EnvironmentError } from "@airlift/protocol/lib/errors";

/**
 * What `work` comes to, if it does within `limitMs`; what it does later is not looked at.
 *
 * @throws {EnvironmentError} HANDLER_TIMEOUT, with `facts.handler`.
 */
export async function inTime<T>(work: PromiseLike<T> | T, limitMs: number, handler: string): Promise<T> {
  if (!isThenable(work)) return work;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const facts = { handler, limitMs };
    timer = setTimeout(
      () => reject(new EnvironmentError("HANDLER_TIMEOUT", `${handler} did not settle`, facts)),
      limitMs,
    );
    // Nobody should have to wait for it when all else has ended.
    timer.unref();
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Also a promise of another library, or of another realm. */
function isThenable<T>(work: PromiseLike<T> | T): work is PromiseLike<T> {
  return typeof (work as { then?: unknown } | null | undefined)?.then === "function";
}
