/** Takes what waits in the outbox to the server, in batches, and a heartbeat when nothing waits. */
import {
  type BatchAnswer,
  type GatewayReport,
  type GatewayState,
  MAX_BATCH_REPORTS,
} from "@airlift/protocol/api/gateway";
import { EdgeTimer } from "./edge-timer.ts";
import type { Outbox } from "./outbox.ts";
import type { ServerClient } from "./server-client.ts";
import { monotonicMs } from "./wall-clock.ts";

/** In the field: a server that sees nothing for a minute may take the gateway for lost. */
export const HEARTBEAT_MS = 15_000;
/** Reports that come together go together. */
const GATHER_MS = 30;
const RETRY = { firstMs: 500, longestMs: 30_000 } as const;

export interface ReporterOptions {
  readonly outbox: Outbox;
  readonly server: ServerClient;
  state(): GatewayState;
  answered(answer: BatchAnswer, reports: readonly GatewayReport[], roundTripMs: number): void;
  failed(error: unknown): void;
}

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #timer = new EdgeTimer(() => void this.#run());
  #isBusy = false;
  #isClosed = false;
  #pauseMs = 0;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer.arm(0);
  }

  /** Something waits. */
  nudge(): void {
    if (!this.#isBusy && this.#pauseMs === 0) this.#timer.arm(GATHER_MS);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer.stop();
  }

  async #run(): Promise<void> {
    if (this.#isBusy || this.#isClosed) return;
    this.#isBusy = true;
    try {
      const { outbox, server, answered } = this.#options;
      const reports = outbox.oldest(MAX_BATCH_REPORTS);
      const sentAtMs = monotonicMs();
      const answer = await server.report({ state: this.#options.state(), reports });
      outbox.taken(answer.takenNumber);
      this.#pauseMs = 0;
      answered(answer, reports, monotonicMs() - sentAtMs);
    } catch (error) {
      this.#pauseMs = Math.min(RETRY.longestMs, Math.max(RETRY.firstMs, 2 * this.#pauseMs));
      this.#options.failed(error);
    }
    this.#isBusy = false;
    if (this.#isClosed) return;
    const isMore = this.#options.outbox.waitingCount > 0;
    this.#timer.arm(this.#pauseMs > 0 ? this.#pauseMs : isMore ? GATHER_MS : HEARTBEAT_MS);
  }
}
