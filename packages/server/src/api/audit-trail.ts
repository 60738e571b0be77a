/**
 * Who asked for a change, and how it was answered: each request that may change something and whose sender is known,
 * each that was refused for its role, each sign-in, each token that is no good. Only the path is kept, never a body, a query or a header.
 */
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { AuditStore } from "../store/audit-store.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** One of very many requests that are a single act; the one that begins or ends them is recorded. */
    readonly isAudited?: boolean;
  }
}

const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
/** Longer paths are cut: an endpoint's name has at most 255 characters. */
const LONGEST_ACTION = 600;
/** So many lines wait for a database that is away; then nothing is changed that could not be recorded. */
const MOST_WAITING = 50_000;

/** Adds the hooks to `app` and what is registered in it; before those that find out who asks. */
export function keepAuditTrail(app: FastifyInstance, audit: AuditStore): void {
  app.addHook("preValidation", async (request) => {
    if (SAFE.has(request.method) || audit.waitingRows < MOST_WAITING) return;
    throw new EnvironmentError("AUDIT_FULL", "changes cannot be recorded now, and so not be made", {
      waiting: audit.waitingRows,
    });
  });
  app.addHook("onResponse", async (request, reply) => {
    if (!isRecorded(request, reply)) return;
    // Who guesses tokens may fill the log, but not so far that nothing can be changed any more.
    if (request.principal === null && audit.waitingRows >= MOST_WAITING / 2) return;
    const { principal } = request;
    const kept = audit.queue({
      at: new Date().toISOString(),
      who: principal?.name ?? "-",
      person: principal?.personId ?? null,
      role: principal?.role ?? null,
      peer: request.ip,
      action: `${request.method} ${pathOf(request)}`.slice(0, LONGEST_ACTION),
      outcome: reply.statusCode,
    });
    if (!kept) request.log.error({ path: pathOf(request) }, "the audit log is full and a line was lost");
  });
}

function isRecorded(request: FastifyRequest, { statusCode }: FastifyReply): boolean {
  const { method, principal, isTokenRefused, routeOptions } = request;
  if (routeOptions.config?.isAudited === false && statusCode < 400) return false;
  if (principal === null) return isTokenRefused;
  return !SAFE.has(method) || statusCode === 403 || isComingBack(routeOptions.url);
}

/** Signed in at a provider: the browser comes back with a GET. */
const isComingBack = (url: string | undefined): boolean => url === "/api/v1/session/oidc/callback";

const pathOf = ({ url }: FastifyRequest): string => url.split("?", 1)[0] ?? "";
