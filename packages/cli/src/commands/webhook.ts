/** `airlift webhook`: who is told of events. */
import { setTimeout as delay } from "node:timers/promises";
import { ROUTES } from "@airlift/protocol/api/routes";
import { EVENT_KINDS, LIVE_KINDS, pageOf } from "@airlift/protocol/api/schemas";
import {
  CreatedWebhook,
  DELIVERY_STATES,
  type NewWebhook,
  Webhook,
  WebhookDelivery,
  WebhookReplayOutcome,
} from "@airlift/protocol/api/webhooks";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { type Command, Option } from "commander";
import { type Client, NOTHING, postOf, segment } from "../client.ts";
import { clientOf, collected, printResult, say, wholeNumber } from "../terminal.ts";
import { agoText, table } from "../text.ts";

interface AddOptions {
  readonly kind?: NewWebhook["kinds"];
  readonly campaign?: string;
  readonly note?: string;
}

interface DeliveriesOptions {
  readonly state?: string;
  readonly limit: number;
}

/** A delivery is tried for 10 s; its turn comes within a second. */
const LONGEST_TEST_MS = 15_000;
const LOOK_EVERY_MS = 250;

export function registerWebhook(program: Command): void {
  const webhook = program.command("webhook").description("the web addresses that are told of events");
  registerAdd(webhook);
  webhook
    .command("list")
    .description("list the webhooks")
    .action(async (_: unknown, command: Command) => {
      const webhooks = await clientOf(command).all("webhooks", Webhook);
      printResult(command, webhooks, () =>
        table(
          ["ID", "URL", "KINDS", "CAMPAIGN", "WAITING", "GIVEN UP", "STATE", "NOTE"],
          webhooks.map((one) => [
            one.id,
            one.url,
            one.kinds.join(" ") || "all",
            one.campaignId ?? "all",
            `${one.waitingCount}`,
            `${one.deadCount}`,
            one.isEnabled ? "enabled" : one.disabledReason === null ? "rests" : `disabled: ${one.disabledReason}`,
            one.note,
          ]),
        ),
      );
    });
  webhook
    .command("remove <id>")
    .description("remove a webhook, with what waits for it")
    .action(async (id: string, _: unknown, command: Command) => {
      await clientOf(command).call(`webhooks/${segment(id)}`, NOTHING, { method: "DELETE" });
      printResult(command, { id }, () => `${id} is told nothing any more\n`);
    });
  registerDeliveries(webhook);
  registerRest(webhook);
  webhook
    .command("replay <id> [delivery...]")
    .description("send deliveries once more under their old ids: these, or all that were given up")
    .action(async (id: string, deliveryIds: string[], _: unknown, command: Command) => {
      const body = deliveryIds.length === 0 ? {} : { deliveryIds };
      const outcome = await clientOf(command).call(
        `webhooks/${segment(id)}/replay`,
        WebhookReplayOutcome,
        postOf(body),
      );
      printResult(command, outcome, () => `${outcome.count} wait to be sent once more\n`);
    });
  webhook
    .command("test <id>")
    .description("send a test and say how it was answered")
    .action(async (id: string, _: unknown, command: Command) => {
      const outcome = await test(clientOf(command), id);
      printResult(command, outcome, () => (outcome.state === "delivered" ? `answered ${outcome.status}\n` : ""));
      if (outcome.state === "delivered") return;
      const reason = outcome.problem ?? "it still waits for its turn: the server has others to send first";
      throw new EnvironmentError("WEBHOOK_TEST", reason, { delivery: outcome.id, status: outcome.status });
    });
}

function registerAdd(webhook: Command): void {
  webhook
    .command("add <url>")
    .description("tell an address of events; prints the secret that its receiver checks deliveries with, this once")
    .addOption(
      new Option("--kind <kind>", "only events of this kind; may be repeated").argParser(collected).default(undefined),
    )
    .option("--campaign <id>", "only events of this campaign")
    .option("--note <text>", "what it is for")
    .action(async (url: string, { kind, campaign, note }: AddOptions, command: Command) => {
      const known = EVENT_KINDS.filter((one) => !LIVE_KINDS.has(one));
      const unknown = (kind ?? []).filter((one) => !known.includes(one));
      if (unknown.length > 0)
        command.error(
          `error: nothing of the kind ${unknown.join(", ")} is sent to webhooks; the kinds are ${known.join(", ")}`,
        );
      const asked: NewWebhook = {
        url,
        ...(kind && { kinds: kind }),
        ...(campaign && { campaignId: campaign }),
        ...(note && { note }),
      };
      const created = await clientOf(command).call("webhooks", CreatedWebhook, postOf(asked));
      say(`${created.id}: keep the secret, it is not shown again`);
      printResult(command, created, () => `${created.secret}\n`);
    });
}

function registerRest(webhook: Command): void {
  const words = [
    [
      "enable",
      true,
      "tell a webhook that rests, or was disabled, of what happens from now on",
      "hears of what happens from now on",
    ],
    [
      "disable",
      false,
      "have a webhook rest: what happens meanwhile is not sent later",
      "rests: what happens from now on is not sent, also not later",
    ],
  ] as const;
  for (const [word, isEnabled, description, done] of words)
    webhook
      .command(`${word} <id>`)
      .description(description)
      .action(async (id: string, _: unknown, command: Command) => {
        const edited = await clientOf(command).ask(ROUTES.editWebhook, { params: { id }, body: { isEnabled } });
        printResult(command, edited, () => `${id} ${done}\n`);
      });
}

function registerDeliveries(webhook: Command): void {
  webhook
    .command("deliveries <id>")
    .description("list the newest deliveries")
    .addOption(new Option("--state <state>", "dead: those that were given up").choices(DELIVERY_STATES))
    .option("--limit <count>", "how many, at most 1000", wholeNumber(1), 50)
    .action(async (id: string, { state, limit }: DeliveriesOptions, command: Command) => {
      const query = new URLSearchParams({ limit: `${limit}`, ...(state && { state }) });
      const { items } = await clientOf(command).call(
        `webhooks/${segment(id)}/deliveries?${query}`,
        pageOf(WebhookDelivery),
      );
      printResult(command, items, () =>
        table(
          ["ID", "EVENT", "STATE", "ATTEMPTS", "MADE", "PROBLEM"],
          items.map((one) => [
            one.id,
            one.kind,
            one.state,
            `${one.attempts}`,
            agoText(one.createdAt, Date.now()),
            one.problem ?? "",
          ]),
        ),
      );
    });
}

async function test(client: Client, id: string): Promise<WebhookDelivery> {
  let found = await client.call(`webhooks/${segment(id)}/test`, WebhookDelivery, { method: "POST" });
  const deadlineMs = performance.now() + LONGEST_TEST_MS;
  while (found.state === "waiting" && performance.now() < deadlineMs) {
    await delay(LOOK_EVERY_MS);
    const path = `webhooks/${segment(id)}/deliveries?limit=1000`;
    const { items } = await client.call(path, pageOf(WebhookDelivery));
    found = items.find((one) => one.id === found.id) ?? found;
  }
  return found;
}
