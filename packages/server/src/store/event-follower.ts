/**
 * Hears of what other servers on this database commit. One connection listens; what is news is then read from the tables, so
 * that a notification that was lost costs time and nothing else.
 */
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";

export interface EventFollowerOptions {
  readonly url: string;
  /** By channel, called when a server says something in it, and from time to time; they never throw. */
  readonly onNews: Readonly<Record<string, () => void>>;
  /** How often it is looked although nobody said a word. Default 5 s. */
  readonly pollMs?: number;
  /** Between two attempts to connect. Default 500 ms. */
  readonly reconnectMs?: number;
}

/** Carries the newest event's id; PostgreSQL delivers it when the transaction that sent it has committed. */
export const EVENT_CHANNEL = "airlift_events";

export class EventFollower {
  readonly #options: EventFollowerOptions;
  readonly #closing = new AbortController();
  #client: pg.Client | undefined;
  #poll: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: EventFollowerOptions) {
    this.#options = options;
  }

  /** Goes on, over lost connections, until `close`. */
  start(): void {
    this.#poll = setInterval(() => this.#lookAtAll(), this.#options.pollMs ?? 5000);
    this.#poll.unref();
    this.#running = this.#stayConnected();
  }

  async close(): Promise<void> {
    clearInterval(this.#poll);
    this.#closing.abort();
    await this.#client?.end().catch(() => {});
    await this.#running;
  }

  async #stayConnected(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await this.#listen().catch(() => {});
      await delay(this.#options.reconnectMs ?? 500, undefined, { signal }).catch(() => {});
    }
  }

  /** Resolves when the connection has ended. */
  async #listen(): Promise<void> {
    const { url, onNews } = this.#options;
    const client = new pg.Client({ connectionString: url, application_name: "airlift events", keepAlive: true });
    const ended = new Promise<void>((resolve) => client.once("end", resolve));
    client.on("error", () => {});
    client.on("notification", ({ channel }) => onNews[channel]?.());
    this.#client = client;
    try {
      await client.connect();
      for (const channel of Object.keys(onNews)) await client.query(`listen ${channel}`);
    } catch (error) {
      await client.end().catch(() => {});
      throw error;
    }
    // Whatever was committed while nobody listened.
    this.#lookAtAll();
    if (this.#closing.signal.aborted) await client.end();
    await ended;
  }

  #lookAtAll(): void {
    for (const onNews of Object.values(this.#options.onNews)) onNews();
  }
}
