/** One request to the API, and what can go wrong with it. */
import type { Problem } from "@airlift/protocol/api/schemas";
import { Intents } from "./intents.ts";

/** The server said no, or its answer is no JSON. `status` 0: nobody answered. */
export class ApiError extends Error {
  readonly status: number;
  /** Our stable code, "UPDATE_RUNNING"; "UNREACHABLE" when nobody answered. */
  readonly code: string;
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(status: number, problem: Pick<Problem, "code" | "detail"> & { readonly facts?: Problem["facts"] }) {
    super(problem.detail);
    this.name = "ApiError";
    this.status = status;
    this.code = problem.code;
    this.facts = problem.facts ?? {};
  }
}

/** Nobody is signed in, or not any more. */
export const isSignedOut = (error: unknown): boolean => error instanceof ApiError && error.status === 401;

export interface Ask {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Sent as JSON; a Blob as it is. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Of a POST that comes to the same however often it is sent: it carries no Idempotency-Key. */
  readonly isRepeatable?: boolean;
}

/** An answer with the revision that it is of, to be sent along as If-Match. */
export interface Tagged<Answer> {
  readonly answer: Answer;
  readonly etag: string | null;
}

/**
 * The answer to `/api/v1/<path>`, undefined when it is empty.
 *
 * @throws {ApiError}
 */
export async function ask<Answer>(path: string, options: Ask = {}): Promise<Answer> {
  return (await askTagged<Answer>(path, options)).answer;
}

/**
 * The same with the answer's ETag.
 *
 * @throws {ApiError}
 */
export async function askTagged<Answer>(path: string, options: Ask = {}): Promise<Tagged<Answer>> {
  const { method = "GET", body, isRepeatable = false } = options;
  if (method !== "POST" || isRepeatable) return await send(path, options);
  const request = `${path} ${JSON.stringify(body)}`;
  const key = intents.keyOf(request, performance.now());
  try {
    const tagged = await send<Answer>(path, options, { "idempotency-key": key });
    intents.settle(request);
    return tagged;
  } catch (error) {
    if (!isLost(error)) intents.settle(request);
    throw error;
  }
}

/** What was asked to be done once, and may have been done without our hearing of it. */
const intents = new Intents();

/** Whether nobody knows if the request was done: whoever was between us and the server gave up, or the server is still at it. */
const isLost = (error: unknown): boolean =>
  !(error instanceof ApiError) || isUnanswered(error) || error.code === "IDEMPOTENCY_RUNNING";

/** Nobody answered, or somebody for a server that did not. */
export const isUnanswered = (error: unknown): boolean =>
  error instanceof ApiError && [0, 502, 503, 504].includes(error.status);

async function send<Answer>(path: string, options: Ask, more: Readonly<Record<string, string>> = {}) {
  const { method = "GET", body, headers, signal } = options;
  const { response, text } = await reach(`/api/v1/${path}`, {
    method,
    headers: { ...(body !== undefined && { "content-type": typeOf(body) }), ...more, ...headers },
    ...(body !== undefined && { body: body instanceof Blob ? body : JSON.stringify(body) }),
    ...(signal && { signal }),
  });
  const answer = parse(text);
  if (!response.ok) throw new ApiError(response.status, isProblem(answer) ? answer : unexpected(response.status));
  return { answer: answer as Answer, etag: response.headers.get("etag") };
}

const typeOf = (body: unknown) => (body instanceof Blob ? "application/octet-stream" : "application/json");

/** An answer that breaks off is none. */
async function reach(url: string, init: RequestInit): Promise<{ response: Response; text: string }> {
  try {
    const response = await fetch(url, init);
    return { response, text: await response.text() };
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, { code: "UNREACHABLE", detail: "The server does not answer. Is it running?" });
  }
}

function parse(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isProblem = (answer: unknown): answer is Problem =>
  typeof answer === "object" && answer !== null && "code" in answer && "detail" in answer;

const unexpected = (status: number) => ({
  code: "ANSWER",
  detail: GATEWAY_WORDS[status] ?? `The server answered ${status} without saying why.`,
});

/** What a proxy in front of the server means. */
const GATEWAY_WORDS: Readonly<Record<number, string>> = {
  502: "The proxy in front of the server got no answer from it.",
  503: "The server is not ready.",
  504: "The proxy in front of the server waited for it in vain.",
};
