/** Tells an operator what is in a gateway's way, once each time: a server that is away or does not want it, another sub-band, a disk that takes nothing. */
import { AirliftError, type UsageError } from "@airlift/protocol/lib/errors";
import type { Logger } from "pino";
import { refusalOf } from "./server-refusal.ts";

export interface TroubleLogOptions {
  readonly id: string;
  readonly serverUrl: string;
  readonly dataDir: string;
  /** Name of the sub-band that it sends in. */
  readonly band: string;
  readonly log: Logger;
  /** The server said no before it ever said yes: what is wrong, for a person to mend. */
  refused(error: UsageError): void;
}

export class TroubleLog {
  readonly #options: TroubleLogOptions;
  /** The server has answered in this run. */
  #wasAnswered = false;
  #isServerLost = false;
  #isBandTold = false;
  #isDiskTold = false;

  constructor(options: TroubleLogOptions) {
    this.#options = options;
  }

  /** The server plans for a sub-band; one that this gateway does not send in means that it refuses whatever it is told to send. */
  answered(planned: string | undefined): void {
    const { band, id, log } = this.#options;
    if (this.#isServerLost) log.info("the server is back");
    this.#isServerLost = false;
    this.#wasAnswered = true;
    const isOther = planned !== undefined && planned !== band;
    if (isOther && !this.#isBandTold)
      log.warn({ planned, band }, `the server plans for ${id} in another sub-band: it refuses all broadcasts`);
    this.#isBandTold = isOther;
  }

  /** A batch did not get there, or what came back could not be kept. */
  failed(error: unknown): void {
    const refusal = this.#wasAnswered ? undefined : refusalOf(error, this.#options);
    if (refusal !== undefined) this.#options.refused(refusal);
    else if (!(error instanceof AirliftError)) this.#tellDisk(String(error));
    else {
      if (!this.#isServerLost)
        this.#options.log.warn({ reason: String(error) }, "the server cannot be reached: going on without it");
      this.#isServerLost = true;
    }
  }

  /** What devices say goes on to the server without a disk. @param problem Why it cannot be kept; undefined = it is. */
  kept(problem: string | undefined): void {
    if (problem !== undefined && !this.#isDiskTold) this.#tellDisk(problem);
    this.#isDiskTold = problem !== undefined;
  }

  #tellDisk(reason: string): void {
    const { dataDir, log } = this.#options;
    log.error({ dataDir, reason }, "what has to be kept cannot be: is the disk full?");
  }
}
