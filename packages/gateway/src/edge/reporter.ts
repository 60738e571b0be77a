/** Takes what waits in the outbox to the server, in batches, and a heartbeat when nothing waits. */
import { type BatchAnswer, type GatewayState, MAX_BATCH_REPORTS } from "@airlift/protocol/api/gateway";
import { PeerError } from "@airlift/protocol/lib/errors";
import { EdgeTimer } from "./edge-timer.ts";
import type { Outbox, WaitingReport } from "./outbox.ts";
import type { ServerClient } from "./server-client.ts";
import { monotonicMs } from "./wall-clock.ts";

/** In the field: a server that sees nothing for a minute may take the gateway for lost. */
export const HEARTBEAT_MS = 15_000;
/** Reports that come together go together. */
export const GATHER_MS = 30;
const RETRY = { firstMs: 500, longestMs: 30_000 } as const;

export interface ReporterOptions {
  readonly outbox: Outbox;
  readonly server: Pick<ServerClient, "report">;
  state(): GatewayState;
  answered(answer: BatchAnswer, roundTripMs: number): void;
  failed(error: unknown): void;
  /** The server does not want this one, whatever it comes with. @param json The report. */
  setAside(json: string, reason: string): void;
}

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #timer = new EdgeTimer(() => void this.#run());
  #isBusy = false;
  #isClosed = false;
  /** There was news after the last batch was made. */
  #hasNews = false;
  #pauseMs = 0;
  /** Reports that the next batch may have: fewer while one is looked for that the server refuses. */
  #mostReports = MAX_BATCH_REPORTS;
  /** A report that was refused when it came alone. */
  #suspect: { readonly number: number; readonly reason: string } | undefined;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer.arm(0);
  }

  /** Something waits, or the state has changed in a way that somebody waits for. */
  nudge(): void {
    // The first one waits for company, and no later one makes it wait longer: what comes without a pause would never go.
    if (this.#hasNews) return;
    this.#hasNews = true;
    if (!this.#isBusy && this.#pauseMs === 0) this.#timer.arm(GATHER_MS);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer.stop();
  }

  async #run(): Promise<void> {
    if (this.#isBusy || this.#isClosed) return;
    this.#isBusy = true;
    this.#hasNews = false;
    const reports = this.#suspect === undefined ? this.#options.outbox.oldest(this.#mostReports) : [];
    try {
      await this.#send(reports);
      this.#pauseMs = 0;
    } catch (error) {
      if (this.#isClosed) return;
      if (!isRefusal(error) || !this.#narrow(reports, error)) {
        this.#suspect = undefined;
        this.#pauseMs = Math.min(RETRY.longestMs, Math.max(RETRY.firstMs, 2 * this.#pauseMs));
        this.#options.failed(error);
      }
    }
    this.#isBusy = false;
    if (this.#isClosed) return;
    this.#timer.arm(this.#pauseMs > 0 ? this.#pauseMs : this.#gatherMs);
  }

  /** How long others may still come: a batch that is full waits for nobody. */
  get #gatherMs(): number {
    const { waitingCount } = this.#options.outbox;
    if (waitingCount === 0) return this.#hasNews ? GATHER_MS : HEARTBEAT_MS;
    return waitingCount >= this.#mostReports ? 0 : GATHER_MS;
  }

  async #send(reports: readonly WaitingReport[]): Promise<void> {
    const { outbox, server, answered, state } = this.#options;
    const sentAtMs = monotonicMs();
    const answer = await server.report(
      `{"state":${JSON.stringify(state())},"reports":[${reports.map(({ json }) => json).join(",")}]}`,
    );
    outbox.taken(answer.takenNumber);
    this.#acquit(reports.length);
    answered(answer, monotonicMs() - sentAtMs);
  }

  /** The server took a batch. One without reports, so it was the suspect's fault; one with some, so more may go together again. */
  #acquit(count: number): void {
    const { outbox, setAside } = this.#options;
    if (count > 0) this.#mostReports = Math.min(MAX_BATCH_REPORTS, 2 * this.#mostReports);
    if (this.#suspect === undefined) return;
    const { number, reason } = this.#suspect;
    this.#suspect = undefined;
    const json = outbox.setAside(number, reason);
    if (json !== undefined) setAside(json, reason);
  }

  /** Half of what was refused is tried alone; what is refused alone is not wanted if all else is. @returns Whether that is to be tried now. */
  #narrow(reports: readonly WaitingReport[], { message }: PeerError): boolean {
    const [first] = reports;
    if (first === undefined) return false;
    if (reports.length > 1) this.#mostReports = reports.length >> 1;
    else this.#suspect = { number: first.number, reason: message };
    return true;
  }
}

/** Whether the server says that it is the batch that is wrong: not the token, the name, the time or the load. */
function isRefusal(error: unknown): error is PeerError {
  return error instanceof PeerError && [400, 413, 422].includes(Number(error.facts["status"]));
}
