/** The gateway's calls to the server: its orders as a feed that resumes, contents, and reports. */
import type { IncomingMessage } from "node:http";
import { BatchAnswer, GatewayOrder } from "@airlift/protocol/api/gateway";
import { EnvironmentError, PeerError } from "@airlift/protocol/lib/errors";
import { createParser } from "eventsource-parser";
import { type HttpRequest, requestHttp, textOf } from "./http-request.ts";

export interface ServerOptions {
  /** Such as "https://updates.example". */
  readonly url: string;
  readonly token?: string;
  readonly gatewayId: string;
}

/** A request that takes longer is given up. */
const REQUEST_TIMEOUT_MS = 15_000;
const LARGEST_ORDER_CHARACTERS = 4 * 1024 * 1024;
/** 500 events that were opened. */
const LARGEST_ANSWER_CHARACTERS = 1024 * 1024;
const LARGEST_PROBLEM_CHARACTERS = 64 * 1024;
const LONGEST_REASON = 500;

export class ServerClient {
  readonly #options: ServerOptions;
  readonly #stop = new AbortController();

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  /**
   * Orders with a number above `after`, until the connection ends. Where not even a comment comes for a minute, it is dead.
   *
   * @throws {EnvironmentError} `UNREACHABLE` · {PeerError} `SERVER_REFUSED`
   */
  async followOrders(after: number, signal: AbortSignal, take: (order: GatewayOrder) => Promise<void>): Promise<void> {
    const answer = await this.#request("orders", {
      headers: { accept: "text/event-stream", ...(after > 0 && { "last-event-id": `${after}` }) },
      signal,
    });
    const orders: GatewayOrder[] = [];
    const parser = createParser({
      maxBufferSize: LARGEST_ORDER_CHARACTERS,
      onEvent: ({ data }) => {
        const parsed = GatewayOrder.safeParse(parseJson(data));
        if (parsed.success) orders.push(parsed.data);
      },
    });
    for await (const text of answer.setEncoding("utf8")) {
      parser.feed(text);
      for (const order of orders.splice(0)) await take(order);
    }
  }

  /** The octets of a content. @throws {EnvironmentError} `UNREACHABLE` · {PeerError} `SERVER_REFUSED`, `CONTENT_LENGTH` */
  async content(name: string, sizeBytes: number, signal: AbortSignal): Promise<Uint8Array> {
    const answer = await this.#request(`contents/${name}`, { signal });
    const bytes = new Uint8Array(sizeBytes);
    let length = 0;
    for await (const piece of answer as AsyncIterable<Uint8Array>) {
      if (length + piece.length > sizeBytes)
        throw new PeerError("CONTENT_LENGTH", "the content is longer than announced", { name, sizeBytes });
      bytes.set(piece, length);
      length += piece.length;
    }
    return bytes.subarray(0, length);
  }

  /** Reports a batch. @param batch A `ReportBatch` as JSON. @throws {EnvironmentError} `UNREACHABLE` · {PeerError} `SERVER_REFUSED`, `SERVER_ANSWER` */
  async report(batch: string): Promise<BatchAnswer> {
    const answer = await this.#request("reports", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: batch,
      signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
    });
    const text = await textOf(answer, LARGEST_ANSWER_CHARACTERS).catch(() => "");
    const parsed = BatchAnswer.safeParse(parseJson(text));
    if (!parsed.success) throw new PeerError("SERVER_ANSWER", "the server's answer is not understood");
    return parsed.data;
  }

  /** Gives up the batch that is on its way; after the next start it goes up again. */
  close(): void {
    this.#stop.abort();
  }

  async #request(path: string, request: HttpRequest): Promise<IncomingMessage> {
    const { url, token, gatewayId } = this.#options;
    const address = `${url.replace(/\/$/, "")}/api/v1/gateways/${encodeURIComponent(gatewayId)}/${path}`;
    const answer = await requestHttp(address, {
      ...request,
      headers: { ...request.headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    }).catch((cause) => {
      throw new EnvironmentError("UNREACHABLE", `${url} cannot be reached`, { path }, { cause });
    });
    const { statusCode: status = 0 } = answer;
    if (status >= 200 && status < 300) return answer;
    const why = problemOf(await textOf(answer, LARGEST_PROBLEM_CHARACTERS).catch(() => ""));
    if (status >= 500) throw new EnvironmentError("UNREACHABLE", `${url} answers ${status}${why}`, { path, status });
    throw new PeerError("SERVER_REFUSED", `${url} answers ${status} to ${path}${why}`, { path, status });
  }
}

/** What a problem document says in words (RFC 9457 §3.1.4), as the end of a sentence. */
function problemOf(text: string): string {
  const { detail } = (parseJson(text) ?? {}) as { readonly detail?: unknown };
  return typeof detail === "string" ? `: ${detail.slice(0, LONGEST_REASON)}` : "";
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
