/** One HTTP request on Node's own client: `fetch`, and whoever imports `node:http`, has ten megabytes more to hold. */
import type { IncomingMessage } from "node:http";
import { PeerError } from "@airlift/protocol/lib/errors";

export interface HttpRequest {
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
  /** Given up when not an octet comes for so long; absent = `DEFAULT_SILENCE_MS`. */
  readonly silenceMs?: number;
}

/** In the field: a server that stands still, or a line that broke without a word, is noticed within a minute. */
export const DEFAULT_SILENCE_MS = 60_000;

/**
 * The answer, once its head is here; its body has to be read or destroyed. Redirections are not followed: the token is for one server.
 *
 * @param url `http:` or `https:`. The errors are those of node:http; `AbortError` when `signal` says so.
 */
export function requestHttp(url: string, request: HttpRequest): Promise<IncomingMessage> {
  const { method = "GET", body, signal, silenceMs = DEFAULT_SILENCE_MS } = request;
  const target = new URL(url);
  const client = target.protocol === "https:" ? builtin("node:https") : builtin("node:http");
  const length = body === undefined ? {} : { "content-length": `${Buffer.byteLength(body)}` };
  const headers = { ...request.headers, ...length };
  const options = { method, headers, timeout: silenceMs, ...(signal && { signal }) };
  return new Promise((resolve, reject) => {
    const sent = client.request(target, options, resolve).on("error", reject);
    sent.on("timeout", () => sent.destroy(new Error(`nothing came for ${silenceMs / 1000} s`)));
    sent.end(body);
  });
}

/** The whole body as text. @throws {PeerError} `ANSWER_LENGTH` · {Error} when the connection ends before the body does. */
export async function textOf(answer: IncomingMessage, mostCharacters: number): Promise<string> {
  const pieces: string[] = [];
  let length = 0;
  for await (const piece of answer.setEncoding("utf8") as AsyncIterable<string>) {
    length += piece.length;
    if (length > mostCharacters) throw new PeerError("ANSWER_LENGTH", "the answer is too long", { mostCharacters });
    pieces.push(piece);
  }
  return pieces.join("");
}

/** An `import` would look at all that the module exports, and so load what it has for browsers' sake. */
const builtin = process.getBuiltinModule;
