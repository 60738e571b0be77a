/** A log in which an outage of the database is one line at its beginning and one at its end, and not one for each thing that waits for it. */
import type { Bindings, ChildLoggerOptions, Logger } from "pino";
import type { OutageListener } from "./store/outage.ts";

export interface OutageLog {
  /** For everybody else: what is only the outage's is for whoever looks closely (debug). */
  readonly log: Logger;
  /** For the database. */
  readonly listener: OutageListener;
}

export function outageLog(log: Logger): OutageLog {
  let isAway = false;
  const listener: OutageListener = {
    onAway: (reason) => {
      isAway = true;
      log.error(
        { code: "DATABASE_AWAY", reason },
        "the database cannot be reached: devices are served, updates and campaigns wait, and what is reported is written later",
      );
    },
    onBack: (awayMs) => {
      isAway = false;
      log.warn({ awayMs: Math.round(awayMs) }, "the database answers again: all that waited goes on");
    },
  };
  return { log: quiet(log, () => isAway), listener };
}

/** `log` and its children, in which a line that says that the database is away is for debugging while that is known. */
function quiet(log: Logger, isKnown: () => boolean): Logger {
  return new Proxy(log, {
    get: (target, name) => {
      if (name === "child")
        return (bindings: Bindings, options?: ChildLoggerOptions) => quiet(target.child(bindings, options), isKnown);
      if (name === "warn" || name === "error")
        return (...line: Parameters<Logger["warn"]>) =>
          target[isKnown() && isOutage(line[0]) ? "debug" : name](...line);
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Whether a line's facts say that it is about the database being away. */
function isOutage(facts: unknown): boolean {
  if (typeof facts !== "object" || facts === null) return false;
  const { code, err, error } = facts as { readonly code?: unknown; readonly err?: unknown; readonly error?: unknown };
  const codes = [code, ...[err, error].map((one) => one instanceof Error && "code" in one && one.code)];
  return codes.includes("DATABASE_AWAY");
}
