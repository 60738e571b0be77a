/** Where each command's file is: only that of the command that was asked for is loaded. */
import type { Command } from "commander";

/** Adds what a file has to the program, or to the group it belongs to. */
type Register = (parent: Command) => void;

interface CommandFile {
  /** The names that it adds. */
  readonly names: readonly string[];
  readonly load: () => Promise<Register>;
}

interface CommandGroup {
  readonly name: string;
  readonly description: string;
  readonly files: readonly CommandFile[];
}

/** In the order in which help lists them. */
export const COMMAND_GROUPS: readonly CommandGroup[] = [
  {
    name: "image",
    description: "the images in the server's store",
    files: [
      { names: ["add"], load: async () => (await import("./commands/image-add.ts")).registerImageAdd },
      { names: ["list"], load: async () => (await import("./commands/image-list.ts")).registerImageList },
      { names: ["show"], load: async () => (await import("./commands/image-show.ts")).registerImageShow },
      { names: ["delta"], load: async () => (await import("./commands/image-delta.ts")).registerImageDelta },
      { names: ["keygen"], load: async () => (await import("./commands/image-keygen.ts")).registerImageKeygen },
    ],
  },
  {
    name: "mesh",
    description: "firmware for Z-Mesh networks",
    files: [
      { names: ["name"], load: async () => (await import("./commands/mesh-name.ts")).registerMeshName },
      { names: ["pack"], load: async () => (await import("./commands/mesh-pack.ts")).registerMeshPack },
      { names: ["unpack"], load: async () => (await import("./commands/mesh-unpack.ts")).registerMeshUnpack },
      { names: ["plan"], load: async () => (await import("./commands/mesh-plan.ts")).registerMeshPlan },
      { names: ["simulate"], load: async () => (await import("./commands/mesh-simulate.ts")).registerMeshSimulate },
      {
        names: ["device"],
        load: async () => (await import("./commands/mesh-device.ts")).registerMeshDevice,
      },
      { names: ["fleet"], load: async () => (await import("./commands/mesh-fleet.ts")).registerMeshFleet },
      { names: ["label"], load: async () => (await import("./commands/mesh-label.ts")).registerMeshLabel },
      {
        names: ["onboard", "devices", "manifest-key", "keys"],
        load: async () => (await import("./commands/mesh-onboard.ts")).registerMeshOnboard,
      },
    ],
  },
];

/** Behind the groups, in the order in which help lists them. */
export const COMMAND_FILES: readonly CommandFile[] = [
  { names: ["serve"], load: async () => (await import("./commands/serve.ts")).registerServe },
  { names: ["devices"], load: async () => (await import("./commands/devices.ts")).registerDevices },
  { names: ["devices-export"], load: async () => (await import("./commands/devices-export.ts")).registerDevicesExport },
  { names: ["devices-import"], load: async () => (await import("./commands/devices-import.ts")).registerDevicesImport },
  { names: ["device-show"], load: async () => (await import("./commands/device-show.ts")).registerDeviceShow },
  { names: ["device-queue"], load: async () => (await import("./commands/device-queue.ts")).registerDeviceQueue },
  { names: ["update"], load: async () => (await import("./commands/update.ts")).registerUpdate },
  { names: ["device"], load: async () => (await import("./commands/device.ts")).registerDevice },
  { names: ["fleet"], load: async () => (await import("./commands/fleet.ts")).registerFleet },
  { names: ["gateway"], load: async () => (await import("./commands/gateway.ts")).registerGateway },
  { names: ["gateway"], load: async () => (await import("./commands/gateway-admin.ts")).registerGatewayAdmin },
  {
    names: ["device-attributes"],
    load: async () => (await import("./commands/device-attributes.ts")).registerDeviceAttributes,
  },
  { names: ["device-create"], load: async () => (await import("./commands/device-create.ts")).registerDeviceCreate },
  { names: ["device-delete"], load: async () => (await import("./commands/device-delete.ts")).registerDeviceDelete },
  {
    names: ["device-discover"],
    load: async () => (await import("./commands/device-discover.ts")).registerDeviceDiscover,
  },
  { names: ["device-execute"], load: async () => (await import("./commands/device-execute.ts")).registerDeviceExecute },
  { names: ["device-observe"], load: async () => (await import("./commands/device-observe.ts")).registerDeviceObserve },
  { names: ["device-read"], load: async () => (await import("./commands/device-read.ts")).registerDeviceRead },
  { names: ["device-write"], load: async () => (await import("./commands/device-write.ts")).registerDeviceWrite },
  { names: ["device-key"], load: async () => (await import("./commands/device-key.ts")).registerDeviceKey },
  { names: ["authority"], load: async () => (await import("./commands/authority.ts")).registerAuthority },
  { names: ["token"], load: async () => (await import("./commands/token.ts")).registerToken },
  { names: ["master-key"], load: async () => (await import("./commands/master-key.ts")).registerMasterKey },
  { names: ["update-show"], load: async () => (await import("./commands/update-show.ts")).registerUpdateShow },
  {
    names: ["update-apply", "update-cancel", "update-retry"],
    load: async () => (await import("./commands/update-command.ts")).registerUpdateCommands,
  },
  { names: ["campaign"], load: async () => (await import("./commands/campaign.ts")).registerCampaign },
  { names: ["audit"], load: async () => (await import("./commands/audit.ts")).registerAudit },
  { names: ["webhook"], load: async () => (await import("./commands/webhook.ts")).registerWebhook },
];

/**
 * Adds the command that these words choose; all of a level where they choose none of it, for its help, and for the names it may be
 * mistaken for.
 *
 * @param operands the words of a command line that are no options, as far as the first option that the program does not know.
 */
export async function addChosenCommands(program: Command, operands: readonly string[]): Promise<void> {
  const [chosen, ...below] = withoutHelp(operands);
  const group = COMMAND_GROUPS.find(({ name }) => name === chosen);
  if (group) {
    const command = program.command(group.name).description(group.description);
    await addFiles(command, group.files, withoutHelp(below)[0]);
    return;
  }
  if (!COMMAND_FILES.some(({ names }) => names.includes(chosen ?? "")))
    for (const { name, description } of COMMAND_GROUPS) program.command(name).description(description);
  await addFiles(program, COMMAND_FILES, chosen);
}

/** `help X` asks for the help of X. */
const withoutHelp = (words: readonly string[]): readonly string[] => (words[0] === "help" ? words.slice(1) : words);

async function addFiles(parent: Command, files: readonly CommandFile[], chosen = ""): Promise<void> {
  const named = files.filter(({ names }) => names.includes(chosen));
  const registers = await Promise.all((named.length > 0 ? named : files).map(({ load }) => load()));
  for (const register of registers) register(parent);
}
