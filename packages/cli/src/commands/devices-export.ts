/** `airlift devices-export`: the fleet as comma-separated values on stdout. */
import { once } from "node:events";
import { encodeCsvLine } from "@airlift/protocol/api/csv";
import type { Device } from "@airlift/protocol/api/schemas";
import type { Command } from "commander";
import { clientOf } from "../terminal.ts";

interface Options {
  readonly query?: string;
  readonly after?: string;
}

const COLUMNS: readonly (readonly [string, (device: Device) => string])[] = [
  ["endpoint", (device) => device.endpoint],
  ["tags", (device) => device.tags.join(" ")],
  ["note", (device) => device.note],
  ["presence", (device) => device.presence],
  ["manufacturer", (device) => device.manufacturer ?? ""],
  ["model", (device) => device.model ?? ""],
  ["version", (device) => device.version ?? ""],
  ["hardware", (device) => device.hardware ?? ""],
  ["lastSeenAt", (device) => device.lastSeenAt],
];

export function registerDevicesExport(program: Command): void {
  program
    .command("devices-export")
    .description("print the devices as CSV, by endpoint")
    .option("--query <rsql>", "only those that match")
    .option("--after <endpoint>", "go on behind this device, without the heading")
    .action(async ({ query, after }: Options, command: Command) => {
      if (after === undefined) await print(COLUMNS.map(([name]) => name));
      for await (const device of clientOf(command).eachDevice(query, after))
        await print(COLUMNS.map(([, read]) => read(device)));
    });
}

async function print(values: readonly string[]): Promise<void> {
  if (!process.stdout.write(`${encodeCsvLine(values)}\n`)) await once(process.stdout, "drain");
}
