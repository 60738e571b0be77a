/** `airlift campaign`: an image brought to many devices, wave by wave. */

import {
  type CampaignRetry,
  CampaignSummary,
  type NewCampaign,
  type RetriedCount,
} from "@airlift/protocol/api/campaign";
import { ROUTES } from "@airlift/protocol/api/routes";
import { countText } from "@airlift/protocol/lib/count-text";
import { UsageError } from "@airlift/protocol/lib/errors";
import { CAMPAIGN_STATES } from "@airlift/protocol/update/campaign";
import { type Command, Option } from "commander";
import { type CampaignFile, readCampaignFile } from "../campaign-file.ts";
import { campaignText, planText, printCampaign } from "../campaign-text.ts";
import { fileText } from "../file-text.ts";
import { clientOf, printResult, say } from "../terminal.ts";
import { agoText, table } from "../text.ts";
import { registerConsent } from "./campaign-consent.ts";
import { registerCampaignDevices } from "./campaign-devices.ts";
import { registerCampaignWatch } from "./campaign-watch.ts";

/** What is told to a campaign whatever it has become meanwhile. */
const WORDS = [
  ["reject", ROUTES.rejectCampaign, "send a campaign back to be a draft"],
  ["pause", ROUTES.pauseCampaign, "pause it: nothing new starts, and no device is told to apply"],
  ["resume", ROUTES.resumeCampaign, "go on, in spite of what its criteria have counted"],
  ["stop", ROUTES.stopCampaign, "stop it for good: transfers are cancelled, devices that are installing finish"],
  ["abort", ROUTES.abortCampaign, "stop it for good, as failed"],
  ["rollback", ROUTES.rollBackCampaign, "start the rollback that was prepared with it"],
] as const;

export function registerCampaign(program: Command): void {
  const campaign = program.command("campaign").description("bring an image to many devices, wave by wave");
  registerCreate(campaign);
  registerPlan(campaign);
  registerConsent(campaign);
  for (const [word, route, description] of WORDS)
    campaign
      .command(`${word} <id>`)
      .description(description)
      .action(async (id: string, _: unknown, command: Command) => {
        const told = await clientOf(command).ask(route, { params: { id } });
        printCampaign(command, told);
        if (word === "rollback" && told.rollbackId !== null)
          say(`follow it: airlift campaign watch ${told.rollbackId}`);
      });
  registerCampaignWatch(campaign);
  registerLists(campaign);
  registerCampaignDevices(campaign);
  registerRetry(campaign);
}

function registerCreate(campaign: Command): void {
  campaign
    .command("create <file>")
    .description("make a draft of a campaign from its file (YAML)")
    .action(async (name: string, _: unknown, command: Command) => {
      const client = clientOf(command);
      const created = await asked(await readFile(name), name, (body) => client.ask(ROUTES.createCampaign, { body }));
      printResult(command, created, () => campaignText(created));
    });
}

function registerPlan(campaign: Command): void {
  campaign
    .command("plan <id-or-file>")
    .description("show what a campaign would do: waves, bytes, expected end, who is left out and why; changes nothing")
    .action(async (which: string, _: unknown, command: Command) => {
      const client = clientOf(command);
      const plan = /\.ya?ml$|\//.test(which)
        ? await asked(await readFile(which), which, (body) => client.ask(ROUTES.planCampaign, { body }))
        : await client.ask(ROUTES.getCampaignPlan, { params: { id: which } });
      printResult(command, plan, () => planText(plan));
    });
}

function registerLists(campaign: Command): void {
  campaign
    .command("list")
    .description("list the campaigns, newest first")
    .addOption(new Option("--state <state>", "only those that stand there").choices(CAMPAIGN_STATES))
    .action(async ({ state }: { state?: string }, command: Command) => {
      const path = `campaigns${state === undefined ? "" : `?state=${state}`}`;
      const campaigns = await clientOf(command).all(path, CampaignSummary);
      printResult(command, campaigns, () =>
        table(
          ["ID", "NAME", "STATE", "DEVICES", "CREATED", "BY", "WHY"],
          campaigns.map((one) => [
            one.id,
            one.name,
            one.state,
            `${one.counts.total}`,
            agoText(one.createdAt, Date.now()),
            one.createdBy,
            one.sentence,
          ]),
        ),
      );
    });
  campaign
    .command("show <id>")
    .description("show a campaign with its waves, and its criteria against their limits")
    .action(async (id: string, _: unknown, command: Command) => {
      const found = await clientOf(command).ask(ROUTES.getCampaign, { params: { id } });
      printResult(command, found, () => campaignText(found));
    });
}

function registerRetry(campaign: Command): void {
  campaign
    .command("retry <id> [endpoint]")
    .description("try devices again that failed, fell silent, fell back or were cancelled: one, or all of them")
    .action(async (id: string, endpoint: string | undefined, _: unknown, command: Command) => {
      const client = clientOf(command);
      let count = 0;
      for (let body: CampaignRetry | null = { ...(endpoint !== undefined && { endpoint }) }; body !== null; ) {
        const retried: RetriedCount = await client.ask(ROUTES.retryCampaign, { params: { id }, body });
        count += retried.count;
        body = retried.next === null ? null : { cursor: retried.next };
        if (body !== null) say(`${countText(count, "device")} so far`);
      }
      printResult(command, { count }, () => `${countText(count, "device is", "devices are")} tried again\n`);
    });
}

/** @throws {UsageError} FILE, YAML_SYNTAX, each with the file's name. */
async function readFile(name: string): Promise<CampaignFile> {
  const text = await fileText(name);
  try {
    return readCampaignFile(text);
  } catch (error) {
    throw error instanceof UsageError ? named(name, error) : error;
  }
}

/** Asks with what a file says; what the server finds wrong in it is told by file and line. */
async function asked<Answer>(
  { content, locate }: CampaignFile,
  name: string,
  ask: (spec: NewCampaign) => Promise<Answer>,
): Promise<Answer> {
  try {
    // The server reads it, and tells all that is wrong with it at once.
    return await ask(content as NewCampaign);
  } catch (error) {
    const located = locate(error);
    throw located instanceof UsageError ? named(name, located) : located;
  }
}

const named = (name: string, { code, message, facts }: UsageError): UsageError =>
  new UsageError(code, message.replaceAll(/^/gm, `${name}: `), facts);
