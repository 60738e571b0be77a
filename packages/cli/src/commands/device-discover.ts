/** `airlift device-discover`: what a device has, with the attributes of its notifications. */

import type { DiscoveredPlace } from "@airlift/protocol/api/operations";
import { countText } from "@airlift/protocol/lib/count-text";
import type { Command } from "commander";
import { addQueue, DeviceOperations, type OperationOptions, printAnswer } from "../device-operations.ts";
import { clientOf } from "../terminal.ts";
import { table } from "../text.ts";

export function registerDeviceDiscover(program: Command): void {
  addQueue(
    program.command("device-discover <endpoint> <path>").description("list what is at a path of a device and below"),
  ).action(async (endpoint: string, path: string, options: OperationOptions, command: Command) => {
    const answer = await new DeviceOperations(clientOf(command), endpoint, options).discover(path);
    printAnswer(command, answer, ({ items }) =>
      table(
        ["PATH", "NAME", "ATTRIBUTES"],
        items.map((item) => [item.path, item.name ?? "-", aboutOf(item)]),
      ),
    );
  });
}

function aboutOf({ version, instanceCount, attributes }: DiscoveredPlace): string {
  return [
    ...(version === null ? [] : [`version ${version}`]),
    ...(instanceCount === null ? [] : [countText(instanceCount, "instance")]),
    ...Object.entries(attributes).map(([name, value]) => `${name}=${value}`),
  ].join(" ");
}
