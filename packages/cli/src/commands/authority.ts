/** `airlift authority`: who vouches for device certificates. */
import { CertificateAuthority } from "@airlift/protocol/api/credentials";
import type { Command } from "commander";
import { NOTHING, postOf, segment } from "../client.ts";
import { fileText } from "../file-text.ts";
import { clientOf, printResult } from "../terminal.ts";
import { table } from "../text.ts";

export function registerAuthority(program: Command): void {
  const authority = program.command("authority").description("the authorities whose device certificates are believed");
  authority
    .command("add <certificate.pem>")
    .description("believe the certificates of this authority, each for the device it names")
    .action(async (file: string, _: unknown, command: Command) => {
      const asked = postOf({ certificatePem: await fileText(file) });
      const added = await clientOf(command).call("authorities", CertificateAuthority, asked);
      printResult(command, added, () => `${added.fingerprint}  ${added.subject}\n`);
    });
  authority
    .command("list")
    .description("list them, oldest first")
    .action(async (_: unknown, command: Command) => {
      const authorities = await clientOf(command).all("authorities", CertificateAuthority);
      printResult(command, authorities, () =>
        table(
          ["FINGERPRINT", "SUBJECT", "VALID UNTIL"],
          authorities.map((one) => [one.fingerprint, one.subject, one.validUntil.slice(0, 10)]),
        ),
      );
    });
  authority
    .command("remove <fingerprint>")
    .description("believe its certificates no more")
    .action(async (fingerprint: string, _: unknown, command: Command) => {
      await clientOf(command).call(`authorities/${segment(fingerprint)}`, NOTHING, { method: "DELETE" });
      printResult(command, { removed: fingerprint }, () => `${fingerprint} is believed no more\n`);
    });
}
