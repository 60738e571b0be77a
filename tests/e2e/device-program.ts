/** The device commands of the command line, alone. */
import { registerDevice } from "@airlift/cli/commands/device";
import { registerFleet } from "@airlift/cli/commands/fleet";
import { AirliftError, UsageError } from "@airlift/protocol/lib/errors";
import { Command } from "commander";

const program = new Command("airlift").option("--json");
registerDevice(program);
registerFleet(program);
try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof AirliftError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
