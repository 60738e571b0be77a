/** What the download and installation of a package, which is the core of object 5, means for its state in object 9. */
import type { FirmwareState, UpdateResult } from "@airlift/protocol/update/firmware-update";
import type { DownloadFailure, SoftwareNews, SoftwareState } from "@airlift/protocol/update/software-management";

/** Where a download stands. */
export interface DownloadStanding {
  readonly state: FirmwareState;
  readonly result: UpdateResult;
}

/**
 * The events that bring a package to where its download stands, in their order; none when it is there. Also after a
 * restart, when power went between the download's step and the package's.
 */
export function eventsOf(state: SoftwareState, download: DownloadStanding): (SoftwareNews | "writePackage")[] {
  switch (download.state) {
    case "downloading":
      return state === "initial" ? ["writePackage"] : [];
    case "downloaded":
      if (state === "initial") return ["writePackage", "received", "verified"];
      if (state === "downloadStarted") return ["received", "verified"];
      if (state === "downloaded") return ["verified"];
      return state === "installing" ? ["installFailed"] : [];
    case "updating":
      return [];
    case "idle":
      return whenIdle(state, download.result);
  }
}

function whenIdle(state: SoftwareState, result: UpdateResult): SoftwareNews[] {
  switch (state) {
    case "initial":
      return result === "unsupportedProtocol" ? ["invalidUri"] : [];
    case "downloadStarted":
    case "downloaded":
      return [FAILURE_OF_RESULT[result] ?? "forgotten"];
    case "delivered":
      return ["forgotten"];
    case "installing":
      // A package that is gone cannot be installed again.
      return result === "success" ? ["installDone"] : ["installFailed", "forgotten"];
    default:
      return [];
  }
}

const FAILURE_OF_RESULT: Readonly<Partial<Record<UpdateResult, DownloadFailure>>> = {
  noFlash: "noStorage",
  noMemory: "noMemory",
  connectionLost: "connectionLost",
  integrityFailed: "integrityFailed",
  unsupportedPackage: "unsupportedPackage",
  invalidUri: "invalidUri",
  unsupportedProtocol: "invalidUri",
  failed: "deviceError",
  deferred: "deviceError",
  conflictingState: "deviceError",
  dependencyError: "deviceError",
};
