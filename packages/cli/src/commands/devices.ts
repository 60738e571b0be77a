/** `airlift devices`: who is there. */
import type { Command } from "commander";
import { clientOf, printResult } from "../terminal.ts";
import { agoText, table } from "../text.ts";

export function registerDevices(program: Command): void {
  program
    .command("devices")
    .description("list the devices")
    .option("--query <rsql>", "only those that match: model==pump;version=lt=2.0.0")
    .action(async ({ query }: { readonly query?: string }, command: Command) => {
      const devices = await clientOf(command).devices(query);
      printResult(command, devices, () =>
        table(
          ["ENDPOINT", "PRESENCE", "AWAKE", "MANUFACTURER", "MODEL", "VERSION", "ADDRESS", "LAST SEEN"],
          devices.map((one) => [
            one.endpoint,
            one.presence,
            one.awake,
            one.manufacturer ?? "-",
            one.model ?? "-",
            one.version ?? "-",
            one.address,
            agoText(one.lastSeenAt, Date.now()),
          ]),
        ),
      );
    });
}
