/** `airlift device-queue`: what waits for a device until it is awake. */
import type { Command } from "commander";
import { clientOf, printResult } from "../terminal.ts";
import { clockText, table } from "../text.ts";

export function registerDeviceQueue(program: Command): void {
  program
    .command("device-queue <endpoint>")
    .description("show the requests that wait for a device, and what became of the last ones")
    .option("--cancel <id>", "take back one that has not been sent")
    .action(async (endpoint: string, { cancel }: { cancel?: string }, command: Command) => {
      const client = clientOf(command);
      if (cancel !== undefined) await client.cancelQueued(endpoint, cancel);
      const requests = await client.queue(endpoint);
      printResult(command, requests, () => {
        if (requests.length === 0) return "nothing waits\n";
        return table(
          ["ID", "STATE", "OPERATION", "PATHS", "SUBMITTED", "EXPIRES", "OUTCOME"],
          requests.map((one) => [
            one.id,
            one.state,
            one.operation,
            one.paths.join(" "),
            clockText(one.submittedAt, Date.now()),
            clockText(one.expiresAt, Date.now()),
            [one.outcome, one.answer?.code].filter((text) => text != null).join(" ") || "-",
          ]),
        );
      });
    });
}
