/** `airlift device-write`: values for one path, or for several at once. */
import { UsageError } from "@airlift/protocol/lib/errors";
import type { Command } from "commander";
import { addQueue, DeviceOperations, type OperationOptions, printAnswer, readValue } from "../device-operations.ts";
import { clientOf } from "../terminal.ts";
import { doneText } from "../value-table.ts";

interface Options extends OperationOptions {
  readonly update?: boolean;
}

export function registerDeviceWrite(program: Command): void {
  addQueue(
    program
      .command("device-write <endpoint> <path-value...>")
      .usage("[options] <endpoint> <path> <value> [<path> <value> ...]")
      .description("write to a device; an instance or a multiple resource takes JSON: '{\"Lifetime\":300}'")
      .option("--update", "change only what is given, where the place holds more"),
  ).action(async (endpoint: string, words: string[], options: Options, command: Command) => {
    const operations = new DeviceOperations(clientOf(command), endpoint, options);
    const done = await operations.write(pairsOf(words), options.update === true);
    printAnswer(command, done, doneText);
  });
}

/** @throws {UsageError} VALUE for a path without a value. */
function pairsOf(words: readonly string[]): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (let at = 0; at < words.length; at += 2) {
    const [path = "", text] = words.slice(at, at + 2);
    if (text === undefined) throw new UsageError("VALUE", `${path} needs a value behind it`);
    values[path] = readValue(text);
  }
  return values;
}
