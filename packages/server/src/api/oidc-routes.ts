/** /api/v1/session/oidc: the way of a browser to the sign-in provider and back. */
import { SignInMethods } from "@airlift/protocol/api/credentials";
import { AirliftError, EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from "fastify";
import { type OidcAttempt, type OidcOptions, OidcProvider } from "./oidc.ts";
import { reasonOf } from "./oidc-failure.ts";
import { sendProblem } from "./problem.ts";
import type { Api, ApiParts } from "./routes.ts";
import { sessionCookie } from "./session-cookie.ts";

const CALLBACK = "/api/v1/session/oidc/callback";
/** What the browser keeps while it is away; it comes back from another site, so that it cannot be SameSite=Strict. */
const ATTEMPT_COOKIE = "airlift_oidc";
/** How long somebody may take to sign in. */
const ATTEMPT_S = 600;
/** As long as the session of a token: a working day. */
const SESSION_S = 12 * 3600;

export function oidcRoutes(app: Api, { stores: { tokens } }: ApiParts, options: OidcOptions | undefined): void {
  const known = options && new OidcProvider(options);
  const required = (): OidcProvider => {
    if (known !== undefined) return known;
    throw new UsageError("UNKNOWN_PROVIDER", "this server has no sign-in provider: sign in with a token");
  };

  if (known !== undefined) app.addHook("onReady", async () => void lookAt(known, app.log));
  app.get(
    "/session/methods",
    { schema: { tags: ["session"], summary: "How a browser can sign in", response: { 200: SignInMethods } } },
    async () => ({ token: true as const, oidc: known !== undefined }),
  );

  app.get("/session/oidc", { schema: { hide: true }, errorHandler: sendToSignIn }, async (request, reply) => {
    const { url, attempt } = await required().begin(`${ownOrigin(request)}${CALLBACK}`);
    const value = Buffer.from(JSON.stringify(attempt)).toString("base64url");
    return await reply.header("set-cookie", attemptCookie(request, value, ATTEMPT_S)).redirect(url, 302);
  });

  app.get("/session/oidc/callback", { schema: { hide: true }, errorHandler: sendToSignIn }, async (request, reply) => {
    const provider = required();
    const attempt = attemptOf(request.headers.cookie);
    forget(request, reply);
    const { name, role, account } = await provider.finish(new URL(request.url, ownOrigin(request)), attempt);
    // What the provider says now is true of their other browsers too.
    await tokens.revokeOtherRoles(account, role);
    if (role === undefined) throw provider.roleMissing(name);
    // A token that nobody has the text of: listed with the others, and whoever revokes it ends the session.
    const { token } = await tokens.create({ name, role, expiresInS: SESSION_S }, account);
    const { secret, expiresAtMs, ...holder } = await tokens.openSession(token);
    request.principal = { kind: "session", address: request.ip, ...holder, expiresAtMs };
    const lifetimeS = (expiresAtMs - Date.now()) / 1000;
    const isSecure = request.protocol === "https";
    return await reply.header("set-cookie", sessionCookie(secret, { isSecure, lifetimeS })).redirect("/", 303);
  });
}

/** Mistakes in the settings are told when the server starts, not when somebody wants to sign in; tokens are good without a provider. */
async function lookAt(provider: OidcProvider, log: FastifyBaseLogger): Promise<void> {
  try {
    await provider.check();
  } catch (error) {
    if (!(error instanceof AirliftError)) log.error({ err: error }, "the sign-in provider could not be looked at");
    else log.warn({ code: error.code, reason: reasonOf(error) }, "nobody can sign in at the provider as things are");
  }
}

/** People get a page that says why, and where they can try again; the code alone, since an address can be written by anybody. */
async function sendToSignIn(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  if (!(error instanceof AirliftError)) return await sendProblem(error, request, reply);
  const level = error instanceof EnvironmentError ? "warn" : "info";
  request.log[level]({ code: error.code, reason: reasonOf(error) }, "a sign-in at the provider came to nothing");
  const isPerson = (request.headers.accept ?? "").includes("text/html");
  return isPerson ? await reply.redirect(`/?refused=${error.code}`, 303) : await sendProblem(error, request, reply);
}

const ownOrigin = ({ protocol, host }: FastifyRequest): string => `${protocol}://${host}`;

function attemptCookie({ protocol }: FastifyRequest, value: string, lifetimeS: number): string {
  const attributes = `Path=${CALLBACK}; HttpOnly; SameSite=Lax; Max-Age=${lifetimeS}`;
  return `${ATTEMPT_COOKIE}=${value}; ${attributes}${protocol === "https" ? "; Secure" : ""}`;
}

/** An attempt is good once. */
function forget(request: FastifyRequest, reply: FastifyReply): void {
  reply.header("set-cookie", attemptCookie(request, "", 0));
}

/** @throws {UsageError} OIDC_REFUSED (403) when this browser has not begun to sign in. */
function attemptOf(header: string | undefined): OidcAttempt {
  const [, value = ""] = /(?:^|;\s*)airlift_oidc=([\w-]{1,2048})/.exec(header ?? "") ?? [];
  try {
    const { state, nonce, verifier } = JSON.parse(Buffer.from(value, "base64url").toString()) as OidcAttempt;
    if ([state, nonce, verifier].every((one) => typeof one === "string" && one !== ""))
      return { state, nonce, verifier };
  } catch {
    // Told below.
  }
  throw new UsageError("OIDC_REFUSED", "this browser has not begun to sign in, or took too long: begin again");
}
