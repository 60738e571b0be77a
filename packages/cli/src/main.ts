/** `airlift`: the command line. Each command is a file in commands/ that registers itself here. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { registerAudit } from "./commands/audit.ts";
import { registerAuthority } from "./commands/authority.ts";
import { registerCampaign } from "./commands/campaign.ts";
import { registerDevice } from "./commands/device.ts";
import { registerDeviceAttributes } from "./commands/device-attributes.ts";
import { registerDeviceCreate } from "./commands/device-create.ts";
import { registerDeviceDelete } from "./commands/device-delete.ts";
import { registerDeviceDiscover } from "./commands/device-discover.ts";
import { registerDeviceExecute } from "./commands/device-execute.ts";
import { registerDeviceKey } from "./commands/device-key.ts";
import { registerDeviceObserve } from "./commands/device-observe.ts";
import { registerDeviceQueue } from "./commands/device-queue.ts";
import { registerDeviceRead } from "./commands/device-read.ts";
import { registerDeviceShow } from "./commands/device-show.ts";
import { registerDeviceWrite } from "./commands/device-write.ts";
import { registerDevices } from "./commands/devices.ts";
import { registerDevicesExport } from "./commands/devices-export.ts";
import { registerDevicesImport } from "./commands/devices-import.ts";
import { registerFleet } from "./commands/fleet.ts";
import { registerGateway } from "./commands/gateway.ts";
import { registerGatewayAdmin } from "./commands/gateway-admin.ts";
import { registerImageAdd } from "./commands/image-add.ts";
import { registerImageDelta } from "./commands/image-delta.ts";
import { registerImageKeygen } from "./commands/image-keygen.ts";
import { registerImageList } from "./commands/image-list.ts";
import { registerImageShow } from "./commands/image-show.ts";
import { registerMasterKey } from "./commands/master-key.ts";
import { registerMeshDevice } from "./commands/mesh-device.ts";
import { registerMeshFleet } from "./commands/mesh-fleet.ts";
import { registerMeshLabel } from "./commands/mesh-label.ts";
import { registerMeshName } from "./commands/mesh-name.ts";
import { registerMeshOnboard } from "./commands/mesh-onboard.ts";
import { registerMeshPack } from "./commands/mesh-pack.ts";
import { registerMeshPlan } from "./commands/mesh-plan.ts";
import { registerMeshSimulate } from "./commands/mesh-simulate.ts";
import { registerMeshUnpack } from "./commands/mesh-unpack.ts";
import { registerServe } from "./commands/serve.ts";
import { registerToken } from "./commands/token.ts";
import { registerUpdate } from "./commands/update.ts";
import { registerUpdateCommands } from "./commands/update-command.ts";
import { registerUpdateShow } from "./commands/update-show.ts";
import { registerWebhook } from "./commands/webhook.ts";
import { fail } from "./failure.ts";
import { addGlobalOptions } from "./terminal.ts";

/** Commander stops at the first option that is missing; who runs a command wants to hear of all of them. */
class AirliftCommand extends Command {
  override createCommand(name?: string): Command {
    return new AirliftCommand(name);
  }

  /** Called by Commander with the first one. */
  missingMandatoryOptionValue(): never {
    const missing = this.options.filter(
      (one) => one.mandatory && this.getOptionValue(one.attributeName()) === undefined,
    );
    this.error(missing.map(({ flags }) => `error: required option '${flags}' not specified`).join("\n"));
  }
}

function createProgram(): Command {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  // Before the commands: they take over how mistakes are told.
  const program = new AirliftCommand("airlift")
    .description("firmware over the air")
    .version(version, "-V", "print the version of this program; so does --version by itself")
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      outputError: (text, write) => {
        const mistakes = text.split(/^error: /m).filter((mistake) => mistake !== "");
        for (const mistake of mistakes) write(`airlift: ${mistake.trim().replaceAll("\n", " ")}\n`);
      },
    });
  addGlobalOptions(program);
  const image = program.command("image").description("the images in the server's store");
  for (const register of [
    registerImageAdd,
    registerImageList,
    registerImageShow,
    registerImageDelta,
    registerImageKeygen,
  ])
    register(image);
  const mesh = program.command("mesh").description("firmware for Z-Mesh networks");
  for (const register of [
    registerMeshName,
    registerMeshPack,
    registerMeshUnpack,
    registerMeshPlan,
    registerMeshSimulate,
    registerMeshDevice,
    registerMeshFleet,
    registerMeshLabel,
    registerMeshOnboard,
  ])
    register(mesh);
  const rest = [
    registerServe,
    registerDevices,
    registerDevicesExport,
    registerDevicesImport,
    registerDeviceShow,
    registerDeviceQueue,
    registerUpdate,
    registerDevice,
    registerFleet,
    registerGateway,
    registerGatewayAdmin,
  ];
  for (const register of rest) register(program);
  const operations = [
    registerDeviceAttributes,
    registerDeviceCreate,
    registerDeviceDelete,
    registerDeviceDiscover,
    registerDeviceExecute,
    registerDeviceObserve,
    registerDeviceRead,
    registerDeviceWrite,
  ];
  for (const register of operations) register(program);
  for (const register of [registerDeviceKey, registerAuthority, registerToken, registerMasterKey]) register(program);
  for (const register of [registerUpdateShow, registerUpdateCommands, registerCampaign]) register(program);
  for (const register of [registerAudit, registerWebhook]) register(program);
  return program;
}

// A reader that has seen enough, such as head, is not a failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

/** Behind a command `--version` is an image's or a device's; in front of all of them it can only be this program's. */
const [node = "", program = "", first = "", ...rest] = process.argv;
const isVersionAsked = first === "--version";

try {
  await createProgram().parseAsync(isVersionAsked ? [node, program, "-V", ...rest] : process.argv);
} catch (error) {
  fail(error);
}
