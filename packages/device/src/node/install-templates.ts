/**
 * The commands of installers that many devices have, for `createCommandInstaller({ ...rauc(), … })`.
 *
 * Sources: rauc(1), swupdate's manual, systemd-sysupdate(8). All three verify signatures themselves while they install.
 */
import { join } from "node:path";
import type { Command } from "./command.ts";
import type { CommandInstallerOptions, InstallCommands } from "./command-installer.ts";

/** RAUC: the bundle goes to the inactive slots; the boot loader tries them until they are marked good. */
export function rauc(program = "rauc"): InstallCommands {
  return {
    verify: [program, "info", "{file}"],
    install: [program, "install", "{file}"],
    confirm: [program, "status", "mark-good"],
  };
}

export interface SwupdateOptions {
  readonly program?: string;
  /** PEM of the key that signed the package (`-k`). */
  readonly publicKey?: string;
  /** Which of the collection is installed, `stable,copy-2` (`-e`). */
  readonly select?: string;
  /** Tells the boot loader that the new system works, such as `["fw_setenv", "ustate", "0"]`. */
  readonly confirm?: Command;
}

/** SWUpdate run once for a file. */
export function swupdate({ program = "swupdate", publicKey, select, confirm }: SwupdateOptions = {}): InstallCommands {
  const key = publicKey === undefined ? [] : ["-k", publicKey];
  const selection = select === undefined ? [] : ["-e", select];
  return {
    verify: [program, ...key, ...selection, "-c", "-i", "{file}"],
    install: [program, ...key, ...selection, "-i", "{file}"],
    ...(confirm && { confirm }),
  };
}

export interface SysupdateOptions {
  readonly program?: string;
  /** The `Path=` of the transfer's [Source], of `Type=regular-file`. */
  readonly sourceDirectory: string;
  /** The `MatchPattern=` of the transfer's [Source]; `@v` stands for the version. */
  readonly matchPattern: string;
  /** Where the transfer files are (`--definitions`). */
  readonly definitions?: string;
  readonly component?: string;
}

/** systemd-sysupdate: the package is put where its transfer file looks for it, under its version's name. */
export function sysupdate(options: SysupdateOptions): InstallCommands & Pick<CommandInstallerOptions, "place"> {
  const { program = "/usr/lib/systemd/systemd-sysupdate", sourceDirectory, matchPattern } = options;
  const { definitions, component } = options;
  const where = [
    ...(definitions === undefined ? [] : [`--definitions=${definitions}`]),
    ...(component === undefined ? [] : [`--component=${component}`]),
  ];
  return {
    install: [program, ...where, "update", "{version}"],
    place: ({ version = "" }) => join(sourceDirectory, matchPattern.replace("@v", version)),
  };
}
