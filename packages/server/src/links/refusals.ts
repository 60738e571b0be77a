/** Tells the operator of what was refused: the first of a kind at once, those that follow as one number a minute. */
import type { Logger } from "pino";
import type { Sender } from "../fleet/sender.ts";
import type { NewEvent } from "../store/ports.ts";

export const DEFAULT_REFUSAL_PAUSE_MS = 60_000;

/** Kinds that are told apart at the same time; what is beyond shares one line. */
const KIND_LIMIT = 1_000;

export interface Refusal {
  /** "dtls", or another transport. */
  readonly transport: string;
  /** Stable, of a small set: it labels a counter. */
  readonly code: string;
  /** Tells refusals of one code apart, such as the endpoint they are about. */
  readonly about?: string;
  /** One sentence without secrets. */
  readonly why: string;
  readonly address: string;
}

export class Refusals {
  readonly #log: Logger;
  readonly #pauseMs: number;
  /** Refusals of each kind since the last line about it. */
  readonly #untold = new Map<string, { count: number; timer: NodeJS.Timeout }>();
  readonly #counts = new Map<string, { transport: string; code: string; count: number }>();

  constructor(log: Logger, pauseMs = DEFAULT_REFUSAL_PAUSE_MS) {
    this.#log = log;
    this.#pauseMs = pauseMs;
  }

  /** All refusals since the start, by transport and code. */
  counts(): Iterable<{ readonly transport: string; readonly code: string; readonly count: number }> {
    return this.#counts.values();
  }

  /** @returns Whether it was told now, and not only counted. */
  add(refusal: Refusal): boolean {
    const { transport, code, about = "" } = refusal;
    const label = `${transport} ${code}`;
    const counted = this.#counts.get(label) ?? { transport, code, count: 0 };
    counted.count += 1;
    this.#counts.set(label, counted);
    const kind = `${label} ${about}`;
    const place = this.#untold.has(kind) || this.#untold.size < KIND_LIMIT ? kind : "";
    const untold = this.#untold.get(place);
    if (untold) {
      untold.count += 1;
      this.#log.debug({ transport, code, address: refusal.address }, `refused: ${refusal.why}`);
      return false;
    }
    this.#tell(place, refusal, 1);
    return true;
  }

  /** Somebody wanted to speak for an endpoint and may not. @returns What goes on the timeline, unless it was told a moment ago. */
  forbid(endpoint: string, sender: Sender, why: string): NewEvent | undefined {
    const { transport, address, provenEndpoint } = sender;
    const whose = provenEndpoint === undefined ? "somebody without a credential" : `the device ${provenEndpoint}`;
    const sentence = `${whose} wanted to speak for ${endpoint} from ${address} over ${transport}: ${why}`;
    const about = provenEndpoint ?? endpoint;
    const isTold = this.add({ transport, code: "ENDPOINT_FORBIDDEN", about, why: sentence, address });
    if (!isTold) return undefined;
    return { kind: "device.refused", endpoint, sentence, facts: { address, transport, provenEndpoint } };
  }

  close(): void {
    for (const { timer } of this.#untold.values()) clearTimeout(timer);
    this.#untold.clear();
  }

  #tell(place: string, refusal: Refusal, count: number): void {
    const { transport, code, why, address } = refusal;
    const what = count === 1 ? "refused" : `refused ${count} more like this one`;
    this.#log.warn({ transport, code, address, count }, `${what}: ${why}`);
    const timer = setTimeout(() => {
      const left = this.#untold.get(place)?.count ?? 0;
      this.#untold.delete(place);
      if (left > 0) this.#tell(place, refusal, left);
    }, this.#pauseMs).unref();
    this.#untold.set(place, { count: 0, timer });
  }
}
