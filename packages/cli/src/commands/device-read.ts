/** `airlift device-read`: what a device holds now, by its own word. */
import type { Command } from "commander";
import { addQueue, DeviceOperations, type OperationOptions, printAnswer } from "../device-operations.ts";
import { clientOf } from "../terminal.ts";
import { valueTable } from "../value-table.ts";

export function registerDeviceRead(program: Command): void {
  addQueue(
    program.command("device-read <endpoint> <path...>").description("read a device; several paths are read at once"),
  ).action(async (endpoint: string, paths: string[], options: OperationOptions, command: Command) => {
    const answer = await new DeviceOperations(clientOf(command), endpoint, options).read(paths);
    printAnswer(command, answer, ({ values }) => valueTable(values));
  });
}
