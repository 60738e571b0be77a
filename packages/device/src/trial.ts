/** A new image on trial: it has to reach its server in time, and the server hears of a success only when it is final. */
import { inTime } from "./time-limit.ts";

export interface TrialOptions {
  /** Makes the running image final. */
  confirm(): Promise<void> | void;
  /** The outcome; an error when the image could not be confirmed. */
  onDecided(error: unknown): void;
  /** The time is over: the device falls back to the old image. */
  onExpired(): void;
  /** Until the server has to be reached. */
  readonly timeoutMs: number;
  /** How long `confirm` may take; then it has failed, so that no request of the server waits for ever. */
  readonly confirmTimeoutMs: number;
}

export class Trial {
  readonly #options: TrialOptions;
  readonly #timer: NodeJS.Timeout;
  #isRunning = true;
  #decide: () => void = () => undefined;
  /** Settles when the outcome is final; requests of the server wait for it. */
  readonly decided: Promise<void>;

  constructor(options: TrialOptions) {
    this.#options = options;
    this.decided = new Promise((resolve) => {
      this.#decide = resolve;
    });
    this.#timer = setTimeout(() => options.onExpired(), options.timeoutMs);
  }

  /** The image has reached its server; only the first time counts. */
  async succeed(): Promise<void> {
    if (!this.#isRunning) return;
    this.stop();
    try {
      const { confirm, confirmTimeoutMs } = this.#options;
      await inTime(confirm(), confirmTimeoutMs, "confirm");
      this.#options.onDecided(undefined);
    } catch (error) {
      this.#options.onDecided(error);
    }
    this.#decide();
  }

  stop(): void {
    this.#isRunning = false;
    clearTimeout(this.#timer);
  }
}
