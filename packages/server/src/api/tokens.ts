/** /api/v1/tokens: who may use this API. */
import { CreatedToken, NewToken, Token } from "@airlift/protocol/api/credentials";
import { pageOf } from "@airlift/protocol/api/schemas";
import { z } from "zod";
import { PageQuery } from "./queries.ts";
import type { Api, ApiParts } from "./routes.ts";

const OneToken = z.object({ id: z.string().min(1).max(64) });
const tags = ["tokens"];

export function tokenRoutes(app: Api, { stores: { tokens } }: ApiParts): void {
  app.get(
    "/tokens",
    { schema: { tags, summary: "Tokens, newest first", querystring: PageQuery, response: { 200: pageOf(Token) } } },
    async (request) => await tokens.list(request.query),
  );

  app.post(
    "/tokens",
    {
      config: { answersSecret: true },
      schema: { tags, summary: "Make a token; its text is told once", body: NewToken, response: { 201: CreatedToken } },
    },
    async (request, reply) => await reply.status(201).send(await tokens.create(request.body)),
  );

  app.delete(
    "/tokens/:id",
    { schema: { tags, summary: "Revoke a token", params: OneToken, response: { 200: Token } } },
    async (request) => await tokens.revoke(request.params.id),
  );
}
