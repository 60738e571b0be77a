/** `airlift campaign devices`: the devices of a campaign, each with why it stands where it stands. */
import { type Campaign, CampaignTarget } from "@airlift/protocol/api/campaign";
import { ROUTES } from "@airlift/protocol/api/routes";
import { UsageError } from "@airlift/protocol/lib/errors";
import { UPDATE_STATES } from "@airlift/protocol/update/device-update";
import { type Command, Option } from "commander";
import { type Client, segment } from "../client.ts";
import { clientOf, printResult, say, wholeNumber } from "../terminal.ts";
import { table } from "../text.ts";

interface DevicesOptions {
  readonly state?: string;
  readonly wave?: string;
  readonly limit: number;
}

export function registerCampaignDevices(campaign: Command): void {
  campaign
    .command("devices <id>")
    .description("list the devices of a campaign by endpoint, each with why it waits, or how it ended")
    .addOption(new Option("--state <state>", "only those that stand there").choices(UPDATE_STATES))
    .option("--wave <wave>", "only those of this wave: its name, or its number from 1 on")
    .option("--limit <count>", "no more than so many (default: all)", wholeNumber(1), Number.POSITIVE_INFINITY)
    .action(async (id: string, options: DevicesOptions, command: Command) => {
      const client = clientOf(command);
      const { waves } = await client.ask(ROUTES.getCampaign, { params: { id } });
      const devices = await listed(client, { id, waves }, options);
      printResult(command, devices, () =>
        table(
          ["ENDPOINT", "WAVE", "STATE", "ATTEMPT", "UPDATE", "WHY"],
          devices.map((one) => [
            one.endpoint,
            waves[one.wave]?.name ?? `${one.wave + 1}`,
            one.state,
            `${one.attempt}`,
            one.updateId ?? "-",
            one.sentence,
          ]),
        ),
      );
    });
}

/** @throws {UsageError} WAVE when the campaign has no such wave. */
async function listed(
  client: Client,
  { id, waves }: Pick<Campaign, "id" | "waves">,
  { state, wave, limit }: DevicesOptions,
): Promise<CampaignTarget[]> {
  const query = new URLSearchParams({
    ...(state !== undefined && { state }),
    ...(wave !== undefined && { wave: `${waveIndex(wave, waves)}` }),
  });
  const devices: CampaignTarget[] = [];
  for await (const device of client.each(`campaigns/${segment(id)}/targets?${query}`, CampaignTarget)) {
    if (devices.length === limit) {
      say(`there are more: --limit is ${limit}`);
      break;
    }
    devices.push(device);
  }
  return devices;
}

/** Names come first: a wave may be called "2". */
function waveIndex(wave: string, waves: Campaign["waves"]): number {
  const named = waves.flatMap(({ name }, index) => (name === wave ? [index] : []));
  if (named.length > 1)
    throw new UsageError(
      "WAVE",
      `waves ${named.map((index) => index + 1).join(", ")} are all called ${wave}: say which`,
    );
  const index = named[0] ?? (/^[1-9]\d*$/.test(wave) ? Number(wave) - 1 : -1);
  if (waves[index] !== undefined) return index;
  throw new UsageError(
    "WAVE",
    `there is no wave ${wave}: the campaign has ${waves.map(({ name }) => name).join(", ")}`,
  );
}
