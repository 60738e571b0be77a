/** The server's events as they happen: one connection for the whole page, resumed where it broke. */
import { HEARTBEAT_EVENT, HEARTBEAT_MS, reconnectPauseMs } from "@airlift/protocol/api/event-stream";
import type { Event } from "@airlift/protocol/api/schemas";

/** `lost` since an instant: what the page shows may be out of date. */
export type Line =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  | { readonly kind: "lost"; readonly sinceMs: number };

type OnEvent = (event: Event) => void;

/** As much of a browser's EventSource as is used. */
export type EventLine = Pick<EventSource, "onopen" | "onmessage" | "onerror" | "addEventListener" | "close">;

export interface LiveFeedOptions {
  /** Connects to a path of the server. Default: a browser's EventSource. */
  readonly connect?: (path: string) => EventLine;
  /** A connection on which nothing comes for so long is dead, whatever the browser believes. Default: three heartbeats. */
  readonly silenceMs?: number;
  /** From 0 up to 1, so that pages that lose one server do not come back at once. Default: `Math.random`. */
  readonly chance?: () => number;
}

/** Never gives up: however long the server is away, the page is live again soon after it is back. */
export class LiveFeed {
  #line: Line = { kind: "connecting" };
  #source: EventLine | undefined;
  #afterId: number | undefined;
  /** Connections that failed one after the other. */
  #failureCount = 0;
  /** Ends a silence, or a pause between two connections. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #options: Required<LiveFeedOptions>;
  readonly #onEvents = new Set<OnEvent>();
  readonly #onLines = new Set<() => void>();

  constructor(options: LiveFeedOptions = {}) {
    this.#options = {
      connect: (path) => new EventSource(path),
      silenceMs: 3 * HEARTBEAT_MS,
      chance: Math.random,
      ...options,
    };
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
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = undefined;
    this.#failureCount = 0;
    this.#change({ kind: "connecting" });
  }

  onEvent = (listener: OnEvent): (() => void) => {
    this.#onEvents.add(listener);
    return () => this.#onEvents.delete(listener);
  };

  /** Called when the line changes, and with each connection that fails while it is lost. */
  onLine = (listener: () => void): (() => void) => {
    this.#onLines.add(listener);
    return () => this.#onLines.delete(listener);
  };

  #connect(): void {
    const source = this.#options.connect(
      `/api/v1/events${this.#afterId === undefined ? "" : `?after=${this.#afterId}`}`,
    );
    this.#source = source;
    this.#awaitWord();
    source.onopen = () => this.#live();
    source.addEventListener(HEARTBEAT_EVENT, () => this.#heard());
    source.onmessage = ({ data, lastEventId }) => {
      this.#heard();
      if (lastEventId !== "") this.#afterId = Number(lastEventId);
      const event = readEvent(data);
      if (event) for (const listener of this.#onEvents) listener(event);
    };
    source.onerror = () => this.#retry();
  }

  /** A line that opens may break off before a word was said on it: only a word is a success. */
  #heard(): void {
    this.#failureCount = 0;
    this.#live();
  }

  #live(): void {
    this.#awaitWord();
    this.#change({ kind: "live" });
  }

  /** From now on silence counts, also that of a connection that never says anything. */
  #awaitWord(): void {
    this.#after(this.#options.silenceMs, () => this.#retry());
  }

  /** Browsers differ in what they try again and how often: none is left to. */
  #retry(): void {
    this.#source?.close();
    this.#lose();
    this.#failureCount += 1;
    this.#after(reconnectPauseMs(this.#failureCount, this.#options.chance()), () => this.#connect());
  }

  #after(delayMs: number, act: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, delayMs);
  }

  /** Each failure is told, not only the first: by the later ones a session may have ended. */
  #lose(): void {
    this.#tell(this.#line.kind === "lost" ? this.#line : { kind: "lost", sinceMs: Date.now() });
  }

  #change(line: Line): void {
    if (line.kind !== this.#line.kind) this.#tell(line);
  }

  #tell(line: Line): void {
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
