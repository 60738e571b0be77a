/** `airlift device-delete`: removes an instance of an object. */
import type { Command } from "commander";
import { addQueue, DeviceOperations, type OperationOptions, printAnswer } from "../device-operations.ts";
import { clientOf } from "../terminal.ts";
import { doneText } from "../value-table.ts";

export function registerDeviceDelete(program: Command): void {
  addQueue(
    program.command("device-delete <endpoint> <path>").description("delete an instance of an object on a device"),
  ).action(async (endpoint: string, path: string, options: OperationOptions, command: Command) => {
    const done = await new DeviceOperations(clientOf(command), endpoint, options).delete(path);
    printAnswer(command, done, doneText);
  });
}
