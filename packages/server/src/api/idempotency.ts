/** Idempotency-Key: an unsafe request that is sent again with its key is answered again, not done again. */
import { createHash } from "node:crypto";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { IdempotencyStore } from "../store/ports.ts";

/** Visible ASCII, as long as two UUIDs and some. */
const KEY = /^[\x21-\x7e]{1,128}$/;

/** Adds the hooks to `app` and what is registered in it. */
export function keepAnswers(app: FastifyInstance, store: IdempotencyStore): void {
  const claimed = new WeakMap<FastifyRequest, string>();
  app.addHook("preHandler", async (request, reply) => {
    const key = keyOf(request);
    if (key === undefined) return;
    const claim = await store.claim(key, fingerprintOf(request));
    if (claim.kind === "otherRequest")
      throw new UsageError("IDEMPOTENCY_KEY_REUSED", "this Idempotency-Key was used for another request", { key });
    if (claim.kind === "running")
      throw new UsageError("IDEMPOTENCY_RUNNING", "the request with this Idempotency-Key is still running", { key });
    if (claim.kind === "mine") return void claimed.set(request, key);
    const { status, contentType, body } = claim.answer;
    reply.header("idempotency-replayed", "true").header("content-type", contentType);
    return await reply.status(status).serializer(String).send(body);
  });
  app.addHook("onSend", async (request, reply, payload) => {
    const key = claimed.get(request);
    if (key === undefined) return;
    claimed.delete(request);
    // What failed on our side may succeed the next time.
    if (reply.statusCode >= 500 || typeof payload !== "string") return await store.release(key).catch(() => {});
    const contentType = `${reply.getHeader("content-type")}`;
    // What is done is done, and its sender is told so also when the answer cannot be kept.
    await store.keep(key, { status: reply.statusCode, contentType, body: payload }).catch((error) => {
      request.log.warn({ err: error }, "an answer could not be kept for its Idempotency-Key");
    });
  });
}

function keyOf({ method, headers }: FastifyRequest): string | undefined {
  const key = headers["idempotency-key"];
  if (method === "GET" || method === "HEAD" || key === undefined) return undefined;
  if (typeof key !== "string" || !KEY.test(key))
    throw new UsageError("IDEMPOTENCY_KEY", "an Idempotency-Key is 1 … 128 visible ASCII characters");
  return key;
}

/** What makes two requests the same. A streamed body counts by its length: the image's own digest tells it from others. */
function fingerprintOf({ method, url, headers, body }: FastifyRequest): string {
  const isStreamed = headers["content-type"] === "application/octet-stream";
  const content = isStreamed ? (headers["content-length"] ?? "") : JSON.stringify(body ?? null);
  return createHash("sha256").update([method, url, content].join("\0")).digest("hex");
}
