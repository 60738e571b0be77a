/** `airlift mesh name`: what a firmware is called on a Z-Mesh network. */
import { toHex } from "@airlift/protocol/lib/bytes";
import { contentUri, NAME_PROFILES, type NameProfile, nameOf } from "@airlift/protocol/zmesh/content-name";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { type Command, Option } from "commander";
import { printResult } from "../terminal.ts";
import { pairs } from "../text.ts";

export function registerMeshName(mesh: Command): void {
  mesh
    .command("name <manufacturer> <model> <version>")
    .description("print the URI and the six octets on air of a firmware")
    .addOption(
      new Option("--profile <profile>", "how the URI becomes six octets").choices(NAME_PROFILES).default("base254"),
    )
    .action(
      (
        manufacturer: string,
        model: string,
        version: string,
        { profile }: { profile: NameProfile },
        command: Command,
      ) => {
        const uri = contentUri({ manufacturer, model, version });
        const name = toHex(nameOf(uri, zmeshCrypto, profile));
        printResult(command, { uri, name }, () =>
          pairs([
            ["uri", uri],
            ["name", name],
          ]),
        );
      },
    );
}
