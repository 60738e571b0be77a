/** `airlift master-key`: the key that device keys are encrypted under. */
import { MasterKeyRotation } from "@airlift/protocol/api/credentials";
import type { Command } from "commander";
import { clientOf, printResult } from "../terminal.ts";

export function registerMasterKey(program: Command): void {
  program
    .command("master-key")
    .description("the key that device keys are encrypted under")
    .command("rotate")
    .description("make a new one and encrypt every device key under it; again after a stop, it goes on")
    .action(async (_: unknown, command: Command) => {
      const done = await clientOf(command).call("master-key/rotate", MasterKeyRotation, { method: "POST" });
      printResult(
        command,
        done,
        () =>
          `${done.reencryptedCount} device keys are under master key ${done.keyVersion} now: keep a copy of its file\n`,
      );
    });
}
