/** `airlift update-apply`, `update-cancel`, `update-retry`: what an operator tells an update. */
import type { Command } from "commander";
import { clientOf, printResult } from "../terminal.ts";
import { printable } from "../text.ts";

const COMMANDS = [
  ["apply", "have the device install the image that it holds"],
  ["cancel", "end an update that does not install yet"],
  ["retry", "begin an update that has ended without success once more, as its next attempt"],
] as const;

export function registerUpdateCommands(program: Command): void {
  for (const [name, description] of COMMANDS)
    program
      .command(`update-${name} <id>`)
      .description(description)
      .action(async (id: string, _: unknown, command: Command) => {
        const update = await clientOf(command).command(id, name);
        printResult(command, update, () => `${printable(`${update.endpoint}: ${update.sentence}`)}\n`);
      });
}
