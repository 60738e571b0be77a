/** Idempotency-Key: an unsafe request that is sent again with its key is answered again, not done again. One that was refused is looked at anew. */
import { createHash } from "node:crypto";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { CredentialStore } from "../store/credential-ports.ts";
import type { IdempotencyStore } from "../store/ports.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** The answer holds a key or token: it is kept sealed. */
    readonly answersSecret?: boolean;
  }
}

/** What seals answers that nobody may read in the database. */
export type AnswerSeal = Pick<CredentialStore, "seal" | "unseal">;

/** Visible ASCII, as long as two UUIDs and some. */
const KEY = /^[\x21-\x7e]{1,128}$/;

/** Adds the hooks to `app` and what is registered in it. */
export function keepAnswers(app: FastifyInstance, store: IdempotencyStore, seal: AnswerSeal): void {
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
    const { status, contentType, headers } = claim.answer;
    const body = answersSecret(request) ? unsealed(seal, key, claim.answer.body) : claim.answer.body;
    reply.headers({ ...headers, "idempotency-replayed": "true", "content-type": contentType });
    return await reply.status(status).serializer(String).send(body);
  });
  app.addHook("onSend", async (request, reply, payload) => {
    const key = claimed.get(request);
    if (key === undefined) return;
    claimed.delete(request);
    // A refusal has changed nothing: a device that was asleep, a queue that was full may be ready when the request comes again.
    if (reply.statusCode >= 400 || typeof payload !== "string") return await store.release(key).catch(() => {});
    const contentType = `${reply.getHeader("content-type")}`;
    // What is done is done, and its sender is told so also when the answer cannot be kept.
    const body = answersSecret(request) ? sealed(seal, key, payload) : payload;
    await store
      .keep(key, { status: reply.statusCode, contentType, body, headers: keptHeaders(reply) })
      .catch((error) => {
        request.log.warn({ err: error }, "an answer could not be kept for its Idempotency-Key");
      });
  });
}

/** What an answer says beside its content: where the new thing is, and which revision it has. */
const KEPT_HEADERS = ["etag", "location"] as const;

const keptHeaders = (reply: FastifyReply): Record<string, string> =>
  Object.fromEntries(
    KEPT_HEADERS.flatMap((name) => {
      const value = reply.getHeader(name);
      return value === undefined ? [] : [[name, `${value}`]];
    }),
  );

const answersSecret = ({ routeOptions }: FastifyRequest): boolean => routeOptions.config.answersSecret === true;

const placeOf = (key: string): string => `answer\0${key}`;

function sealed(seal: AnswerSeal, key: string, body: string): string {
  const { keyVersion, bytes } = seal.seal(Buffer.from(body, "utf8"), placeOf(key));
  return `${keyVersion}.${bytes.toString("base64")}`;
}

/** @throws {UsageError} IDEMPOTENCY_LOST when the master key has changed since. */
function unsealed(seal: AnswerSeal, key: string, body: string): string {
  const [keyVersion = "", base64 = ""] = body.split(".");
  try {
    return seal.unseal({ keyVersion, bytes: Buffer.from(base64, "base64") }, placeOf(key)).toString("utf8");
  } catch (error) {
    const message = "the request was done, and its answer cannot be read any more";
    throw new UsageError("IDEMPOTENCY_LOST", message, { key }, { cause: error });
  }
}

function keyOf({ method, headers }: FastifyRequest): string | undefined {
  const key = headers["idempotency-key"];
  if (method === "GET" || method === "HEAD" || key === undefined) return undefined;
  if (typeof key !== "string" || !KEY.test(key))
    throw new UsageError("IDEMPOTENCY_KEY", "an Idempotency-Key is 1 … 128 visible ASCII characters");
  return key;
}

/** What makes two requests the same; nobody gets an answer that was somebody else's. A streamed body counts by its length: the image's own digest tells it from others. */
function fingerprintOf({ method, url, headers, body, principal }: FastifyRequest): string {
  const isStreamed = headers["content-type"] === "application/octet-stream";
  const content = isStreamed ? (headers["content-length"] ?? "") : JSON.stringify(body ?? null);
  return createHash("sha256")
    .update([method, url, content, principal?.tokenId ?? ""].join("\0"))
    .digest("hex");
}
