/** /api/v1/audit: who changed what, and whether nobody has changed that since. */
import { AuditCheckpoint, AuditCut, AuditCutOutcome, AuditLine, AuditVerification } from "@airlift/protocol/api/audit";
import { pageOf } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import { z } from "zod";
import type { Checkpoint } from "../store/audit-store.ts";
import type { Principal } from "./principal.ts";
import { PageQuery } from "./queries.ts";
import type { Api, ApiParts } from "./routes.ts";

const tags = ["audit"];
const ListQuery = PageQuery.extend({ order: z.enum(["asc", "desc"]).default("desc") });
const VerificationQuery = z.object({ since: AuditCheckpoint.optional() });

export function auditRoutes(app: Api, { stores: { audit } }: ApiParts): void {
  app.get(
    "/audit",
    {
      schema: {
        tags,
        summary: "Who asked for which change, newest first unless order=asc",
        querystring: ListQuery,
        response: { 200: pageOf(AuditLine) },
      },
    },
    async ({ query: { order, ...page } }) => {
      await audit.flush();
      return await audit.list(page, order);
    },
  );

  app.get(
    "/audit/verification",
    {
      schema: {
        tags,
        summary: "Whether every line follows from the one before it, and from an earlier checkpoint",
        querystring: VerificationQuery,
        response: { 200: AuditVerification },
      },
    },
    async ({ query: { since } }) => {
      await audit.flush();
      const found = await audit.verify(since === undefined ? undefined : checkpointOf(since));
      const { isWhole, firstId } = found;
      if (!isWhole) return { isWhole, checkpoint: null, firstId, brokenAtId: found.brokenAtId };
      const isEmpty = found.lastId === 0;
      const checkpoint = isEmpty ? null : `${found.lastId}:${found.lastHash}`;
      return { isWhole, checkpoint, firstId: isEmpty ? null : firstId, brokenAtId: null };
    },
  );

  app.post(
    "/audit/cut",
    {
      schema: {
        tags,
        summary: "Delete the lines before a moment; a line of the chain tells of it",
        body: AuditCut,
        response: { 200: AuditCutOutcome },
      },
    },
    async (request) => {
      const { name, personId: person = null, role } = request.principal as Principal;
      const entry = { at: new Date().toISOString(), who: name, person, role, peer: request.ip, outcome: 200 };
      const before = new Date(request.body.before);
      // It would be all of them, and most likely a slip of the pen.
      if (before.getTime() > Date.now())
        throw new UsageError("AUDIT_CUT", `${request.body.before} has not come yet: nothing was deleted`);
      const cut = await audit.cut(before, entry);
      return { cutCount: cut?.count ?? 0, checkpoint: cut === undefined ? null : `${cut.id}:${cut.hash}` };
    },
  );
}

function checkpointOf(text: string): Checkpoint {
  const [id = "", hash = ""] = text.split(":");
  return { id: Number(id), hash };
}
