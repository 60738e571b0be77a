/** /api/v1/events: what happens, as it happens (server-sent events), resumable by Last-Event-ID. */
import type { ServerResponse } from "node:http";
import { HEARTBEAT_EVENT, HEARTBEAT_MS, RECONNECT_MS } from "@airlift/protocol/api/event-stream";
import { type Event, LIVE_KINDS } from "@airlift/protocol/api/schemas";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { z } from "zod";
import type { EventFilter, EventStore } from "../store/ports.ts";
import { isForwarded } from "./forwarding.ts";
import { LiveRelay } from "./live-relay.ts";
import type { Principal } from "./principal.ts";
import type { Api, ApiParts } from "./routes.ts";

export interface EventFeedOptions {
  /** Between heartbeats, by which proxies and clients know that the line is there. Default `HEARTBEAT_MS`: 15 s. */
  readonly heartbeatMs?: number;
  /** What may wait for one client before it counts as too slow and is dropped; it resumes. Default 1 MiB. */
  readonly bufferBytes?: number;
  /** Clients at a time. Default 500. */
  readonly clientCount?: number;
}

const FeedQuery = z.object({
  endpoint: z.string().optional(),
  updateId: z.string().optional(),
  campaignId: z.string().optional(),
  /** As Last-Event-ID, for a first connection. */
  after: z.coerce.number().int().nonnegative().optional(),
});

const LastEventId = z.object({ "last-event-id": z.coerce.number().int().nonnegative().optional().catch(undefined) });
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const HEARTBEAT = `event: ${HEARTBEAT_EVENT}\ndata: {}\n\n`;
const DESCRIPTION = `Each event comes as JSON in \`data\`, with its number as \`id\`; what is live only (${[...LIVE_KINDS].join(", ")}) has none. \
\`Last-Event-ID\`, or \`after\` on a first connection, brings what came after that number first. Every ${HEARTBEAT_MS / 1000} seconds a \
heartbeat comes as an event of the type \`${HEARTBEAT_EVENT}\`: when none has come for three of those times the line is dead.`;
/** Stored events of one query while a client catches up. */
const CATCH_UP_ROWS = 500;

/** Adds the route; returns how many clients listen, for the metrics. */
export function eventRoutes(app: Api, { stores, fleet }: ApiParts, options: EventFeedOptions = {}): () => number {
  const clients = new Set<ServerResponse>();
  app.addHook("preClose", async () => {
    for (const client of clients) client.end();
  });
  app.get(
    "/events",
    {
      schema: {
        tags: ["events"],
        summary: "Live events (text/event-stream)",
        description: DESCRIPTION,
        querystring: FeedQuery,
        headers: LastEventId,
      },
    },
    async (request, reply) => {
      if (clients.size >= (options.clientCount ?? 500))
        throw new EnvironmentError("TOO_MANY_LISTENERS", "too many clients listen to events");
      const { after, ...filter } = request.query;
      const isForAnother = isForwarded(request, stores.nodes);
      const afterId = request.headers["last-event-id"] ?? after ?? (await stores.events.newestId());
      reply.hijack();
      const client = reply.raw;
      // It may have left while the database was asked, and then nothing would end what begins here.
      if (client.destroyed) return;
      clients.add(client);
      client.once("close", () => clients.delete(client));
      client.writeHead(200, {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
      });
      endWithToken(client, stores.events, request.principal);
      const feed = new Feed(client, { events: stores.events, filter, options });
      const { endpoint } = filter;
      if (endpoint !== undefined && !isForAnother) {
        const relay = new LiveRelay({ stores, fleet, endpoint, request, send: (text) => feed.send(text) });
        client.once("close", () => relay.close());
        await relay.open();
      }
      await feed.run(afterId).catch(() => client.destroy());
    },
  );
  return () => clients.size;
}

/** Whoever may not ask any more does not listen any more; a browser that comes again is told so. */
export function endWithToken(client: ServerResponse, events: EventStore, principal: Principal | null): void {
  if (principal === null || principal.tokenId === null) return;
  const { tokenId, expiresAtMs } = principal;
  const unsubscribe = events.subscribe(({ kind, facts }) => {
    if (kind === "token.revoked" && facts["tokenId"] === tokenId) client.destroy();
  });
  // A timer cannot wait for longer, and no connection lives as long.
  const leftMs = expiresAtMs === null ? LONGEST_TIMER_MS : Math.max(0, expiresAtMs - Date.now());
  const expiry = setTimeout(() => client.destroy(), Math.min(leftMs, LONGEST_TIMER_MS));
  client.once("close", () => {
    unsubscribe();
    clearTimeout(expiry);
  });
}

interface FeedParts {
  readonly events: EventStore;
  readonly filter: EventFilter;
  readonly options: EventFeedOptions;
}

class Feed {
  readonly #client: ServerResponse;
  readonly #parts: FeedParts;
  readonly #bufferBytes: number;
  #sentId = 0;
  #isCatchingUp = true;
  #heldBytes = 0;

  constructor(client: ServerResponse, parts: FeedParts) {
    this.#client = client;
    this.#parts = parts;
    this.#bufferBytes = parts.options.bufferBytes ?? 2 ** 20;
  }

  async run(afterId: number): Promise<void> {
    const { events, options } = this.#parts;
    this.#sentId = afterId;
    // The id alone is no event, but it is what the client resumes from.
    this.#client.write(`retry: ${RECONNECT_MS}\nid: ${afterId}\n\n`);
    const live: Event[] = [];
    const unsubscribe = events.subscribe((event) => this.#onLive(event, live));
    const heartbeat = setInterval(() => this.send(HEARTBEAT), options.heartbeatMs ?? HEARTBEAT_MS);
    this.#client.once("close", () => {
      unsubscribe();
      clearInterval(heartbeat);
    });
    await this.#catchUp();
    this.#isCatchingUp = false;
    for (const event of live) this.#onLive(event, live);
  }

  async #catchUp(): Promise<void> {
    for (;;) {
      const stored = await this.#parts.events.after({ ...this.#parts.filter, afterId: this.#sentId }, CATCH_UP_ROWS);
      for (const event of stored) {
        this.#sentId = event.id;
        if (!this.#isOpen) return;
        const hasRoom = this.#client.write(encode(event));
        if (!hasRoom) await drained(this.#client);
      }
      if (stored.length < CATCH_UP_ROWS || !this.#isOpen) return;
    }
  }

  #onLive(event: Event, live: Event[]): void {
    const { endpoint, updateId, campaignId } = this.#parts.filter;
    if (endpoint !== undefined && event.endpoint !== endpoint) return;
    if (updateId !== undefined && event.updateId !== updateId) return;
    if (campaignId !== undefined && event.campaignId !== campaignId) return;
    if (this.#isCatchingUp) {
      // Such a one is out of date by the time the client has caught up.
      if (LIVE_KINDS.has(event.kind)) return;
      live.push(event);
      this.#heldBytes += 200 + event.sentence.length;
      if (this.#heldBytes > this.#bufferBytes) this.#client.destroy();
      return;
    }
    if (!LIVE_KINDS.has(event.kind)) {
      if (event.id <= this.#sentId) return;
      this.#sentId = event.id;
    }
    this.send(encode(event));
  }

  /** Whoever is too slow is dropped. */
  send(text: string): void {
    if (this.#client.writableLength > this.#bufferBytes) this.#client.destroy();
    else if (this.#isOpen) this.#client.write(text);
  }

  /** False from the server's end on: what is written later is an error that nobody catches. */
  get #isOpen(): boolean {
    return !this.#client.destroyed && !this.#client.writableEnded;
  }
}

/** What is live only carries no id: there is nothing to resume from. */
function encode(event: Event): string {
  const id = LIVE_KINDS.has(event.kind) ? "" : `id: ${event.id}\n`;
  return `${id}data: ${JSON.stringify(event)}\n\n`;
}

/** Resolves when the client has room again, or has gone. */
function drained(client: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      client.off("drain", done);
      client.off("close", done);
      resolve();
    };
    client.on("drain", done);
    client.on("close", done);
    if (client.destroyed) done();
  });
}
