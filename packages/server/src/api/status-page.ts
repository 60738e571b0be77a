/** The page at `/`: who is there, what is running, what happened. Three files without a line of inline code. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { FastifyInstance } from "fastify";

const FILES = [
  ["/", "index.html", "text/html; charset=utf-8"],
  ["/status.js", "status.js", "text/javascript; charset=utf-8"],
  ["/status.css", "status.css", "text/css; charset=utf-8"],
] as const;

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export function serveStatusPage(app: FastifyInstance): void {
  for (const [url, name, type] of FILES) {
    const content = readFileSync(new URL(`page/${name}`, import.meta.url));
    const etag = `"${createHash("sha256").update(content).digest("hex").slice(0, 16)}"`;
    app.get(url, { schema: { hide: true } }, async (request, reply) => {
      reply.header("content-security-policy", POLICY).header("cache-control", "no-cache").header("etag", etag);
      if (request.headers["if-none-match"] === etag) return await reply.status(304).send();
      return await reply.header("content-type", type).send(content);
    });
  }
}
