/** `airlift mesh fleet`: many receivers of broadcasts in one process, each with a link, slots and a memory of its own. */

import { join } from "node:path";
import { toHex } from "@airlift/protocol/lib/bytes";
import { countText } from "@airlift/protocol/lib/count-text";
import { decodeOnboarding, type Onboarding } from "@airlift/protocol/zmesh/onboarding";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { Command } from "commander";
import {
  addMeshOptions,
  type MeshOptions,
  Mistakes,
  type RawMeshOptions,
  readMeshOptions,
} from "../device/mesh-options.ts";
import { MeshReceiver } from "../device/mesh-receiver.ts";
import { fileText } from "../file-text.ts";

interface MeshFleetFlags extends RawMeshOptions {
  readonly labels?: string;
}

/** Room for an image that each has: many share one machine. */
const MAX_IMAGE_BYTES = 512 * 1024;

export function registerMeshFleet(mesh: Command): void {
  const command = mesh
    .command("fleet")
    .description("run many devices that receive broadcasts in one process, each with a link of its own")
    .requiredOption("--labels <file>", "file with a QR label on each line, one for each device")
    .option("--slots <dir>", "where each has a folder for its slots and its memory", "airlift-mesh");
  addMeshOptions(command).action(async (_: unknown, own: Command) => run(own.optsWithGlobals<MeshFleetFlags>()));
}

async function run(flags: MeshFleetFlags): Promise<void> {
  const lines = (await fileText(flags.labels ?? "")).split("\n").filter((line) => line.trim() !== "");
  const mistakes = new Mistakes();
  const labels = lines.flatMap((line) => mistakes.attempt(() => decodeOnboarding(line, zmeshCrypto)) ?? []);
  if (lines.length === 0) mistakes.add(`--labels ${flags.labels}: there is no label in it`);
  for (const [deviceId, same] of Map.groupBy(labels, (label) => label.deviceId))
    if (same.length > 1) mistakes.add(`--labels ${flags.labels}: ${deviceId} is in it ${same.length} times`);
  const options = readMeshOptions(flags, mistakes);
  mistakes.assertNone();
  const members = labels.map((label) => new Member(label, options, flags));
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  for (const member of members) await member.start();
  process.stderr.write(`${countText(members.length, "device listens", "devices listen")} to ${options.plan.uri}\n`);
  await stopped;
  await Promise.all(members.map((member) => member.close()));
}

/** Starts again when it has to, as the supervisor of a single device would. */
class Member {
  readonly #label: Onboarding;
  readonly #options: MeshOptions;
  readonly #flags: MeshFleetFlags;
  #receiver: MeshReceiver | undefined;
  #isClosed = false;

  constructor(label: Onboarding, options: MeshOptions, flags: MeshFleetFlags) {
    this.#label = label;
    this.#options = options;
    this.#flags = flags;
  }

  async start(): Promise<void> {
    const { deviceId, channel } = this.#label;
    const receiver = await MeshReceiver.boot({
      ...this.#options,
      channel,
      groups: [],
      folder: join(this.#flags.slots ?? "", deviceId),
      maxImageBytes: MAX_IMAGE_BYTES,
      restart: () => void this.#restart(),
      onStatus: ({ name, ...status }) => this.#tell({ kind: "status", ...status, name: toHex(name) }),
    });
    this.#receiver = receiver;
    if (this.#isClosed) return await this.close();
    this.#tell({ kind: "started", version: receiver.version, ...receiver.bootReport });
    await receiver.start();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#receiver?.close();
    this.#receiver = undefined;
  }

  async #restart(): Promise<void> {
    await this.#receiver?.close();
    if (!this.#isClosed) await this.start();
  }

  #tell(event: Readonly<Record<string, unknown>>): void {
    if (this.#flags.json === true)
      process.stdout.write(`${JSON.stringify({ deviceId: this.#label.deviceId, ...event })}\n`);
  }
}
