/** `airlift campaign submit`, `approve` and `start`: a yes to a campaign, which is a yes to what it was when it was looked at. */
import type { Campaign } from "@airlift/protocol/api/campaign";
import { ROUTES } from "@airlift/protocol/api/routes";
import type { Command } from "commander";
import { campaignText, printCampaign } from "../campaign-text.ts";
import type { Client } from "../client.ts";
import { RefusedError } from "../failure.ts";
import { clientOf, printResult, say } from "../terminal.ts";
import { printable } from "../text.ts";

interface ConsentOptions {
  readonly revision?: string;
}

const REVISION = ["--revision <revision>", "of what was looked at, as `campaign show` names it"] as const;

export function registerConsent(campaign: Command): void {
  campaign
    .command("submit <id>")
    .description("submit a draft: it is ready, or waits for approval")
    .option(...REVISION)
    .action(async (id: string, { revision }: ConsentOptions, command: Command) => {
      const client = clientOf(command);
      const submitted = await agreed("submit", id, () =>
        client.ask(ROUTES.submitCampaign, { params: { id } }, revision),
      );
      printCampaign(command, submitted);
    });
  campaign
    .command("approve <id>")
    .description("approve a campaign that somebody else has made; without --revision show what there is to approve")
    .option(...REVISION)
    .action(async (id: string, { revision }: ConsentOptions, command: Command) => {
      const client = clientOf(command);
      if (revision === undefined) return await showBeforeApproval(client, id, command);
      const approved = await agreed("approve", id, () =>
        client.ask(ROUTES.approveCampaign, { params: { id } }, revision),
      );
      printCampaign(command, approved);
    });
  campaign
    .command("start <id>")
    .description("start a campaign; a draft is submitted first")
    .option(...REVISION)
    .action(async (id: string, { revision }: ConsentOptions, command: Command) => {
      const client = clientOf(command);
      printCampaign(command, await agreed("start", id, () => start(client, id, revision)));
    });
}

/** Nobody approves what they have not been shown. */
async function showBeforeApproval(client: Client, id: string, command: Command): Promise<void> {
  const seen = await client.ask(ROUTES.getCampaign, { params: { id } });
  printResult(command, seen, () => campaignText(seen));
  say(
    seen.state === "awaitingApproval"
      ? `nothing is approved yet; to approve what is shown here: airlift campaign approve ${id} --revision ${seen.revision}`
      : `there is nothing to approve: the campaign is ${seen.state}`,
  );
  process.exitCode = 1;
}

async function start(client: Client, id: string, revision: string | undefined): Promise<Campaign> {
  const params = { id };
  const seen = await client.ask(ROUTES.getCampaign, { params });
  if (seen.state === "draft" || seen.state === "ready") await warn(client, id);
  if (seen.state !== "draft") return await client.ask(ROUTES.startCampaign, { params }, revision);
  const submitted = await client.ask(ROUTES.submitCampaign, { params }, revision ?? seen.revision);
  if (submitted.state === "ready") return await client.ask(ROUTES.startCampaign, { params }, submitted.revision);
  // It has not started, and says what it waits for.
  process.exitCode = 1;
  return submitted;
}

/** What keeps it from going as written is said before anything begins; nobody is kept from it. */
async function warn(client: Client, id: string): Promise<void> {
  const { warnings } = await client.ask(ROUTES.getCampaignPlan, { params: { id } });
  for (const warning of warnings) say(`warning: ${printable(warning)}`);
}

/** Asks; a campaign that is another by now is told along with the way on. */
async function agreed(word: string, id: string, ask: () => Promise<Campaign>): Promise<Campaign> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof RefusedError) || error.code !== "ETAG_MISMATCH") throw error;
    const detail =
      `campaign ${id} is not what was looked at any more, and nothing was done: ` +
      `look at it again (airlift campaign show ${id}), then ${word} the revision that it names`;
    throw new RefusedError({ ...error.problem, detail });
  }
}
