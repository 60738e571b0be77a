/** /api/v1/session: a browser signs in with a token, asks who it is, and signs out. */
import { NewSession, Session } from "@airlift/protocol/api/credentials";
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { accountOf } from "../campaign/person.ts";
import type { Principal } from "./principal.ts";
import type { Api, ApiParts } from "./routes.ts";
import { sessionCookie, sessionCookieOf } from "./session-cookie.ts";

/** Checks what was shown by hand, counted against the sender's address. */
type CheckToken = <Found>(
  request: FastifyRequest,
  text: string,
  look: () => Promise<Found | undefined>,
) => Promise<Found>;

export function sessionRoutes(app: Api, { stores: { tokens }, config }: ApiParts, check: CheckToken): void {
  const isSecure = ({ headers }: FastifyRequest) =>
    config.tlsCertFile != null || (headers.origin ?? "").startsWith("https:");

  app.post(
    "/session",
    {
      schema: { tags: ["session"], summary: "Sign a browser in", body: NewSession, response: { 201: Session } },
    },
    async (request, reply) => {
      const { token } = request.body;
      const holder = await check(request, token, () => tokens.holderOf(token));
      request.principal = { kind: "session", address: request.ip, ...holder };
      const { secret, ...opened } = await tokens.openSession(token);
      const lifetimeS = (opened.expiresAtMs - Date.now()) / 1000;
      reply.header("set-cookie", sessionCookie(secret, { isSecure: isSecure(request), lifetimeS }));
      return await reply.status(201).send(toSession(opened));
    },
  );

  app.get(
    "/session",
    { schema: { tags: ["session"], summary: "Who asks", response: { 200: Session } } },
    async ({ principal }) => toSession(principal as Principal),
  );

  app.delete(
    "/session",
    { schema: { tags: ["session"], summary: "Sign out", response: { 204: z.null() } } },
    async (request, reply) => {
      const secret = sessionCookieOf(request.headers.cookie);
      const holder = secret === undefined ? undefined : await tokens.sessionHolder(secret);
      if (holder !== undefined) request.principal = { kind: "session", address: request.ip, ...holder };
      if (secret !== undefined) await tokens.closeSession(secret);
      reply.header("set-cookie", sessionCookie("", { isSecure: isSecure(request), lifetimeS: 0 }));
      return await reply.status(204).send(null);
    },
  );
}

type Holder = Pick<Principal, "name" | "role" | "personId" | "expiresAtMs">;

const toSession = ({ name, role, personId, expiresAtMs }: Holder): Session => ({
  name,
  role,
  account: accountOf(personId),
  expiresAt: expiresAtMs === null ? null : new Date(expiresAtMs).toISOString(),
});
