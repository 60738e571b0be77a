/** Ends the waiting for what the integrator's code may never settle. */
import { EnvironmentError } from "@airlift/protocol/lib/errors";

/**
 * What `work` comes to, if it does within `limitMs`; what it does later is not looked at.
 *
 * @throws {EnvironmentError} HANDLER_TIMEOUT, with `facts.handler`.
 */
export async function inTime<T>(work: Promise<T> | T, limitMs: number, handler: string): Promise<T> {
  if (!(work instanceof Promise)) return work;
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
