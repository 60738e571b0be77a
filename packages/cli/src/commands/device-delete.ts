/** `airlift device-delete`: removes an instance of an object. */
import type { Command } from "commander";
import { addTimeout, DeviceOperations, type OperationOptions } from "../device-operations.ts";
import { clientOf, printResult } from "../terminal.ts";
import { doneText } from "../value-table.ts";

export function registerDeviceDelete(program: Command): void {
  addTimeout(
    program.command("device-delete <endpoint> <path>").description("delete an instance of an object on a device"),
  ).action(async (endpoint: string, path: string, options: OperationOptions, command: Command) => {
    const done = await new DeviceOperations(clientOf(command), endpoint, options).delete(path);
    printResult(command, done, () => doneText(done));
  });
}
