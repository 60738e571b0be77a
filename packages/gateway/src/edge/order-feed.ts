/** Follows the server's orders for as long as the gateway runs: a feed that broke off is taken up again behind the last order taken. */
import { setTimeout as sleep } from "node:timers/promises";
import type { GatewayOrder } from "@airlift/protocol/api/gateway";
import type { Logger } from "pino";
import type { ServerClient } from "./server-client.ts";

/** In the field: a feed that broke is back in a second, a server that is down is asked twice a minute. */
const RETRY = { firstMs: 500, longestMs: 30_000 } as const;

export interface OrderFeedOptions {
  readonly server: Pick<ServerClient, "followOrders">;
  readonly log: Logger;
  /** Number of the last order that was taken. */
  lastOrder(): number;
  /** The order need not come again when this has settled. */
  take(order: GatewayOrder): Promise<void>;
}

export class OrderFeed {
  readonly #options: OrderFeedOptions;
  readonly #stop = new AbortController();

  constructor(options: OrderFeedOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#follow();
  }

  close(): void {
    this.#stop.abort();
  }

  async #follow(): Promise<void> {
    const { server, log, lastOrder, take } = this.#options;
    let pauseMs: number = RETRY.firstMs;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await server.followOrders(lastOrder(), signal, async (order) => {
          pauseMs = RETRY.firstMs;
          await take(order);
        });
      } catch (error) {
        if (signal.aborted) return;
        log.debug({ reason: String(error) }, "the feed of orders broke off");
      }
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      pauseMs = Math.min(RETRY.longestMs, 2 * pauseMs);
    }
  }
}
