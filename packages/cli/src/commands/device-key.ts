/** `airlift device-key`: what devices prove themselves with. */
import { CreatedCredential, Credential, type NewCredential } from "@airlift/protocol/api/credentials";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { Command } from "commander";
import { NOTHING, postOf, segment } from "../client.ts";
import { fileText } from "../file-text.ts";
import { clientOf, durationS, printResult, say } from "../terminal.ts";
import { agoText, pairs, table } from "../text.ts";
import { registerDeviceKeyImport } from "./device-key-import.ts";

interface Options {
  readonly identity?: string;
  readonly key?: string;
  readonly keyFile?: string;
  readonly publicKey?: string;
  readonly certificate?: string;
  readonly bootstrap?: boolean;
  readonly overlap?: number;
}

export function registerDeviceKey(program: Command): void {
  const deviceKey = program.command("device-key").description("the keys and certificates that devices come with");
  withMaterial(deviceKey.command("add <endpoint>"))
    .description("add one; a key that the server makes is printed this once")
    .action(async (endpoint: string, options: Options, command: Command) => {
      const path = `devices/${segment(endpoint)}/credentials`;
      const asked = postOf(await credentialOf(options));
      printCreated(command, await clientOf(command).call(path, CreatedCredential, asked));
    });
  withMaterial(deviceKey.command("rotate <endpoint>"))
    .description("replace a device's; the old ones are good until the new one is first used")
    .option("--overlap <duration>", "and no longer than this: 12h, 7d; 0s ends them now", durationS)
    .action(async (endpoint: string, options: Options, command: Command) => {
      const path = `devices/${segment(endpoint)}/credentials/rotate`;
      const { overlap: overlapS } = options;
      const asked = postOf({ credential: await credentialOf(options), ...(overlapS !== undefined && { overlapS }) });
      printCreated(command, await clientOf(command).call(path, CreatedCredential, asked));
    });
  registerList(deviceKey);
  deviceKey
    .command("remove <endpoint> <id>")
    .description("end one at once, with its sessions")
    .action(async (endpoint: string, id: string, _: unknown, command: Command) => {
      const path = `devices/${segment(endpoint)}/credentials/${segment(id)}`;
      await clientOf(command).call(path, NOTHING, { method: "DELETE" });
      printResult(command, { removed: id }, () => `${id} is good no more\n`);
    });
  deviceKey
    .command("allow-plain <endpoint>")
    .description("let a device that has registered with a key or certificate register in the clear again")
    .action(async (endpoint: string, _: unknown, command: Command) => {
      await clientOf(command).tell(`devices/${segment(endpoint)}/allow-plain`, { method: "POST" });
      printResult(
        command,
        { endpoint },
        () => `${endpoint} may register in the clear, until it registers securely again\n`,
      );
    });
  registerDeviceKeyImport(deviceKey);
}

function registerList(deviceKey: Command): void {
  deviceKey
    .command("list <endpoint>")
    .description("list a device's, without the keys")
    .action(async (endpoint: string, _: unknown, command: Command) => {
      const credentials = await clientOf(command).all(`devices/${segment(endpoint)}/credentials`, Credential);
      printResult(command, credentials, () =>
        table(
          ["ID", "KIND", "FOR", "IDENTITY", "STATE", "ENDS", "LAST USED"],
          credentials.map((one) => [
            one.id,
            one.kind,
            one.purpose,
            one.identity,
            one.state,
            one.endsAt ?? "-",
            one.lastUsedAt === null ? "never" : agoText(one.lastUsedAt, Date.now()),
          ]),
        ),
      );
    });
}

const withMaterial = (command: Command): Command =>
  command
    .option("--identity <text>", "PSK identity (default: one made of the endpoint's name)")
    .option("--key <hex>", "pre-shared key; other users of this machine can see it in the list of processes")
    .option("--key-file <file>", "file with the pre-shared key in hex, - for stdin (default: the server makes one)")
    .option("--public-key <file.pem>", "the device's raw public key instead of a PSK")
    .option("--certificate <file.pem>", "the device's certificate instead of a PSK")
    .option("--bootstrap", "good for the Bootstrap interface only");

async function credentialOf(options: Options): Promise<NewCredential> {
  const { identity, key, keyFile, publicKey, certificate } = options;
  const purpose = options.bootstrap === true ? "bootstrap" : "device";
  const kinds = [identity ?? key ?? keyFile, publicKey, certificate].filter((one) => one !== undefined);
  if (kinds.length > 1 || (key !== undefined && keyFile !== undefined))
    throw new UsageError("OPTIONS", "give one of a pre-shared key, --public-key and --certificate");
  if (publicKey !== undefined) return { kind: "rpk", publicKeyPem: await fileText(publicKey), purpose };
  if (certificate !== undefined) return { kind: "x509", certificatePem: await fileText(certificate), purpose };
  const given = keyFile === undefined ? key : (await fileText(keyFile)).trim();
  return {
    kind: "psk",
    purpose,
    ...(identity !== undefined && { identity }),
    ...(given !== undefined && { key: given }),
  };
}

function printCreated(command: Command, created: CreatedCredential): void {
  const { id, endpoint, identity, key } = created;
  if (key !== null) say("keep the key, it is not shown again");
  printResult(command, created, () =>
    pairs([
      ["id", id],
      ["endpoint", endpoint],
      ["identity", identity],
      ...(key === null ? [] : [["key", key] as const]),
    ]),
  );
}
