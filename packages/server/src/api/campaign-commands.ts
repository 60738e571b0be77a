/** /api/v1/campaigns/{id}/…: what operators and approvers tell a campaign. */
import { Campaign, CampaignRetry, RetriedCount } from "@airlift/protocol/api/campaign";
import type { CampaignCommand } from "@airlift/protocol/update/campaign";
import type { FastifyRequest } from "fastify";
import type { Speaker } from "../campaign/person.ts";
import { decodeCursor, encodeCursor } from "../store/cursor.ts";
import { showCampaign } from "./campaign-view.ts";
import {
  etagOf,
  OneCampaign,
  personOf,
  Revision,
  refusePreparedRollback,
  requireCampaign,
  revisionOf,
} from "./campaigns.ts";
import type { Api, CampaignParts } from "./routes.ts";

const SUMMARIES: { readonly [C in CampaignCommand]: string } = {
  submit: "Submit a draft: it is ready to start, or waits for approval",
  approve: "Approve it: somebody who has neither created nor changed it",
  reject: "Send it back to be a draft",
  start: "Start its first wave",
  pause: "Pause it: nothing new starts, and no device is told to apply",
  resume: "Go on, in spite of what its criteria have counted",
  stop: "Stop it for good: transfers are cancelled, devices that are installing finish",
  abort: "Stop it for good as failed",
  rollback: "Start the rollback that was prepared with it, for the devices that it has updated",
};

const tags = ["campaigns"];
/** Devices that are tried again come in batches of some hundreds; so many of them take a second or two. */
const MOST_BATCHES = 10;

export function campaignCommandRoutes(app: Api, parts: CampaignParts): void {
  for (const [command, summary] of Object.entries(SUMMARIES))
    commandRoute(app, parts, { command: command as CampaignCommand, summary });

  app.post(
    "/campaigns/:id/retry",
    {
      schema: {
        tags,
        summary:
          "Try devices again that failed, fell silent, fell back or were cancelled: one, or some thousands of all; to be asked again with the cursor `next` while there is one",
        params: OneCampaign,
        body: CampaignRetry.nullish(),
        response: { 200: RetriedCount },
      },
    },
    async (request) => {
      const { campaign } = await requireCampaign(parts, request.params.id);
      const { endpoint, cursor } = request.body ?? {};
      if (endpoint !== undefined) {
        const { count } = await parts.campaigns.retry(campaign.id, { endpoint }, Date.now());
        return { count, next: null };
      }
      let count = 0;
      let after = cursor === undefined ? null : decodeCursor(cursor);
      for (let i = 0; i < MOST_BATCHES; i += 1) {
        const batch = await parts.campaigns.retry(campaign.id, { after }, Date.now());
        count += batch.count;
        after = batch.last;
        if (after === null) return { count, next: null };
      }
      return { count, next: after === null ? null : encodeCursor(after) };
    },
  );
}

function commandRoute(
  app: Api,
  parts: CampaignParts,
  { command, summary }: { readonly command: CampaignCommand; readonly summary: string },
): void {
  app.post(
    `/campaigns/:id/${command}`,
    {
      schema: {
        tags,
        summary: `${summary}; If-Match refuses when it is not what was looked at`,
        params: OneCampaign,
        headers: Revision,
        response: { 200: Campaign },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const seen = await requireCampaign(parts, id);
      refusePreparedRollback(seen);
      const said = { command, ...speakerOf(command, request), revision: revisionOf(request.headers) };
      await parts.campaigns.command(id, said, Date.now());
      const kept = await requireCampaign(parts, id);
      return await reply.header("etag", etagOf(kept)).send(showCampaign(kept, Date.now()));
    },
  );
}

/**
 * Where nobody is asked for a token there are no two people to be told apart: whoever reaches this machine may approve, and
 * the campaign says so for good.
 */
function speakerOf(command: CampaignCommand, request: FastifyRequest): Speaker {
  const by = personOf(request);
  return command === "approve" && request.principal?.kind === "local"
    ? { by: `${by} (without sign-in)` }
    : { by, personId: request.principal?.personId };
}
