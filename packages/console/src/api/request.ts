/** One request to the API, and what can go wrong with it. */
import type { Problem } from "@airlift/protocol/api/schemas";

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
  const { method = "GET", body, headers, signal } = options;
  const response = await reach(`/api/v1/${path}`, {
    method,
    headers: { ...(body !== undefined && { "content-type": typeOf(body) }), ...idempotency(method), ...headers },
    ...(body !== undefined && { body: body instanceof Blob ? body : JSON.stringify(body) }),
    ...(signal && { signal }),
  });
  const text = await response.text();
  const answer = parse(text);
  if (!response.ok) throw new ApiError(response.status, isProblem(answer) ? answer : unexpected(response.status));
  return { answer: answer as Answer, etag: response.headers.get("etag") };
}

const typeOf = (body: unknown) => (body instanceof Blob ? "application/octet-stream" : "application/json");

/** A click that is sent twice, by the browser or the network, does its work once. */
const idempotency = (method: string) => (method === "POST" ? { "idempotency-key": crypto.randomUUID() } : {});

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
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
  detail: `The server answered ${status} without saying why.`,
});
