/** The console at `/`: files that were built before, handed out under a policy that runs no code but theirs. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

const PAGE = "index.html";

interface ConsoleFile {
  readonly type: string;
  readonly content: Buffer;
  readonly gzipped: Buffer;
  readonly etag: string;
}

const BUILT = fileURLToPath(new URL("../../../console/dist", import.meta.url));

/** Answers with the console's page where a browser asks for a page; false for everything else. */
export type AnswerPage = (request: FastifyRequest, reply: FastifyReply) => boolean;

/**
 * Adds the routes of the console's files.
 *
 * @param folder What `npm run console` built; without it the API serves all the same, and `/` says what to do.
 * @returns What answers an address that is no route: the page finds its way by its own address.
 */
export function serveConsole(app: FastifyInstance, folder: string = BUILT): AnswerPage {
  const files = readConsole(folder);
  const page = files.get(PAGE);
  app.get("/", { schema: { hide: true } }, async (request, reply) => {
    if (page) return await send(request, reply, page);
    throw new EnvironmentError("CONSOLE_NOT_BUILT", "the console is not built: run `npm run console`");
  });
  app.get("/assets/*", { schema: { hide: true } }, async (request, reply) => {
    const file = files.get(pathOf(request).slice(1));
    return file ? await send(request, reply, file) : reply.callNotFound();
  });
  return (request, reply) => {
    if (page === undefined || !asksForPage(request)) return false;
    void send(request, reply, page);
    return true;
  };
}

const pathOf = ({ url }: FastifyRequest): string => url.replace(/[?#].*/, "");

/** `/devices/a.b` is a page for a browser, and nothing for a program. */
const asksForPage = (request: FastifyRequest): boolean =>
  request.method === "GET" &&
  !/^\/(api|assets|firmware)\//.test(pathOf(request)) &&
  (request.headers.accept ?? "").includes("text/html");

async function send(request: FastifyRequest, reply: FastifyReply, file: ConsoleFile) {
  const isPage = file.type.startsWith("text/html");
  reply
    .header("content-security-policy", POLICY)
    .header("etag", file.etag)
    .header("vary", "accept-encoding")
    // The names of all other files change with their content.
    .header("cache-control", isPage ? "no-cache" : "public, max-age=31536000, immutable");
  if (request.headers["if-none-match"] === file.etag) return await reply.status(304).send();
  reply.header("content-type", file.type);
  if (!/\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""))) return await reply.send(file.content);
  return await reply.header("content-encoding", "gzip").send(file.gzipped);
}

/** All files by their path below `folder`, "assets/index-1a2b.js"; none when nothing was built. */
function readConsole(folder: string): ReadonlyMap<string, ConsoleFile> {
  const files = new Map<string, ConsoleFile>();
  for (const name of listFiles(folder)) {
    const content = readFileSync(join(folder, name));
    const etag = `"${createHash("sha256").update(content).digest("hex").slice(0, 16)}"`;
    const type = TYPES[extname(name)] ?? "application/octet-stream";
    files.set(name.replaceAll("\\", "/"), { type, content, gzipped: gzipSync(content), etag });
  }
  return files;
}

function listFiles(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  } catch {
    return [];
  }
}
