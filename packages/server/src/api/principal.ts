/** Who asks: found once for each request, refused with as little work as possible, and there for whoever writes an audit. */
import type { Role } from "@airlift/protocol/api/credentials";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { PersonId } from "../campaign/person.ts";
import type { TokenHolder, TokenStore } from "../store/credential-ports.ts";
import { accessOf, refuseLesserRole } from "./access.ts";
import { FailedAttempts, type FailedAttemptsOptions } from "./failed-attempts.ts";
import { sessionCookieOf } from "./session-cookie.ts";

export interface Principal {
  /** `local`: nobody is asked for a token, and only this machine can ask. */
  readonly kind: "token" | "session" | "local";
  /** null for `local`. */
  readonly tokenId: string | null;
  /** The token's name. */
  readonly name: string;
  /** Absent for `local`. */
  readonly personId?: PersonId | undefined;
  readonly role: Role;
  /** Where the request came from. */
  readonly address: string;
  /** UTC milliseconds; null = never. */
  readonly expiresAtMs: number | null;
}

declare module "fastify" {
  interface FastifyRequest {
    /** null on routes that are open to everybody, when nothing good was shown. */
    principal: Principal | null;
    /** A token or cookie was shown that is no good. */
    isTokenRefused: boolean;
  }
}

export interface PrincipalOptions {
  readonly tokens: TokenStore;
  /** Everybody who reaches this server may do everything. */
  readonly noAuth: boolean;
  readonly attempts?: FailedAttemptsOptions | undefined;
  /** Monotonic milliseconds; another clock in tests. */
  readonly now?: (() => number) | undefined;
}

/** What a request shows. */
interface Shown {
  readonly kind: "token" | "session";
  readonly text: string;
}

/**
 * Finds `request.principal` before anything else of a request is read.
 *
 * @returns Checks a token by hand: for signing in.
 */
export function identifyRequests(app: FastifyInstance, options: PrincipalOptions) {
  const { tokens, noAuth } = options;
  const attempts = new FailedAttempts(options.attempts);
  const nowMs = options.now ?? (() => performance.now());
  const check = async <Found>(request: FastifyRequest, text: string, look: () => Promise<Found | undefined>) => {
    const waitMs = attempts.waitMs(request.ip, nowMs());
    // A token that was good may come from behind the same address as one that is guessed, and is looked at all the same.
    if (waitMs > 0 && !tokens.wasGood(text)) throw mustWait(waitMs);
    const found = await look();
    if (found !== undefined) return found;
    attempts.fail(request.ip, nowMs());
    request.isTokenRefused = true;
    throw new UsageError("TOKEN_REFUSED", "this token is not good: it is unknown, was revoked, or has expired");
  };
  app.decorateRequest("principal", null);
  app.decorateRequest("isTokenRefused", false);
  app.addHook("onRequest", async (request) => {
    const least = accessOf(request);
    if (noAuth) {
      request.principal = localPrincipal(request.ip);
      return;
    }
    if (least === "open") return;
    const shown = shownBy(request);
    if (shown === undefined)
      throw new UsageError("TOKEN_MISSING", "show a token: authorization: Bearer airlift_…, or sign in");
    const holder = await check(request, shown.text, () => holderOf(tokens, shown));
    request.principal = { kind: shown.kind, address: request.ip, ...holder };
    refuseLesserRole(holder.role, least);
  });
  return check;
}

const localPrincipal = (address: string): Principal => ({
  kind: "local",
  tokenId: null,
  name: "local",
  role: "admin",
  address,
  expiresAtMs: null,
});

async function holderOf(tokens: TokenStore, { kind, text }: Shown): Promise<TokenHolder | undefined> {
  return await (kind === "token" ? tokens.holderOf(text) : tokens.sessionHolder(text));
}

/** The header goes before the cookie: who writes it means it. */
function shownBy({ headers }: FastifyRequest): Shown | undefined {
  if (headers.authorization !== undefined) {
    const [, text = ""] = /^Bearer +([^\s]{1,256})$/i.exec(headers.authorization) ?? [];
    return { kind: "token", text };
  }
  const text = sessionCookieOf(headers.cookie);
  return text === undefined ? undefined : { kind: "session", text };
}

function mustWait(waitMs: number): UsageError {
  const retryAfterS = Math.ceil(waitMs / 1000);
  const facts = { retryAfterS };
  return new UsageError("TOO_MANY_ATTEMPTS", `too many tokens that are not good: wait ${retryAfterS} s`, facts);
}
