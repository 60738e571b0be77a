/** `airlift device-create`: a new instance of an object. */
import type { Command } from "commander";
import { addQueue, DeviceOperations, type OperationOptions, printAnswer, readPair } from "../device-operations.ts";
import { clientOf } from "../terminal.ts";
import { doneText } from "../value-table.ts";

export function registerDeviceCreate(program: Command): void {
  addQueue(
    program
      .command("device-create <endpoint> <path>")
      .argument("[value...]", "NAME=VALUE of its resources")
      .description("create an instance of an object: /33629, or /33629/2 for that number"),
  ).action(async (endpoint: string, path: string, words: string[], options: OperationOptions, command: Command) => {
    const values = Object.fromEntries(words.map(readPair));
    const done = await new DeviceOperations(clientOf(command), endpoint, options).create(path, values);
    printAnswer(command, done, doneText);
  });
}
