/**
 * The LwM2M Software Management object's state machine, one for each package.
 *
 * Source: OMA object 9 versions 1.0 and 1.1, resources 4 Install, 6 Uninstall, 7 Update State, 9 Update Result,
 * 10 Activate, 11 Deactivate, 12 Activation State. The installation and the activation machine of the specification are
 * one table here: a package can only be active when it is installed.
 */
import type { Arrow, Table } from "../machine/table.ts";

/** `…ing` as long as the device works on it; what the server sees is in `SOFTWARE_STATE_ON_WIRE`. */
export type SoftwareState =
  | "initial"
  | "downloadStarted"
  | "downloaded"
  | "delivered"
  | "installing"
  | "installed"
  | "activating"
  | "active"
  | "deactivating"
  | "uninstalling";

/** Value of /9/x/7 for each state. */
export const SOFTWARE_STATE_ON_WIRE: Readonly<Record<SoftwareState, number>> = {
  initial: 0,
  downloadStarted: 1,
  downloaded: 2,
  delivered: 3,
  installing: 3,
  installed: 4,
  activating: 4,
  active: 4,
  deactivating: 4,
  uninstalling: 4,
};

/** Whether /9/x/12 is true. */
export function isActive(state: SoftwareState): boolean {
  return state === "active" || state === "deactivating";
}

/** Value of /9/x/9 for each outcome. */
export const SOFTWARE_RESULT_ON_WIRE = {
  initial: 0,
  downloading: 1,
  installed: 2,
  verified: 3,
  noStorage: 50,
  noMemory: 51,
  connectionLost: 52,
  integrityFailed: 53,
  unsupportedPackage: 54,
  invalidUri: 56,
  deviceError: 57,
  installFailed: 58,
  uninstallFailed: 59,
} as const;

export type SoftwareResult = keyof typeof SOFTWARE_RESULT_ON_WIRE;

/** What ends a download. */
export type DownloadFailure =
  | "noStorage"
  | "noMemory"
  | "connectionLost"
  | "integrityFailed"
  | "unsupportedPackage"
  | "invalidUri"
  | "deviceError";

/** Asked for by the server; `prepare` is Uninstall with argument 1, for an upgrade. Without an arrow: 4.05. */
export type SoftwareRequest = "writePackage" | "install" | "uninstall" | "prepare" | "activate" | "deactivate";

/** Happens inside the device. Where the table has no arrow, our own code is wrong. */
export type SoftwareNews =
  | DownloadFailure
  | "received"
  | "verified"
  | "forgotten"
  | "installDone"
  | "installFailed"
  | "uninstallDone"
  | "uninstallFailed"
  | "activationDone"
  | "activationFailed"
  | "deactivationDone"
  | "deactivationFailed";

export type SoftwareEvent = SoftwareRequest | SoftwareNews;

/** The handler that is to be called; `forget` discards what was downloaded. */
export type SoftwareAction = "install" | "uninstall" | "prepare" | "activate" | "deactivate" | "forget";

type SoftwareArrow = Arrow<SoftwareState, SoftwareAction, SoftwareResult | "unchanged">;

const to = (
  state: SoftwareState,
  result: SoftwareResult | "unchanged",
  ...actions: SoftwareAction[]
): SoftwareArrow => ({ to: state, actions, extra: result });

const fail: Readonly<Record<DownloadFailure, SoftwareArrow>> = {
  noStorage: to("initial", "noStorage"),
  noMemory: to("initial", "noMemory"),
  connectionLost: to("initial", "connectionLost"),
  integrityFailed: to("initial", "integrityFailed"),
  unsupportedPackage: to("initial", "unsupportedPackage"),
  invalidUri: to("initial", "invalidUri"),
  deviceError: to("initial", "deviceError"),
};

const leave = { uninstall: to("uninstalling", "unchanged", "uninstall"), prepare: to("initial", "initial", "prepare") };

/** `extra` is the Update Result that holds in the state an arrow leads to. */
export const SOFTWARE_MANAGEMENT: Table<SoftwareState, SoftwareEvent, SoftwareAction, SoftwareResult | "unchanged"> = {
  initial: { writePackage: to("downloadStarted", "downloading"), invalidUri: to("initial", "invalidUri") },
  downloadStarted: {
    received: to("downloaded", "downloading"),
    forgotten: to("initial", "initial"),
    uninstall: to("initial", "initial", "forget"),
    ...fail,
  },
  downloaded: { verified: to("delivered", "verified"), forgotten: to("initial", "initial"), ...fail },
  delivered: {
    install: to("installing", "unchanged", "install"),
    uninstall: to("initial", "initial", "forget"),
    forgotten: to("initial", "initial"),
  },
  installing: { installDone: to("installed", "installed"), installFailed: to("delivered", "installFailed") },
  installed: {
    activate: to("activating", "unchanged", "activate"),
    deactivate: to("installed", "unchanged"),
    ...leave,
  },
  activating: { activationDone: to("active", "unchanged"), activationFailed: to("installed", "unchanged") },
  active: {
    activate: to("active", "unchanged"),
    deactivate: to("deactivating", "unchanged", "deactivate"),
    ...leave,
  },
  deactivating: { deactivationDone: to("installed", "unchanged"), deactivationFailed: to("active", "unchanged") },
  uninstalling: { uninstallDone: to("initial", "initial"), uninstallFailed: to("installed", "uninstallFailed") },
};

/**
 * Where a package stands when its device starts again: what was under way has failed. Of a download the store of the
 * package knows more.
 */
export function restarted(
  state: SoftwareState,
  result: SoftwareResult,
): { state: SoftwareState; result: SoftwareResult } {
  switch (state) {
    case "downloaded":
      return { state: "downloadStarted", result: "downloading" };
    case "activating":
      return { state: "installed", result };
    case "deactivating":
      return { state: "active", result };
    case "uninstalling":
      return { state: "installed", result: "uninstallFailed" };
    default:
      return { state, result };
  }
}
