/** `airlift device-execute`: lets a device do something. */
import { UsageError } from "@airlift/protocol/lib/errors";
import type { Command } from "commander";
import { addQueue, DeviceOperations, type OperationOptions, printAnswer } from "../device-operations.ts";
import { clientOf } from "../terminal.ts";
import { doneText } from "../value-table.ts";

export function registerDeviceExecute(program: Command): void {
  addQueue(
    program
      .command("device-execute <endpoint> <path>")
      .argument("[argument...]", "arguments by digit: 0=value, or 0 alone")
      .description("execute a resource, such as /3/0/Reboot"),
  ).action(async (endpoint: string, path: string, words: string[], options: OperationOptions, command: Command) => {
    const operations = new DeviceOperations(clientOf(command), endpoint, options);
    const done = await operations.execute(path, Object.fromEntries(words.map(readArgument)));
    printAnswer(command, done, doneText);
  });
}

/** @throws {UsageError} ARGUMENTS */
function readArgument(text: string): readonly [string, string | null] {
  const match = /^([0-9])(?:=(.*))?$/s.exec(text);
  if (match === null) throw new UsageError("ARGUMENTS", `${text} is not a digit, or a digit with a value: 0=now`);
  return [match[1] ?? "0", match[2] ?? null];
}
