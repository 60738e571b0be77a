/** `airlift mesh device`: a receiver of broadcasts with two slots, on any link. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fromHex, toHex } from "@airlift/protocol/lib/bytes";
import type { CommandChannel } from "@airlift/protocol/zmesh/command-channel";
import { isName, NAME_BYTES } from "@airlift/protocol/zmesh/content-name";
import { decodeOnboarding } from "@airlift/protocol/zmesh/onboarding";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { Command } from "commander";
import { addMeshOptions, Mistakes, type RawMeshOptions, readMeshOptions } from "../device/mesh-options.ts";
import { MeshReceiver } from "../device/mesh-receiver.ts";
import { dieWithSupervisor, isWorker, REBOOT_EXIT_CODE, supervise } from "../device/supervisor.ts";

interface MeshDeviceFlags extends RawMeshOptions {
  readonly label?: string;
  readonly deviceId?: string;
  readonly key?: string;
  readonly iv?: string;
  readonly group?: readonly string[];
}

export function registerMeshDevice(mesh: Command): void {
  const command = mesh
    .command("device")
    .description("run a device that receives broadcasts and restarts into what it received")
    .option("--label <file>", "file with the text of its QR label, in place of the next three")
    .option("--device-id <hex>", "name of its own channel, 12 hex digits")
    .option("--key <hex>", "its device-management key, 32 hex digits")
    .option("--iv <hex>", "IV of its channel, 18 hex digits")
    .option("--group <name:key:iv...>", "channels of groups it belongs to, in hex")
    .option("--slots <dir>", "where its slots and its memory are (default: airlift-mesh/DEVICE-ID)");
  addMeshOptions(command).action(async (_: unknown, own: Command) => {
    process.exitCode = await run(own.optsWithGlobals<MeshDeviceFlags>());
  });
}

async function run(flags: MeshDeviceFlags): Promise<number> {
  const options = readOptions(flags);
  if (!isWorker()) return supervise();
  dieWithSupervisor();
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  const tell = (event: Readonly<Record<string, unknown>>) => print(flags, { deviceId: options.deviceId, ...event });
  const receiver = await MeshReceiver.boot({
    ...options,
    restart: () => end(REBOOT_EXIT_CODE),
    onStatus: (status) => tell({ kind: "status", ...status, name: toHex(status.name) }),
    onForeign: ({ heardCount, foreignCount }) => tell({ kind: "foreign", heardCount, foreignCount }),
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => end(0));
  tell({ kind: "started", version: receiver.version, ...receiver.bootReport });
  await receiver.start();
  const code = await ended;
  await receiver.close();
  return code;
}

function print({ json = false }: MeshDeviceFlags, event: Readonly<Record<string, unknown>>): void {
  if (json) process.stdout.write(`${JSON.stringify(event)}\n`);
  else {
    process.stderr.write(`${event["deviceId"]}: ${sentenceOf(event)}\n`);
  }
}

function sentenceOf(event: Readonly<Record<string, unknown>>): string {
  const { kind, state, detail, result, receivedCount, version, slot, outcome, heardCount, foreignCount } = event;
  if (kind === "started") return `runs ${version} from slot ${slot} (${outcome})`;
  if (kind === "foreign") return `hears frames it cannot open (wrong network key?): ${foreignCount} of ${heardCount}`;
  return `${state}, ${detail}, result ${result}, ${receivedCount} packets`;
}

/** @throws {UsageError} OPTIONS, a line for each mistake. */
function readOptions(flags: MeshDeviceFlags) {
  const mistakes = new Mistakes();
  const octets = (name: string, text: string | undefined, count: number): Uint8Array => {
    const found = fromHex(text ?? "");
    if (found?.length !== count) mistakes.add(`--${name}: ${2 * count} hex digits`);
    return found ?? new Uint8Array(count);
  };
  const nameIn = (option: string, text: string | undefined): Uint8Array => {
    const name = octets(option, text, NAME_BYTES);
    if (fromHex(text ?? "")?.length === NAME_BYTES && !isName(name))
      mistakes.add(`--${option} ${text}: the name has octets that networks reserve`);
    return name;
  };
  const own =
    flags.label === undefined
      ? {
          deviceId: flags.deviceId ?? "",
          channel: {
            name: nameIn("device-id", flags.deviceId),
            key: octets("key", flags.key, 16),
            iv: octets("iv", flags.iv, 9),
          },
        }
      : mistakes.attempt(() => decodeOnboarding(readFileSync(flags.label ?? "", "utf8"), zmeshCrypto));
  const groups = (flags.group ?? []).map((text): CommandChannel => {
    const [name, key, iv] = text.split(":");
    return { name: nameIn("group", name), key: octets("group", key, 16), iv: octets("group", iv, 9) };
  });
  const options = readMeshOptions(flags, mistakes);
  mistakes.assertNone();
  const { deviceId, channel } = own as NonNullable<typeof own>;
  return { ...options, deviceId, channel, groups, folder: flags.slots ?? join("airlift-mesh", deviceId) };
}
