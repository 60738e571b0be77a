/** `airlift device-observe`: values as a device tells them, until it is interrupted. */
import { type DeviceValue, ValueEvent } from "@airlift/protocol/api/operations";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { Command } from "commander";
import { addTimeout, DeviceOperations, type OperationOptions } from "../device-operations.ts";
import { followEvents } from "../event-feed.ts";
import { clientOf, type GlobalOptions, say } from "../terminal.ts";
import { clockText, printable } from "../text.ts";
import { valueText } from "../value-table.ts";

type Options = OperationOptions & GlobalOptions;

export function registerDeviceObserve(program: Command): void {
  addTimeout(
    program
      .command("device-observe <endpoint> <path...>")
      .description("follow values of a device, several paths as one, until Ctrl-C"),
  ).action(async (endpoint: string, paths: string[], _: unknown, command: Command) => {
    const options = command.optsWithGlobals<Options>();
    const client = clientOf(command);
    const operations = new DeviceOperations(client, endpoint, options);
    const interrupt = new AbortController();
    const stop = (): void => interrupt.abort();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
    const onLost = () => say("lost the connection to the server, trying again");
    const onBack = () => say("the server is there again");
    const feed = followEvents(client, { of: { endpoint }, signal: interrupt.signal, onLost, onBack });
    // Listens before it asks, so that what the device tells first is heard.
    const earliest = feed.next();
    // What ends the feed is told by who reads it, and nobody does when the asking fails.
    earliest.catch(() => {});
    let observationId: string | undefined;
    try {
      const { observation, answer } = await operations.observe(paths);
      observationId = observation.id;
      const print = (at: string, values: readonly DeviceValue[]) => printValues(at, values, options.json === true);
      print(new Date().toISOString(), answer.values);
      for (let next = await earliest; next.done !== true; next = await feed.next()) {
        const event = next.value;
        if (event.facts["observationId"] !== observation.id) continue;
        if (event.kind === "device.flood") throw new EnvironmentError("DEVICE_FLOOD", event.sentence);
        const told = ValueEvent.safeParse(event);
        if (told.success) print(told.data.at, told.data.facts.values);
      }
    } finally {
      interrupt.abort();
      if (observationId !== undefined) await operations.cancel(observationId).catch(() => {});
    }
  });
}

function printValues(at: string, values: readonly DeviceValue[], isJson: boolean): void {
  if (isJson) {
    process.stdout.write(`${JSON.stringify({ at, values })}\n`);
    return;
  }
  for (const value of values) {
    const name = value.name === null ? value.path : `${value.path} ${value.name}`;
    process.stdout.write(`${clockText(at, Date.now())}  ${printable(`${name}: ${valueText(value)}`)}\n`);
  }
}
