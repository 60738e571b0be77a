/** `airlift mesh onboard`, `mesh devices`, `mesh keys`: devices behind radio gateways, and the keys of their groups. */
import { ManifestKey, MeshDevice, MeshGroup, type NewMeshDevice } from "@airlift/protocol/api/mesh";
import { UsageError } from "@airlift/protocol/lib/errors";
import { decodeOnboarding } from "@airlift/protocol/zmesh/onboarding";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { Command } from "commander";
import { postOf, segment } from "../client.ts";
import { fileText } from "../file-text.ts";
import { clientOf, printResult } from "../terminal.ts";
import { agoText, pairs, table } from "../text.ts";

interface Options {
  readonly manufacturer: string;
  readonly model: string;
  readonly hardware?: string;
  readonly version?: string;
  readonly cell?: string;
}

export function registerMeshOnboard(mesh: Command): void {
  mesh
    .command("onboard <label>")
    .description(
      "take devices in: the text of a QR label, or a file with one on each line; - for stdin, out of others' sight",
    )
    .requiredOption("--manufacturer <name>", "who makes the device")
    .requiredOption("--model <name>", "the device's model")
    .option("--hardware <revision>", "its hardware revision")
    .option("--version <version>", "the version that runs now")
    .option("--cell <name>", "the radio cell it is in: gateways of that cell reach it")
    .action(async (label: string, options: Options, command: Command) => {
      const isFile = !/^zmesh:/i.test(label);
      const text = isFile ? await fileText(label) : label;
      const payloads = text.split("\n").filter((line) => line.trim() !== "");
      if (payloads.length === 0) throw new UsageError("FILE", `${label}: there is no label in it`);
      assertLabels(text, isFile ? label : undefined);
      const devices: MeshDevice[] = [];
      for (const payload of payloads) {
        const asked: NewMeshDevice = { payload, ...options };
        devices.push(await clientOf(command).call("mesh/devices", MeshDevice, postOf(asked)));
      }
      const [device] = devices as [MeshDevice];
      if (devices.length > 1) printResult(command, devices, () => tableOf(devices));
      else
        printResult(command, device, () =>
          pairs([
            ["endpoint", device.endpoint],
            ["name on air", device.name],
            ["group", device.groupId],
            ["cell", device.cell ?? "-"],
          ]),
        );
    });
  mesh
    .command("devices")
    .description("list the devices behind radio gateways")
    .action(async (_: unknown, command: Command) => {
      const devices = await clientOf(command).all("mesh/devices", MeshDevice);
      printResult(command, devices, () => tableOf(devices));
    });
  mesh
    .command("manifest-key")
    .description("print the key that devices are to trust, in PEM: this server signs with it what it broadcasts")
    .action(async (_: unknown, command: Command) => {
      const key = await clientOf(command).call("mesh/manifest-key", ManifestKey);
      printResult(command, key, () => key.publicKeyPem);
    });
  registerKeys(mesh.command("keys").description("the keys that groups of mesh devices share"));
}

/** All labels are looked at before the first device is taken in. @param file Where they are from, unless they were given as they are. */
function assertLabels(text: string, file: string | undefined): void {
  for (const [i, line] of text.split("\n").entries())
    try {
      if (line.trim() !== "") decodeOnboarding(line, zmeshCrypto);
    } catch (error) {
      if (!(error instanceof UsageError) || file === undefined) throw error;
      throw new UsageError(error.code, `${file}, line ${i + 1}: ${error.message}`, {}, { cause: error });
    }
}

const tableOf = (devices: readonly MeshDevice[]): string =>
  table(["ENDPOINT", "NAME", "GROUP", "GROUP KEY", "CELL", "GATEWAY", "MISSING", "HEARD"], devices.map(lineOf));

const lineOf = (one: MeshDevice): string[] => [
  one.endpoint,
  one.name,
  one.groupId,
  one.hasGroupKey ? "yes" : "no",
  one.cell ?? "-",
  one.gatewayId ?? "-",
  one.deficit === null || (one.deficit === 0 && one.receivedCount === 0) ? "-" : `${one.deficit}`,
  one.heardAt === null ? "never" : agoText(one.heardAt, Date.now()),
];

function registerKeys(keys: Command): void {
  keys
    .command("list")
    .description("list the groups, and how many of their devices have the present key")
    .action(async (_: unknown, command: Command) => {
      const groups = await clientOf(command).all("mesh/groups", MeshGroup);
      printResult(command, groups, () =>
        table(
          ["GROUP", "MANUFACTURER", "MODEL", "KEY", "DEVICES", "HAVE IT"],
          groups.map((one) => [
            one.id,
            one.manufacturer,
            one.model,
            `${one.generation}`,
            `${one.deviceCount}`,
            `${one.keyCount}`,
          ]),
        ),
      );
    });
  keys
    .command("rotate <group>")
    .description("draw a new key; each device gets it, under its own, before its next broadcast")
    .action(async (group: string, _: unknown, command: Command) => {
      const call = { method: "POST" } as const;
      const rotated = await clientOf(command).call(`mesh/groups/${segment(group)}/rotate`, MeshGroup, call);
      printResult(command, rotated, () => `${rotated.id} has its ${rotated.generation}. key\n`);
    });
}
