/** Whether the database can be reached, as its connections find out, told when that changes. */
import { EnvironmentError } from "@airlift/protocol/lib/errors";

export interface OutageListener {
  /** @param reason A code, "ECONNREFUSED", or what the driver says. */
  onAway(reason: string): void;
  /** @param awayMs For how long it could not be reached. */
  onBack(awayMs: number): void;
}

/** Conditions of a single statement: the database is there, and did not do this one (SQLSTATE 25006, 40, 55P03, 57014). */
const OF_ONE_STATEMENT = /^(25006|40...|55P03|57014)$/;

export class Outage {
  readonly #listener: OutageListener | undefined;
  #sinceMs: number | undefined;
  /** Statements that were carried out or refused, since the start. */
  answerCount = 0;

  constructor(listener: OutageListener | undefined) {
    this.#listener = listener;
  }

  /** A statement, or the connection for it, failed with this. */
  failed(error: unknown): void {
    if (!(error instanceof EnvironmentError) || error.code !== "DATABASE_AWAY") return;
    const reason = `${error.facts["reason"]}`;
    if (OF_ONE_STATEMENT.test(reason)) this.answered();
    else if (this.#sinceMs === undefined) {
      this.#sinceMs = performance.now();
      this.#listener?.onAway(reason);
    }
  }

  /** A statement was carried out, or refused for what is in it. */
  answered(): void {
    this.answerCount += 1;
    if (this.#sinceMs === undefined) return;
    const awayMs = performance.now() - this.#sinceMs;
    this.#sinceMs = undefined;
    this.#listener?.onBack(awayMs);
  }
}
