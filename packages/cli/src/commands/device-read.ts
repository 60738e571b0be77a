/** `airlift device-read`: what a device holds now, by its own word. */
import type { Command } from "commander";
import { addTimeout, DeviceOperations, type OperationOptions } from "../device-operations.ts";
import { clientOf, printResult } from "../terminal.ts";
import { valueTable } from "../value-table.ts";

export function registerDeviceRead(program: Command): void {
  addTimeout(
    program.command("device-read <endpoint> <path...>").description("read a device; several paths are read at once"),
  ).action(async (endpoint: string, paths: string[], options: OperationOptions, command: Command) => {
    const answer = await new DeviceOperations(clientOf(command), endpoint, options).read(paths);
    printResult(command, answer, () => valueTable(answer.values));
  });
}
