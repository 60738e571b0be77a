/** `airlift device-attributes`: when a device is to notify. */
import { NotificationAttributes } from "@airlift/protocol/api/operations";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { Command } from "commander";
import { addQueue, DeviceOperations, type OperationOptions, printAnswer } from "../device-operations.ts";
import { clientOf } from "../terminal.ts";
import { doneText } from "../value-table.ts";

const NAMES = Object.keys(NotificationAttributes.shape).join(", ");

export function registerDeviceAttributes(program: Command): void {
  addQueue(
    program
      .command("device-attributes <endpoint> <path> <attribute...>")
      .description(`write attributes of notifications, pmin=10; a bare name removes it (${NAMES})`),
  ).action(async (endpoint: string, path: string, words: string[], options: OperationOptions, command: Command) => {
    const operations = new DeviceOperations(clientOf(command), endpoint, options);
    const done = await operations.writeAttributes(path, attributesOf(words));
    printAnswer(command, done, doneText);
  });
}

/** @throws {UsageError} ATTRIBUTE */
function attributesOf(words: readonly string[]): NotificationAttributes {
  const given = words.map((word) => {
    const [name = "", text] = word.split("=", 2);
    return [name, text === undefined || text === "" ? null : Number(text)];
  });
  const attributes = NotificationAttributes.safeParse(Object.fromEntries(given));
  if (attributes.success) return attributes.data;
  const wrong = attributes.error.issues.map(({ path }) => words[given.findIndex(([name]) => name === path[0])]);
  const known = wrong.filter((word) => word !== undefined);
  if (known.length > 0) throw new UsageError("ATTRIBUTE", `${known.join(" ")}: not a value of that attribute`);
  throw new UsageError("ATTRIBUTE", `${words.join(" ")}: not attributes; there are ${NAMES}`);
}
