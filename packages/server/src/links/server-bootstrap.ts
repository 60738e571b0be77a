/** The bootstrap door of a server that bootstraps devices to itself. */
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { Logger } from "pino";
import type { BootstrapCredentials } from "../fleet/bootstrap.ts";
import { BootstrapDoor } from "./bootstrap-door.ts";
import type { FleetRecord } from "./fleet-record.ts";
import type { PackageUris } from "./package-uri.ts";

interface BootstrapParts {
  readonly uris: PackageUris;
  readonly record: FleetRecord;
  readonly log: Logger;
}

export function bootstrapDoor(credentials: BootstrapCredentials, { uris, record, log }: BootstrapParts): BootstrapDoor {
  return new BootstrapDoor({
    credentials,
    log,
    serverUri: async (from) => {
      const uri = await uris.serverUriFor(from);
      if (uri === undefined) throw new EnvironmentError("NO_DOOR", "this server has no secured door");
      return uri;
    },
    onNews: ({ outcome, endpoint, address, sentence }) => {
      if (outcome !== "refused")
        record.append({ kind: "device.bootstrapped", endpoint, sentence, facts: { address, outcome } });
    },
  });
}
