/** The server's events as they happen: one connection for the whole page, resumed where it broke. */
import type { Event } from "@airlift/protocol/api/schemas";

/** `lost` since an instant: what the page shows may be out of date. */
export type Line =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  | { readonly kind: "lost"; readonly sinceMs: number };

type OnEvent = (event: Event) => void;

/** A connection on which nothing came for three heartbeats is dead, whatever the browser believes. */
const SILENCE_MS = 45_000;

export class LiveFeed {
  #line: Line = { kind: "connecting" };
  #source: EventSource | undefined;
  #afterId: number | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  readonly #onEvents = new Set<OnEvent>();
  readonly #onLines = new Set<() => void>();

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
    const source = new EventSource(`/api/v1/events${this.#afterId === undefined ? "" : `?after=${this.#afterId}`}`);
    this.#source = source;
    source.onopen = () => this.#heard();
    source.onmessage = ({ data, lastEventId }) => {
      this.#heard();
      if (lastEventId !== "") this.#afterId = Number(lastEventId);
      const event = readEvent(data);
      if (event) for (const listener of this.#onEvents) listener(event);
    };
    source.onerror = () => {
      this.#lose();
      // The browser gives up after a refusal; a server that restarts refuses for a moment.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.#source === source && this.#connect(), 2000);
    };
  }

  #heard(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#lose();
      this.#connect();
    }, SILENCE_MS);
    this.#change({ kind: "live" });
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
