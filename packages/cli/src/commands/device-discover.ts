/** `airlift device-discover`: what a device has, with the attributes of its notifications. */
import type { DiscoveredPlace } from "@airlift/protocol/api/operations";
import type { Command } from "commander";
import { addTimeout, DeviceOperations, type OperationOptions } from "../device-operations.ts";
import { clientOf, printResult } from "../terminal.ts";
import { table } from "../text.ts";

export function registerDeviceDiscover(program: Command): void {
  addTimeout(
    program.command("device-discover <endpoint> <path>").description("list what is at a path of a device and below"),
  ).action(async (endpoint: string, path: string, options: OperationOptions, command: Command) => {
    const answer = await new DeviceOperations(clientOf(command), endpoint, options).discover(path);
    const lines = (): string[][] => answer.items.map((item) => [item.path, item.name ?? "-", aboutOf(item)]);
    printResult(command, answer, () => table(["PATH", "NAME", "ATTRIBUTES"], lines()));
  });
}

function aboutOf({ version, instanceCount, attributes }: DiscoveredPlace): string {
  return [
    ...(version === null ? [] : [`version ${version}`]),
    ...(instanceCount === null ? [] : [`${instanceCount} instances`]),
    ...Object.entries(attributes).map(([name, value]) => `${name}=${value}`),
  ].join(" ");
}
