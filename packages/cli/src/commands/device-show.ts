/** `airlift device-show`: one device and what happened to it. */
import type { Device, Update } from "@airlift/protocol/api/schemas";
import type { Command } from "commander";
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
      const [device, events] = await Promise.all([
        client.device(endpoint),
        client.timeline(endpoint, Math.min(count, MOST_EVENTS)),
      ]);
      const update = device.updateId === null ? null : await client.update(device.updateId);
      const exchanges = update === null ? [] : await client.exchanges(update.id);
      printResult(command, { ...device, update, events, exchanges }, () => {
        const lines = events.map((event) => [clockText(event.at, Date.now()), event.sentence]);
        return `${describe(device, update, Date.now())}\n${exchangeTable(exchanges.slice(-LAST_EXCHANGES))}${lines.length === 0 ? "no event yet\n" : table(["TIME", "EVENT"], lines)}`;
      });
    });
}

function describe(device: Device, update: Update | null, nowMs: number): string {
  const { firmware } = device;
  const report =
    firmware === null
      ? "not reported"
      : `state ${firmware.state}, result ${firmware.result}, package ${firmware.packageVersion ?? "none"}`;
  return pairs([
    ["endpoint", device.endpoint],
    ["presence", `${device.presence}, last seen ${agoText(device.lastSeenAt, nowMs)}`],
    ["reachable", device.reachability],
    ["address", `${device.address} (${device.transport}), LwM2M ${device.lwm2mVersion}, binding ${device.binding}`],
    ["model", [device.manufacturer, device.model, device.hardware].filter((text) => text !== null).join(" ") || "-"],
    ["version", device.version ?? "-"],
    ["firmware update", report],
    ["objects", device.objects.join(" ")],
    ["update", update === null ? "none" : `${update.id} ${update.sentence}`],
  ]);
}
