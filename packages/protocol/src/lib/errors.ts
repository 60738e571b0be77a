/** The four families of failure, told apart by who has to act. Each carries a stable code and facts, never only prose. */

/** What a failure is about: values that fit into a log line or a problem document. */
export type Facts = Readonly<Record<string, unknown>>;

export abstract class AirliftError extends Error {
  /** Stable, upper case, for programs: `BLOCK_SIZE`. */
  readonly code: string;
  readonly facts: Facts;

  constructor(code: string, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.facts = facts;
  }
}

/** The caller used an API wrongly: fix the call. HTTP 400 or 422. */
export class UsageError extends AirliftError {}

/** The other side sent something its protocol forbids, or refused: answer or drop, never crash. */
export class PeerError extends AirliftError {}

/** The surroundings failed (network, disk, time): trying again later may help. HTTP 503. */
export class EnvironmentError extends AirliftError {}

/** An invariant of our own code is broken: stop the unit and report. */
export class BugError extends AirliftError {}
