/**
 * What a web page of another site may not do: ask under a name of its own that it bound to this address, or send a change
 * that a browser would sign with its cookie. And the headers that keep our own pages from being turned against their reader.
 */
import { UsageError } from "@airlift/protocol/lib/errors";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { isLoopbackHost } from "../config/loopback.ts";

const UNSAFE = new Set(["POST", "PUT", "PATCH", "DELETE"]);
/** A year (RFC 6797 §6.1.1). */
const HSTS = "max-age=31536000";
/** For whatever states no policy of its own. */
const POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

export interface GuardOptions {
  /** Names besides those of loopback under which this server is asked. */
  readonly ownHosts: readonly string[];
  /** Without tokens the name is all that tells a page that rebinds its own to 127.0.0.1 from the operator. */
  readonly noAuth: boolean;
  readonly isTls: boolean;
}

export function guardRequests(app: FastifyInstance, { ownHosts, noAuth, isTls }: GuardOptions): void {
  app.addHook("onRequest", async (request) => {
    if (noAuth) refuseForeignHost(request, ownHosts);
    if (UNSAFE.has(request.method)) refuseForeignOrigin(request, isTls);
  });
  app.addHook("onSend", async (_, reply) => {
    reply.header("x-content-type-options", "nosniff");
    reply.header("x-frame-options", "DENY");
    reply.header("referrer-policy", "no-referrer");
    reply.header("cross-origin-resource-policy", "same-origin");
    reply.header("cross-origin-opener-policy", "same-origin");
    reply.header("permissions-policy", "camera=(), geolocation=(), microphone=()");
    if (!reply.hasHeader("content-security-policy")) reply.header("content-security-policy", POLICY);
    if (!reply.hasHeader("cache-control")) reply.header("cache-control", "no-store");
    if (isTls) reply.header("strict-transport-security", HSTS);
  });
}

function refuseForeignHost(request: FastifyRequest, ownHosts: readonly string[]): void {
  const name = (request.headers.host ?? "").replace(/:\d+$/, "").toLowerCase();
  if (isLoopbackHost(name) || ownHosts.includes(name)) return;
  throw new UsageError("HOST_REFUSED", "this server does not answer to that name", { host: name });
}

function refuseForeignOrigin({ headers }: FastifyRequest, isTls: boolean): void {
  const site = headers["sec-fetch-site"];
  const isForeignSite = site !== undefined && site !== "same-origin" && site !== "none";
  const isForeignOrigin = headers.origin !== undefined && !isOwnOrigin(headers.origin, headers.host, isTls);
  // A browser that sends our cookie with a change says where the page is from; what says nothing is no browser of ours.
  const isUnknown = headers.cookie !== undefined && headers.authorization === undefined && headers.origin === undefined;
  if (isForeignSite || isForeignOrigin || (isUnknown && site !== "same-origin"))
    throw new UsageError("ORIGIN_REFUSED", "a web page of another site may not change anything here");
}

/** Behind a proxy that speaks https we do not see the browser's scheme; the name has to be the same in any case. */
function isOwnOrigin(origin: string, host: string | undefined, isTls: boolean): boolean {
  const own = isTls ? [`https://${host}`] : [`http://${host}`, `https://${host}`];
  return own.includes(origin);
}
