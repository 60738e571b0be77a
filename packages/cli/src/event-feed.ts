/** Follows the server's live events, over as many connections as it takes. */
import { setTimeout as delay } from "node:timers/promises";
import { reconnectPauseMs } from "@airlift/protocol/api/event-stream";
import { Event, LIVE_KINDS } from "@airlift/protocol/api/schemas";
import { createParser } from "eventsource-parser";
import type { Client } from "./client.ts";
import { isAway, RefusedError } from "./failure.ts";

export interface FeedOptions {
  /** Only events of this update, of this device, or of this campaign. */
  readonly of: { readonly updateId: string } | { readonly endpoint: string } | { readonly campaignId: string };
  /** Only events with a greater id; absent: only what happens from now on. */
  readonly afterId?: number;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Told of a lost connection, once until it is there again. */
  readonly onLost?: () => void;
  /** Told when a lost connection is there again. */
  readonly onBack?: () => void;
  /** Waits so long, or until `signal` comes. Default: by the clock. */
  readonly pause?: (pauseMs: number, signal: AbortSignal) => Promise<void>;
}

const pauseByClock = (pauseMs: number, signal: AbortSignal): Promise<void> =>
  delay(pauseMs, undefined, { signal }).catch(() => {});

/** An event is at most a sentence and some facts. */
const LARGEST_EVENT_CHARACTERS = 2 ** 20;

/**
 * Events in order, each once, until `signal` ends it. Lost connections are resumed where they broke, however long the server
 * is away.
 *
 * @throws {RefusedError} when the server understood and said no.
 */
export async function* followEvents(client: Client, options: FeedOptions): AsyncGenerator<Event> {
  const { signal, pause = pauseByClock } = options;
  let afterId = options.afterId;
  let firstPauseMs: number | undefined;
  for (let failureCount = 0; ; ) {
    try {
      const body = await client.openFeed({ ...options.of }, afterId, signal);
      const reader = createReader((pauseMs) => {
        firstPauseMs = pauseMs;
      });
      for await (const bytes of body) {
        if (failureCount > 0) options.onBack?.();
        failureCount = 0;
        for (const event of reader.feed(bytes)) {
          if (!LIVE_KINDS.has(event.kind)) afterId = event.id;
          yield event;
        }
      }
    } catch (error) {
      // A refusal stays one; a server or a database that is not there may come back.
      if (!signal.aborted && error instanceof RefusedError && !isAway(error)) throw error;
    }
    if (signal.aborted) return;
    failureCount += 1;
    if (failureCount === 1) options.onLost?.();
    await pause(reconnectPauseMs(failureCount, Math.random(), firstPauseMs), signal);
  }
}

/** Turns the octets of one connection into events. What is no event of ours is passed over. */
function createReader(onRetry: (pauseMs: number) => void) {
  const decoder = new TextDecoder();
  let events: Event[] = [];
  const parser = createParser({
    maxBufferSize: LARGEST_EVENT_CHARACTERS,
    onRetry,
    onEvent: ({ data }) => {
      const event = Event.safeParse(parseJson(data));
      if (event.success) events.push(event.data);
    },
  });
  return {
    feed: (bytes: Uint8Array): Event[] => {
      events = [];
      parser.feed(decoder.decode(bytes, { stream: true }));
      return events;
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
