/** The gateway's calls to the server: its orders as a feed that resumes, contents, and reports. */
import { BatchAnswer, GatewayOrder, type ReportBatch } from "@airlift/protocol/api/gateway";
import { EnvironmentError, PeerError } from "@airlift/protocol/lib/errors";
import { createParser } from "eventsource-parser";

export interface ServerOptions {
  /** Such as "https://updates.example". */
  readonly url: string;
  readonly token?: string;
  readonly gatewayId: string;
}

/** A request that takes longer is given up. */
const REQUEST_TIMEOUT_MS = 15_000;
/** A feed on which not even a comment comes for so long is dead. */
const FEED_SILENCE_MS = 60_000;
const LARGEST_ORDER_CHARACTERS = 4 * 1024 * 1024;

export class ServerClient {
  readonly #options: ServerOptions;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  /**
   * Orders with a number above `after`, until the connection ends.
   *
   * @throws {EnvironmentError} `UNREACHABLE` · {PeerError} `SERVER_REFUSED`
   */
  async followOrders(after: number, signal: AbortSignal, take: (order: GatewayOrder) => Promise<void>): Promise<void> {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), FEED_SILENCE_MS);
    try {
      const answer = await this.#fetch("orders", {
        headers: { accept: "text/event-stream", ...(after > 0 && { "last-event-id": `${after}` }) },
        signal: AbortSignal.any([signal, silence.signal]),
      });
      const orders: GatewayOrder[] = [];
      const parser = createParser({
        maxBufferSize: LARGEST_ORDER_CHARACTERS,
        onEvent: ({ data }) => {
          const parsed = GatewayOrder.safeParse(parseJson(data));
          if (parsed.success) orders.push(parsed.data);
        },
      });
      const decoder = new TextDecoder();
      for await (const bytes of answer.body ?? []) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), FEED_SILENCE_MS);
        parser.feed(decoder.decode(bytes, { stream: true }));
        for (const order of orders.splice(0)) await take(order);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** The octets of a content. @throws {EnvironmentError} `UNREACHABLE` · {PeerError} `SERVER_REFUSED`, `CONTENT_LENGTH` */
  async content(name: string, sizeBytes: number, signal: AbortSignal): Promise<Uint8Array> {
    const answer = await this.#fetch(`contents/${name}`, { signal });
    const pieces: Uint8Array[] = [];
    let length = 0;
    for await (const piece of answer.body ?? []) {
      length += piece.length;
      if (length > sizeBytes)
        throw new PeerError("CONTENT_LENGTH", "the content is longer than announced", { name, sizeBytes });
      pieces.push(piece);
    }
    return new Uint8Array(Buffer.concat(pieces));
  }

  /** Reports a batch. @throws {EnvironmentError} `UNREACHABLE` · {PeerError} `SERVER_REFUSED`, `SERVER_ANSWER` */
  async report(batch: ReportBatch): Promise<BatchAnswer> {
    const answer = await this.#fetch("reports", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(batch),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    const parsed = BatchAnswer.safeParse(await answer.json().catch(() => undefined));
    if (!parsed.success) throw new PeerError("SERVER_ANSWER", "the server's answer is not understood");
    return parsed.data;
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const { url, token, gatewayId } = this.#options;
    const answer = await fetch(`${url.replace(/\/$/, "")}/api/v1/gateways/${encodeURIComponent(gatewayId)}/${path}`, {
      ...init,
      headers: { ...init.headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    }).catch((cause) => {
      throw new EnvironmentError("UNREACHABLE", `${url} cannot be reached`, { path }, { cause });
    });
    if (answer.ok) return answer;
    const { status } = answer;
    await answer.body?.cancel();
    if (status >= 500) throw new EnvironmentError("UNREACHABLE", `${url} answers ${status}`, { path, status });
    throw new PeerError("SERVER_REFUSED", `${url} answers ${status} to ${path}`, { path, status });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
