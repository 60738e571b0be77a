/** `airlift device-execute`: lets a device do something. */
import { type Command, InvalidArgumentError } from "commander";
import { addQueue, DeviceOperations, type OperationOptions, printAnswer } from "../device-operations.ts";
import { clientOf } from "../terminal.ts";
import { doneText } from "../value-table.ts";

export function registerDeviceExecute(program: Command): void {
  addQueue(
    program
      .command("device-execute <endpoint> <path>")
      .argument("[argument...]", "arguments by digit: 0=value, or 0 alone", readArgument, {})
      .description("execute a resource, such as /3/0/Reboot"),
  ).action(async (endpoint: string, path: string, given: Arguments, options: OperationOptions, command: Command) => {
    const done = await new DeviceOperations(clientOf(command), endpoint, options).execute(path, given);
    printAnswer(command, done, doneText);
  });
}

type Arguments = Readonly<Record<string, string | null>>;

function readArgument(text: string, earlier: Arguments): Arguments {
  const match = /^([0-9])(?:=(.*))?$/s.exec(text);
  if (match === null) throw new InvalidArgumentError("It is a digit, or a digit with a value: 0=now.");
  return { ...earlier, [match[1] ?? "0"]: match[2] ?? null };
}
