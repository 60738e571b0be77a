/**
 * What only the server that has a device can do: the same request goes on to that server, with whatever its sender showed of
 * themselves, once. The answer comes back as it is.
 */
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { LivingNode, NodeStore } from "../store/node-store.ts";

/** Names the server that a request was sent on to. What has it is sent on no further. */
export const FORWARDED_TO = "airlift-forwarded-to";

/** What of a request goes along. */
export type Forwarded = Pick<FastifyRequest, "headers">;

/** Which requests are another server's. */
export interface Elsewhere {
  /** The server that has to answer a request; undefined = this one, as far as it can. */
  find(request: FastifyRequest): Promise<LivingNode | undefined>;
  /** Whether this one can do it as well when that server cannot be reached. Default: none. */
  canDoHere?(request: FastifyRequest): boolean;
}

/** What a request may take when it does not say so itself, and what is added for the way there and back. */
const DEFAULT_TIMEOUT_S = 30;
const WAY_MS = 5_000;
/** Octets of an answer: a device's answers are far smaller. */
const LARGEST_ANSWER_BYTES = 4 * 2 ** 20;

/** Of a request: who asks, and in which form they want the answer. */
const REQUEST_HEADERS = ["authorization", "cookie", "accept", "if-match"] as const;
const ANSWER_HEADERS = ["content-type", "location", "retry-after", "www-authenticate", "etag"] as const;

/** Failures of a connection that never stood: nothing was asked of anybody. */
const NEVER_SENT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|.*CERT.*|ERR_TLS.*)$/;

/** Adds the hook to `app` and what is registered in it from now on; behind the one that answers repeated requests. */
export function forwardRequests(app: FastifyInstance, nodes: Pick<NodeStore, "id">, elsewhere: Elsewhere): void {
  app.addHook("preHandler", async (request, reply) => {
    if (isForwarded(request, nodes)) return;
    const node = await elsewhere.find(request);
    if (node === undefined) return;
    try {
      return await sendOn(request, reply, node);
    } catch (error) {
      const wasNeverAsked = error instanceof EnvironmentError && error.code === "NODE_UNREACHABLE";
      if (!wasNeverAsked || elsewhere.canDoHere?.(request) !== true) throw error;
    }
  });
}

/**
 * Whether another server has sent a request on to this one, so that it goes no further.
 *
 * @throws {UsageError} NODE_MISDIRECTED when the address of a server leads to another one.
 */
export function isForwarded({ headers }: Forwarded, { id }: Pick<NodeStore, "id">): boolean {
  if (headers[FORWARDED_TO] === undefined) return false;
  const aim = `${headers[FORWARDED_TO]}`;
  if (aim === encodeURIComponent(id)) return true;
  throw new UsageError(
    "NODE_MISDIRECTED",
    `the address of the server ${decodeSafely(aim)} leads to ${id}: tell that server its own with --api-url`,
    { aim: decodeSafely(aim), node: id },
  );
}

/**
 * @throws {EnvironmentError} NODE_UNREACHABLE: nothing was asked of the device; NODE_LOST: it is not known whether it was.
 */
async function sendOn(request: FastifyRequest, reply: FastifyReply, node: LivingNode): Promise<FastifyReply> {
  const facts = { node: node.id, address: node.address };
  if (node.address === null)
    throw new EnvironmentError("NODE_UNREACHABLE", `the server ${node.id} has it, and has told no address`, facts);
  // A request may name its target in full; only the path goes on.
  const path = request.url.slice(Math.max(0, request.url.indexOf("/api/")));
  const timeoutS = Number((request.query as { timeoutS?: number }).timeoutS ?? DEFAULT_TIMEOUT_S);
  const hasBody = request.body !== undefined && request.body !== null;
  try {
    const answer = await fetch(`${node.address}${path}`, {
      method: request.method,
      headers: { ...headersTo(node, request), ...(hasBody && { "content-type": "application/json" }) },
      ...(hasBody && { body: JSON.stringify(request.body) }),
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutS * 1000 + WAY_MS),
    });
    const text = await boundedText(answer);
    for (const name of ANSWER_HEADERS) {
      const value = answer.headers.get(name);
      if (value !== null) reply.header(name, value);
    }
    reply.status(answer.status).serializer(String);
    return await (text === "" ? reply.send() : reply.send(text));
  } catch (error) {
    throw failureOf(error, facts);
  }
}

/** Who asks, and the mark. */
export function headersTo(node: LivingNode, { headers }: Forwarded): Record<string, string> {
  const kept: Record<string, string> = { [FORWARDED_TO]: encodeURIComponent(node.id) };
  for (const name of REQUEST_HEADERS) {
    const value = headers[name];
    if (value !== undefined) kept[name] = value;
  }
  // Whether the page that a cookie came from is one of ours was looked at here.
  if (headers.cookie !== undefined) kept["sec-fetch-site"] = "same-origin";
  return kept;
}

async function boundedText({ body }: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of body ?? []) {
    sizeBytes += part.length;
    if (sizeBytes > LARGEST_ANSWER_BYTES) throw new Error("the answer is too long");
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function failureOf(error: unknown, { node, address }: { node: string; address: string | null }): EnvironmentError {
  const { name, message, cause } = error as Error & { cause?: { code?: string; message?: string } };
  const reason = cause?.code ?? cause?.message ?? (name === "TimeoutError" ? "it took too long" : message);
  const facts = { node, address, reason };
  if (NEVER_SENT.test(reason))
    return new EnvironmentError(
      "NODE_UNREACHABLE",
      `the server ${node} has it, and cannot be reached at ${address} (${reason}): nothing was asked`,
      facts,
      { cause: error },
    );
  return new EnvironmentError(
    "NODE_LOST",
    `the server ${node} has it, and did not answer (${reason}): whether it was done is not known`,
    facts,
    { cause: error },
  );
}

function decodeSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
