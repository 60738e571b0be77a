/**
 * Who may ask. Requests carry no credentials and the server listens on loopback, so what is left to fend off is a web page
 * in a browser on this machine: one that rebinds its own name to 127.0.0.1, or one that posts across sites.
 */
import { UsageError } from "@airlift/protocol/lib/errors";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { isLoopbackHost } from "../config.ts";

const UNSAFE = new Set(["POST", "PUT", "PATCH", "DELETE"]);

/** @param ownHosts Names besides those of loopback under which this server is asked. */
export function guardRequests(app: FastifyInstance, ownHosts: readonly string[]): void {
  app.addHook("onRequest", async (request) => {
    refuseForeignHost(request, ownHosts);
    if (UNSAFE.has(request.method)) refuseForeignOrigin(request);
  });
  app.addHook("onSend", async (_, reply) => {
    reply.header("x-content-type-options", "nosniff");
    reply.header("referrer-policy", "no-referrer");
    reply.header("cross-origin-resource-policy", "same-origin");
  });
}

function refuseForeignHost(request: FastifyRequest, ownHosts: readonly string[]): void {
  const name = (request.headers.host ?? "").replace(/:\d+$/, "").toLowerCase();
  if (isLoopbackHost(name) || ownHosts.includes(name)) return;
  throw new UsageError("HOST_REFUSED", "this server does not answer to that name", { host: name });
}

function refuseForeignOrigin({ headers }: FastifyRequest): void {
  const site = headers["sec-fetch-site"];
  const isForeignSite = site !== undefined && site !== "same-origin" && site !== "none";
  const isForeignOrigin = headers.origin !== undefined && headers.origin !== `http://${headers.host}`;
  if (isForeignSite || isForeignOrigin)
    throw new UsageError("ORIGIN_REFUSED", "a web page of another site may not change anything here");
}
