/** `airlift mesh device`: a receiver of broadcasts with two slots, on any link. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MeshDevice } from "@airlift/device/mesh/mesh-device";
import { createSlots } from "@airlift/device/node/slots";
import { WIRED_BAND } from "@airlift/gateway/edge/wired-band";
import { lossyLink } from "@airlift/gateway/links/lossy-link";
import { planLink } from "@airlift/gateway/links/open-link";
import type { PublicKey } from "@airlift/protocol/image/crypto-port";
import { fromHex } from "@airlift/protocol/lib/bytes";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { CommandChannel } from "@airlift/protocol/zmesh/command-channel";
import { DEFAULT_SUB_BAND, subBandNamed } from "@airlift/protocol/zmesh/regions";
import { loadPublicKey } from "@airlift/runtime/crypto";
import type { Command } from "commander";
import { dieWithSupervisor, isWorker, REBOOT_EXIT_CODE, supervise } from "../device/supervisor.ts";
import { describeRawImage } from "../device/worker.ts";

interface MeshDeviceFlags {
  readonly link?: string;
  readonly deviceId?: string;
  readonly key?: string;
  readonly iv?: string;
  readonly group?: readonly string[];
  readonly networkKey?: string;
  readonly slots?: string;
  readonly trust?: readonly string[];
  readonly allowUnsigned?: boolean;
  readonly version: string;
  readonly manufacturer: string;
  readonly model: string;
  readonly hardware: string;
  readonly pull?: boolean;
  readonly loss: string;
  readonly newsSpread: string;
  readonly json?: boolean;
}

export function registerMeshDevice(mesh: Command): void {
  mesh
    .command("device")
    .description("run a device that receives broadcasts and restarts into what it received")
    .option("--link <uri>", "udp://GROUP:PORT[?interface=NAME], kiss:/dev/ttyUSB0 or kiss+tcp://HOST:PORT")
    .option("--device-id <hex>", "name of its own channel, 12 hex digits")
    .option("--key <hex>", "its device-management key, 32 hex digits")
    .option("--iv <hex>", "IV of its channel, 18 hex digits")
    .option("--group <name:key:iv...>", "channels of groups it belongs to, in hex")
    .option("--network-key <hex>", "key of the mesh, 32 hex digits")
    .option("--slots <dir>", "where its slots and its memory are (default: airlift-mesh/DEVICE-ID)")
    .option("--trust <key.pub.pem...>", "keys whose manifests count")
    .option("--allow-unsigned", "take images without a manifest")
    .option("--version <version>", "version of the firmware it was made with", "1.0.0")
    .option("--manufacturer <name>", "who made it", "Airlift")
    .option("--model <name>", "what it is", "virtual")
    .option("--hardware <revision>", "its hardware revision", "1")
    .option("--pull", "ask for packets that are missing, instead of waiting for the broadcast")
    .option("--loss <share>", "lose this share of what is heard, to try a bad link", "0")
    .option("--news-spread <ms>", "time over which devices spread their news", "5000")
    .action(async (_: unknown, command: Command) => {
      process.exitCode = await run(command.optsWithGlobals<MeshDeviceFlags>());
    });
}

async function run(flags: MeshDeviceFlags): Promise<number> {
  const options = readOptions(flags);
  if (!isWorker()) return supervise();
  dieWithSupervisor();
  const { folder, plan, loss } = options;
  const slots = createSlots({
    directory: folder,
    // What gets here was verified by its manifest, or needs no signature.
    trust: "allow-unsigned",
    factoryVersion: flags.version,
    describe: describeRawImage,
  });
  const bootReport = await slots.boot();
  const link = await plan.open();
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  const band = plan.isWired ? WIRED_BAND : subBandNamed(DEFAULT_SUB_BAND);
  const device = new MeshDevice({
    ...options.identity,
    radio: loss > 0 ? lossyLink(link, loss) : link,
    folder: join(folder, "mesh"),
    slots,
    bootReport,
    limit: (band ?? WIRED_BAND).limit,
    pulls: flags.pull === true,
    newsSpreadMs: options.newsSpreadMs,
    restart: () => end(REBOOT_EXIT_CODE),
    onStatus: (status) => tell(flags, { kind: "status", ...status, name: Buffer.from(status.name).toString("hex") }),
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => end(0));
  tell(flags, { kind: "started", version: slots.version(), ...bootReport });
  await device.start();
  const code = await ended;
  device.close();
  await link.close();
  return code;
}

function tell({ deviceId = "", json = false }: MeshDeviceFlags, event: Readonly<Record<string, unknown>>): void {
  if (json) process.stdout.write(`${JSON.stringify({ deviceId, ...event })}\n`);
  else {
    const { kind, state, detail, result, receivedCount, version, slot, outcome } = event;
    const sentence =
      kind === "started"
        ? `runs ${version} from slot ${slot} (${outcome})`
        : `${state}, ${detail}, result ${result}, ${receivedCount} packets`;
    process.stderr.write(`${deviceId}: ${sentence}\n`);
  }
}

/** @throws {UsageError} OPTIONS, a line for each mistake. */
function readOptions(flags: MeshDeviceFlags) {
  const mistakes: string[] = [];
  const attempt = <Value>(read: () => Value): Value | undefined => {
    try {
      return read();
    } catch (error) {
      mistakes.push(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  };
  const octets = (name: string, text: string | undefined, count: number): Uint8Array => {
    const found = fromHex(text ?? "");
    if (found?.length !== count) mistakes.push(`--${name}: ${2 * count} hex digits`);
    return found ?? new Uint8Array(count);
  };
  const channel = {
    name: octets("device-id", flags.deviceId, 6),
    key: octets("key", flags.key, 16),
    iv: octets("iv", flags.iv, 9),
  };
  const groups = (flags.group ?? []).map((text): CommandChannel => {
    const [name, key, iv] = text.split(":");
    return { name: octets("group", name, 6), key: octets("group", key, 16), iv: octets("group", iv, 9) };
  });
  const networkKey = octets("network-key", flags.networkKey, 16);
  const keys = (flags.trust ?? []).flatMap((file): PublicKey[] => {
    const key = attempt(() => loadPublicKey(readFileSync(file, "utf8")));
    return key ? [key] : [];
  });
  if (keys.length > 0 === (flags.allowUnsigned === true))
    mistakes.push("--trust KEY.pub.pem or --allow-unsigned: one of the two");
  const plan = attempt(() => planLink(flags.link ?? ""));
  const [loss, newsSpreadMs] = [Number(flags.loss), Number(flags.newsSpread)];
  if (!(loss >= 0 && loss < 1)) mistakes.push("--loss: 0 … below 1");
  if (!(newsSpreadMs >= 0)) mistakes.push("--news-spread: milliseconds");
  if (mistakes.length > 0 || !plan) throw new UsageError("OPTIONS", mistakes.join("\n"), { mistakes });
  const target = { manufacturer: flags.manufacturer, model: flags.model, hardwareRevision: flags.hardware };
  const trust = flags.allowUnsigned === true ? ("allow-unsigned" as const) : keys;
  const folder = flags.slots ?? join("airlift-mesh", flags.deviceId ?? "");
  return { plan, loss, newsSpreadMs, folder, identity: { channel, groups, networkKey, target, trust } };
}
