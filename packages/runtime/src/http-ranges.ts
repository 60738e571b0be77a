/**
 * Pulls one representation over HTTP/1.1 or HTTPS, from its beginning or from where an earlier pull ended.
 * Sources: RFC 9110 §13.1.1 If-Match, §14 Range, §15.4 redirects, §15.5.13 412, §15.5.17 416.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { Socket } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { decodeUtf8, encodeUtf8, equalBytes } from "@airlift/protocol/lib/bytes";
import { EnvironmentError, PeerError, UsageError } from "@airlift/protocol/lib/errors";
import type { TransportSecurity } from "@airlift/protocol/lib/transport-security";
import { connectStream, type StreamTarget, streamError } from "./tcp.ts";

/** A server that says nothing for this long is given up. */
export const DEFAULT_IDLE_TIMEOUT_MS = 30_000;
/** Redirects followed in one pull. */
export const DEFAULT_MAX_REDIRECTS = 5;

/** What is known once the answer's header is there. */
export interface HttpOrigin {
  /** The strong entity tag, with its quotes, as UTF-8; absent when there is none or a weak one. */
  readonly etag?: Uint8Array;
  /** Octets of the whole representation, when the server says. */
  readonly sizeBytes?: number;
  /** Offset of the first octet that `write` gets: 0, or `fromOffset`. */
  readonly offset: number;
}

export interface HttpPull {
  /** `http:` or `https:`. */
  readonly uri: string;
  /** Octets held already. Default 0. */
  readonly fromOffset?: number;
  /** Entity tag of what is held, as `HttpOrigin.etag` gave it; without one, whatever is there now is taken to be the same. */
  readonly etag?: Uint8Array;
  /** Ends the pull and its connection at once; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Default `DEFAULT_IDLE_TIMEOUT_MS`. Waiting for `write` does not count. */
  readonly idleTimeoutMs?: number;
  /** Default `DEFAULT_MAX_REDIRECTS`. */
  readonly maxRedirects?: number;
  /** What secures `https:`. Default: the system's trust store. */
  readonly security?: TransportSecurity;
  /** In its place: trust anchors and a client's certificate. */
  readonly tls?: SecureContextOptions;
  /** Called once, before the first `write`. */
  onOrigin?(origin: HttpOrigin): Promise<void> | void;
  /** Takes the next octets; no more are read before its promise settles. `bytes` belong to the callee. */
  write(bytes: Uint8Array): Promise<void> | void;
}

/**
 * Pulls until the end of the representation; how many octets it has. What `write` and `onOrigin` throw goes through.
 *
 * A server that does not know ranges answers with everything; the octets held already are then skipped.
 *
 * @throws {UsageError} `HTTP_URI` when the URI is not one of `http:` or `https:`.
 * @throws {PeerError} `NOT_FOUND` (404, 410) · `ETAG_CHANGED` what is held is of another representation · `HTTP_STATUS` any
 *   other refusal · `HTTP_RANGE` an answer to another range · `HTTP_REDIRECT` too many, to nowhere, or from https to http ·
 *   `HTTP_ENCODING` coded content.
 * @throws {EnvironmentError} `HOST_UNKNOWN` · `CONNECTION_LOST` · `IDLE_TIMEOUT` · `TLS_FAILED`. Another try may help.
 */
export async function pullHttp(pull: HttpPull): Promise<number> {
  let uri = parseUri(pull.uri);
  for (let redirects = 0; ; redirects += 1) {
    pull.signal?.throwIfAborted();
    const next = await pullOnce(uri, pull);
    if (typeof next === "number") return next;
    if (redirects >= (pull.maxRedirects ?? DEFAULT_MAX_REDIRECTS)) {
      throw new PeerError("HTTP_REDIRECT", "too many redirects", { uri: pull.uri, redirects });
    }
    if (uri.protocol === "https:" && next.protocol !== "https:") {
      throw new PeerError("HTTP_REDIRECT", "a redirect from https must not lead to http", { uri: next.href });
    }
    uri = next;
  }
}

/** One request: the size of the representation once it is pulled, or where to ask instead. */
async function pullOnce(uri: URL, pull: HttpPull): Promise<number | URL> {
  const exchange = new Exchange(uri, pull);
  const abort = (): void => exchange.end();
  pull.signal?.addEventListener("abort", abort, { once: true });
  try {
    const response = await exchange.response();
    const { statusCode = 0, headers } = response;
    if (headers.location !== undefined && [301, 302, 303, 307, 308].includes(statusCode)) {
      return parseLocation(headers.location, uri);
    }
    const origin = originOf(response, pull);
    // Nothing is missing: the server has no octet at this offset, and its length says that none is to come.
    if (statusCode === 416) return origin.offset;
    await pull.onOrigin?.(origin);
    return await copy(exchange, origin, pull);
  } catch (error) {
    pull.signal?.throwIfAborted();
    throw error;
  } finally {
    pull.signal?.removeEventListener("abort", abort);
    // Whatever is still to come, of a refusal or a redirect, is not waited for.
    exchange.end();
  }
}

/** A request and its answer; each wait for the server is bounded, and its errors have our names. */
class Exchange {
  readonly #uri: URL;
  readonly #idleTimeoutMs: number;
  readonly #request: ClientRequest;
  #response: IncomingMessage | undefined;
  #pieces: AsyncIterator<Buffer> | undefined;

  constructor(uri: URL, pull: HttpPull) {
    this.#uri = uri;
    this.#idleTimeoutMs = pull.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS;
    this.#request = startRequest(uri, pull);
    // A connection that breaks after the answer has begun is told by the answer; here it must only not be unheard.
    this.#request.on("error", () => undefined);
  }

  get statusCode(): number {
    return this.#response?.statusCode ?? 0;
  }

  async response(): Promise<IncomingMessage> {
    const arrived = new Promise<IncomingMessage>((resolve, reject) => {
      this.#request.once("response", resolve);
      this.#request.once("error", reject);
      this.#request.once("close", () => reject(lost(this.#uri)));
    });
    this.#response = await this.#wait(arrived);
    this.#pieces = this.#response[Symbol.asyncIterator]();
    return this.#response;
  }

  /** The next octets of the body; `undefined` at its end. */
  async next(): Promise<Buffer | undefined> {
    const piece = await this.#wait(this.#pieces?.next() ?? Promise.reject(lost(this.#uri)));
    return piece.done ? undefined : piece.value;
  }

  /** Closes the connection, whatever it is doing. */
  end(reason?: Error): void {
    this.#response?.destroy(reason);
    this.#request.destroy(reason);
  }

  async #wait<T>(what: Promise<T>): Promise<T> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.end(lost(this.#uri));
    }, this.#idleTimeoutMs);
    try {
      return await what;
    } catch (cause) {
      const facts = { uri: this.#uri.href, idleTimeoutMs: this.#idleTimeoutMs };
      if (isLate) throw new EnvironmentError("IDLE_TIMEOUT", "the server fell silent", facts, { cause });
      throw streamError(cause, { uri: this.#uri.href });
    } finally {
      clearTimeout(timer);
    }
  }
}

function startRequest(
  uri: URL,
  { fromOffset = 0, etag, tls, security, idleTimeoutMs, signal }: HttpPull,
): ClientRequest {
  const headers: Record<string, string> = { "Accept-Encoding": "identity" };
  if (fromOffset > 0) headers["Range"] = `bytes=${fromOffset}-`;
  const tag = etag && decodeUtf8(etag);
  if (fromOffset > 0 && tag) headers["If-Match"] = tag;
  if (uri.protocol === "https:" && security)
    return startSecured(uri, { security, timeoutMs: idleTimeoutMs, signal }, headers);
  // A connection of its own, so that ending the pull ends it.
  const options = { headers, agent: false as const };
  const request = uri.protocol === "https:" ? httpsRequest(uri, { ...tls, ...options }) : httpRequest(uri, options);
  return request.end();
}

/** Over a connection whose other end has proved who it is before it hears anything. */
function startSecured(
  uri: URL,
  how: Pick<StreamTarget, "security" | "timeoutMs" | "signal">,
  headers: Record<string, string>,
): ClientRequest {
  const host = uri.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = uri.port === "" ? 443 : Number(uri.port);
  const createConnection: RequestOptions["createConnection"] = (_options, done) => {
    connectStream({ host, port, protocol: "http/1.1", ...how }).then(
      (socket) => {
        done(null, socket);
        socket.resume();
      },
      (error: Error) => done(error, new Socket()),
    );
    return undefined;
  };
  return httpsRequest(uri, { headers, createConnection }).end();
}

/** Checks that the answer goes on with what is held. */
function originOf(response: IncomingMessage, { uri, fromOffset = 0, etag: held }: HttpPull): HttpOrigin {
  const { statusCode = 0, headers } = response;
  const facts = { uri, status: statusCode, fromOffset };
  if (statusCode === 404 || statusCode === 410) throw new PeerError("NOT_FOUND", "there is no such file", facts);
  if (statusCode === 412) throw new PeerError("ETAG_CHANGED", "the file is another one now", facts);
  const range = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(headers["content-range"] ?? "");
  const total = range?.[3] === undefined || range[3] === "*" ? undefined : Number(range[3]);
  if (statusCode === 416 && fromOffset > 0) {
    if (total === fromOffset) return { offset: fromOffset, sizeBytes: total };
    throw new PeerError("ETAG_CHANGED", "the file is shorter than what is held of it", { ...facts, sizeBytes: total });
  }
  if (statusCode !== 200 && statusCode !== 206) throw new PeerError("HTTP_STATUS", "the server refuses", facts);
  if (statusCode === 206 && (fromOffset === 0 || Number(range?.[1] ?? Number.NaN) !== fromOffset)) {
    throw new PeerError("HTTP_RANGE", "the answer is to another range", { ...facts, range: headers["content-range"] });
  }
  const coding = headers["content-encoding"] ?? "identity";
  if (coding !== "identity") throw new PeerError("HTTP_ENCODING", "the content is coded", { ...facts, coding });
  const etag = strongTag(headers.etag);
  if (fromOffset > 0 && held && etag && !equalBytes(held, etag)) {
    throw new PeerError("ETAG_CHANGED", "the file is another one now", facts);
  }
  const length = headers["content-length"] === undefined ? undefined : Number(headers["content-length"]);
  const sizeBytes = statusCode === 206 ? total : length;
  return { offset: fromOffset, ...(etag && { etag }), ...(sizeBytes !== undefined && { sizeBytes }) };
}

/** Hands the body on, one piece at a time, without the octets that are held already. */
async function copy(exchange: Exchange, origin: HttpOrigin, { uri, write, signal }: HttpPull): Promise<number> {
  let offset = exchange.statusCode === 206 ? origin.offset : 0;
  for (let piece = await exchange.next(); piece !== undefined; piece = await exchange.next()) {
    const fresh = piece.subarray(Math.min(piece.length, Math.max(0, origin.offset - offset)));
    offset += piece.length;
    if (fresh.length > 0) await write(fresh);
    signal?.throwIfAborted();
  }
  if (offset < origin.offset) {
    throw new PeerError("ETAG_CHANGED", "the file is shorter than what is held of it", { uri, sizeBytes: offset });
  }
  if (origin.sizeBytes !== undefined && offset !== origin.sizeBytes) throw lost(new URL(uri));
  return offset;
}

/** Only a strong tag says that two representations are the same octets (RFC 9110 §8.8.1). */
function strongTag(tag: string | undefined): Uint8Array | undefined {
  return tag?.startsWith('"') ? encodeUtf8(tag) : undefined;
}

function parseUri(text: string): URL {
  const uri = URL.canParse(text) ? new URL(text) : undefined;
  if (uri?.protocol !== "http:" && uri?.protocol !== "https:") {
    throw new UsageError("HTTP_URI", "not a URI of http: or https:", { uri: text });
  }
  return uri;
}

function parseLocation(location: string, base: URL): URL {
  const uri = URL.canParse(location, base.href) ? new URL(location, base) : undefined;
  if (uri?.protocol !== "http:" && uri?.protocol !== "https:") {
    throw new PeerError("HTTP_REDIRECT", "a redirect to nowhere", { uri: base.href, location });
  }
  return uri;
}

function lost(uri: URL, cause?: unknown): EnvironmentError {
  return new EnvironmentError("CONNECTION_LOST", "the connection broke", { uri: uri.href }, { cause });
}
