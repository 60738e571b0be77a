/** Requests to one device, one after the other: many devices answer one request at a time only. Pure but for promises. */
import { UsageError } from "@airlift/protocol/lib/errors";

export interface TurnsOptions {
  /** Requests of one device that may wait for their turn. */
  readonly waitingLimit?: number;
}

/** What several people and programs ask at once; a queue for sleeping devices is another thing. */
export const DEFAULT_WAITING_LIMIT = 16;

export class Turns {
  readonly #waitingLimit: number;
  readonly #devices = new Map<string, { count: number; last: Promise<unknown> }>();

  constructor(options: TurnsOptions = {}) {
    this.#waitingLimit = options.waitingLimit ?? DEFAULT_WAITING_LIMIT;
  }

  /** Does `work` when all that was asked of this device before is done. @throws {UsageError} DEVICE_BUSY */
  async take<Result>(endpoint: string, work: () => Promise<Result>): Promise<Result> {
    const queue = this.#devices.get(endpoint) ?? { count: 0, last: Promise.resolve() };
    if (queue.count > this.#waitingLimit)
      throw new UsageError("DEVICE_BUSY", `${queue.count} requests to this device wait already`, { endpoint });
    this.#devices.set(endpoint, queue);
    queue.count += 1;
    const turn = queue.last.then(work, work);
    queue.last = turn;
    try {
      return await turn;
    } finally {
      queue.count -= 1;
      if (queue.count === 0) this.#devices.delete(endpoint);
    }
  }
}
