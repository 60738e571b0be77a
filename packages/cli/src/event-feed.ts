/** Follows the server's live events, over as many connections as it takes. */
import { setTimeout as delay } from "node:timers/promises";
import { Event, LIVE_KINDS } from "@airlift/protocol/api/schemas";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
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
  /** A pause before the next connection, until the server names one. Default 2 s. */
  readonly retryMs?: number;
  /** Connections that fail one after the other before it gives up. Default 15: half a minute. */
  readonly attemptCount?: number;
  /** Told of a lost connection, once until it is there again. */
  readonly onLost?: () => void;
}

/** An event is at most a sentence and some facts. */
const LARGEST_EVENT_CHARACTERS = 2 ** 20;

/**
 * Events in order, each once, until `signal` ends it. Lost connections are resumed where they broke.
 *
 * @throws {EnvironmentError} UNREACHABLE when the server stays away.
 */
export async function* followEvents(client: Client, options: FeedOptions): AsyncGenerator<Event> {
  const { signal, attemptCount = 15 } = options;
  let afterId = options.afterId;
  let retryMs = options.retryMs ?? 2000;
  for (let failures = 0; !signal.aborted; ) {
    try {
      const body = await client.openFeed({ ...options.of }, afterId, signal);
      const reader = createReader((pauseMs) => {
        retryMs = pauseMs;
      });
      for await (const bytes of body) {
        failures = 0;
        for (const event of reader.feed(bytes)) {
          if (!LIVE_KINDS.has(event.kind)) afterId = event.id;
          yield event;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      // A refusal stays one; only a server or a database that is not there may come back.
      if (error instanceof RefusedError && !isAway(error)) throw error;
      if (failures >= attemptCount) throw error;
    }
    failures += 1;
    if (failures > attemptCount)
      throw new EnvironmentError("UNREACHABLE", "the server's event feed keeps breaking off");
    if (failures === 1) options.onLost?.();
    await delay(retryMs, undefined, { signal }).catch(() => {});
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
