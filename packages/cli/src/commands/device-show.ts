/** `airlift device-show`: one device and what happened to it. */
import { DeviceCampaign } from "@airlift/protocol/api/campaign";
import type { MeshDevice } from "@airlift/protocol/api/mesh";
import { ROUTES } from "@airlift/protocol/api/routes";
import type { Device, Update } from "@airlift/protocol/api/schemas";
import type { Command } from "commander";
import { standingText } from "../campaign-text.ts";
import { segment } from "../client.ts";
import { exchangeTable } from "../exchange-table.ts";
import { clientOf, printResult, wholeNumber } from "../terminal.ts";
import { agoText, clockText, pairs, table } from "../text.ts";

/** What one page of the API holds at most. */
const MOST_EVENTS = 1000;

/** Exchanges of the last update that are shown beside the events; `update-show` has all that are kept. */
const LAST_EXCHANGES = 10;

export function registerDeviceShow(program: Command): void {
  program
    .command("device-show <endpoint>")
    .description("show a device with its timeline")
    .option("--events <count>", `how many of its last events, up to ${MOST_EVENTS}`, wholeNumber(1), 50)
    .action(async (endpoint: string, { events: count }: { events: number }, command: Command) => {
      const client = clientOf(command);
      const [device, events, campaigns] = await Promise.all([
        client.device(endpoint),
        client.timeline(endpoint, Math.min(count, MOST_EVENTS)),
        client.all(`devices/${segment(endpoint)}/campaigns`, DeviceCampaign),
      ]);
      const update = device.updateId === null ? null : await client.update(device.updateId);
      const mesh =
        device.transport === "zmesh" ? await client.ask(ROUTES.getMeshDevice, { params: { endpoint } }) : undefined;
      const exchanges = update === null ? [] : await client.exchanges(update.id);
      printResult(command, { ...device, ...(mesh && { mesh }), campaigns, update, events, exchanges }, () => {
        const lines = events.map((event) => [clockText(event.at, Date.now()), event.sentence]);
        const facts = mesh === undefined ? lwm2mFacts(device, Date.now()) : meshFacts(mesh, Date.now());
        return `${describe(device, { campaigns, update }, facts)}\n${exchangeTable(exchanges.slice(-LAST_EXCHANGES))}${lines.length === 0 ? "no event yet\n" : table(["TIME", "EVENT"], lines)}`;
      });
    });
}

type Facts = [string, string][];

interface Standing {
  readonly campaigns: readonly DeviceCampaign[];
  readonly update: Update | null;
}

function describe(device: Device, { campaigns, update }: Standing, facts: Facts): string {
  const model = [device.manufacturer, device.model, device.hardware].filter((text) => text !== null).join(" ");
  return pairs([
    ["endpoint", device.endpoint],
    ...facts,
    ["model", model || "-"],
    ["version", device.version ?? "-"],
    ...(device.tags.length === 0 ? [] : [["tags", device.tags.join(" ")] as const]),
    ...(device.note === "" ? [] : [["note", device.note] as const]),
    ["update", update === null ? "none" : `${update.id} ${update.sentence}`],
    ...campaigns.map((campaign) => ["campaign", campaignText(campaign)] as const),
  ]);
}

/** "3f0c9a7be1d24a55 spring (paused), wave rest: queued (not started: the campaign is paused (…))". */
const campaignText = ({ campaignId, campaignName, campaignState, waveName, ...standing }: DeviceCampaign): string =>
  `${campaignId} ${campaignName} (${campaignState}), wave ${waveName}: ${standingText(standing)}`;

function lwm2mFacts(device: Device, nowMs: number): Facts {
  const { firmware } = device;
  const report =
    firmware === null
      ? "not reported"
      : `state ${firmware.state}, result ${firmware.result}, package ${firmware.packageVersion ?? "none"}`;
  return [
    ["presence", `${device.presence}, last seen ${agoText(device.lastSeenAt, nowMs)}`],
    ["reachable", device.reachability],
    ["address", `${device.address} (${device.transport}), LwM2M ${device.lwm2mVersion}, binding ${device.binding}`],
    ["firmware update", report],
    ["objects", device.objects.join(" ")],
  ];
}

/** A mesh device never registers: it is heard by gateways, and speaks when it is asked. */
function meshFacts(device: MeshDevice, nowMs: number): Facts {
  const { heardAt, gatewayId, groupId, hasGroupKey, receivedCount, deficit, batteryPercent } = device;
  // A device that knows of its broadcast, and has heard none of it, does not know how much there is.
  const isUnheard = receivedCount === 0 && !deficit;
  const said = isUnheard ? "none received yet" : `${receivedCount} received, ${deficit ?? 0} missing`;
  return [
    ["heard", heardAt === null ? "never" : `${agoText(heardAt, nowMs)}${gatewayId === null ? "" : ` by ${gatewayId}`}`],
    ["name on air", device.name],
    ["cell", device.cell ?? "not known: every gateway sends to it"],
    ["group", `${groupId}, ${hasGroupKey ? "has its key" : "does not have its key yet"}`],
    ["packets", receivedCount === null ? "nothing said yet" : said],
    ["battery", batteryPercent === null ? "-" : `${batteryPercent} %`],
  ];
}
