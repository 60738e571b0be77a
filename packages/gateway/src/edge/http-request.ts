/** One HTTP request on Node's own client: `fetch`, and whoever imports `node:http`, has ten megabytes more to hold. */
import type { IncomingMessage } from "node:http";
import { PeerError } from "@airlift/protocol/lib/errors";

export interface HttpRequest {
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/**
 * The answer, once its head is here; its body has to be read or destroyed. Redirections are not followed: the token is for one server.
 *
 * @param url `http:` or `https:`. The errors are those of node:http; `AbortError` when `signal` says so.
 */
export function requestHttp(url: string, { body, signal, ...rest }: HttpRequest): Promise<IncomingMessage> {
  const target = new URL(url);
  const { request } = target.protocol === "https:" ? builtin("node:https") : builtin("node:http");
  const length = body === undefined ? {} : { "content-length": `${Buffer.byteLength(body)}` };
  const headers = { ...rest.headers, ...length };
  return new Promise((resolve, reject) => {
    request(target, { method: rest.method ?? "GET", headers, ...(signal && { signal }) }, resolve)
      .on("error", reject)
      .end(body);
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
