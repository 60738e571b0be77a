/** The server's events as they happen: one connection for the whole page, resumed where it broke. */
import { HEARTBEAT_EVENT, HEARTBEAT_MS } from "@airlift/protocol/api/event-stream";
import type { Event } from "@airlift/protocol/api/schemas";

/** `lost` since an instant: what the page shows may be out of date. */
export type Line =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  | { readonly kind: "lost"; readonly sinceMs: number };

type OnEvent = (event: Event) => void;

/** As much of a browser's EventSource as is used. */
export type EventLine = Pick<
  EventSource,
  "onopen" | "onmessage" | "onerror" | "addEventListener" | "readyState" | "close"
>;

export interface LiveFeedOptions {
  /** Connects to a path of the server. Default: a browser's EventSource. */
  readonly connect?: (path: string) => EventLine;
  /** A connection on which nothing comes for so long is dead, whatever the browser believes. Default: three heartbeats. */
  readonly silenceMs?: number;
}

/** `EventSource.CLOSED`: the browser has given up. */
const CLOSED = 2;
/** The browser gives up after a refusal; a server that restarts refuses for a moment. */
const RETRY_MS = 2000;

export class LiveFeed {
  #line: Line = { kind: "connecting" };
  #source: EventLine | undefined;
  #afterId: number | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  readonly #options: Required<LiveFeedOptions>;
  readonly #onEvents = new Set<OnEvent>();
  readonly #onLines = new Set<() => void>();

  constructor(options: LiveFeedOptions = {}) {
    this.#options = { connect: (path) => new EventSource(path), silenceMs: 3 * HEARTBEAT_MS, ...options };
  }

  get line(): Line {
    return this.#line;
  }

  /** Begins when it is first called; the later calls change nothing. */
  start(): void {
    if (this.#source === undefined) this.#connect();
  }

  /** Lets go of the connection, for good or until `start`. */
  stop(): void {
    clearTimeout(this.#silence);
    this.#source?.close();
    this.#source = undefined;
    this.#change({ kind: "connecting" });
  }

  onEvent = (listener: OnEvent): (() => void) => {
    this.#onEvents.add(listener);
    return () => this.#onEvents.delete(listener);
  };

  onLine = (listener: () => void): (() => void) => {
    this.#onLines.add(listener);
    return () => this.#onLines.delete(listener);
  };

  #connect(): void {
    this.#source?.close();
    const source = this.#options.connect(
      `/api/v1/events${this.#afterId === undefined ? "" : `?after=${this.#afterId}`}`,
    );
    this.#source = source;
    this.#awaitWord();
    source.onopen = () => this.#heard();
    source.addEventListener(HEARTBEAT_EVENT, () => this.#heard());
    source.onmessage = ({ data, lastEventId }) => {
      this.#heard();
      if (lastEventId !== "") this.#afterId = Number(lastEventId);
      const event = readEvent(data);
      if (event) for (const listener of this.#onEvents) listener(event);
    };
    source.onerror = () => {
      this.#lose();
      if (source.readyState === CLOSED) setTimeout(() => this.#source === source && this.#connect(), RETRY_MS);
    };
  }

  #heard(): void {
    this.#awaitWord();
    this.#change({ kind: "live" });
  }

  /** From now on silence counts, also that of a connection that never says anything. */
  #awaitWord(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#lose();
      this.#connect();
    }, this.#options.silenceMs);
  }

  #lose(): void {
    if (this.#line.kind !== "lost") this.#change({ kind: "lost", sinceMs: Date.now() });
  }

  #change(line: Line): void {
    if (line.kind === this.#line.kind) return;
    this.#line = line;
    for (const listener of this.#onLines) listener();
  }
}

function readEvent(data: string): Event | undefined {
  try {
    return JSON.parse(data) as Event;
  } catch {
    return undefined;
  }
}

export const liveFeed = new LiveFeed();
