/** A mesh at the edge of a journey's server: the key of its manifests, labels, a multicast group for its air, and a gateway. */
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { postOf } from "@airlift/cli/client";
import { CreatedGateway, Gateway, ManifestKey, MeshDevice, type NewGateway } from "@airlift/protocol/api/mesh";
import { type Stage, until } from "./stage.ts";

/** Drawn for this run: a stranger's frames are refused. */
export const NETWORK_KEY = randomBytes(16).toString("hex");

/** Who is on this machine hears it, and nobody else. @param group "239.195.8.20", one for each test file. */
export const airOf = (group: string): string =>
  `udp://${group}:${20_000 + (process.pid % 20_000)}?${networkInterfaces()["lo"] ? "interface=lo&" : ""}hops=0`;

/** A file with the key that devices trust. */
export async function manifestKeyFile(stage: Stage): Promise<string> {
  const { publicKeyPem } = await stage.client.call("mesh/manifest-key", ManifestKey);
  return stage.file("manifest.pub.pem", Buffer.from(publicKeyPem));
}

/** The server takes a virtual device of the cell north in. */
export async function takeIn(stage: Stage, payload: string): Promise<void> {
  const about = { manufacturer: "Airlift", model: "virtual", version: "1.0.0", cell: "north" };
  await stage.client.call("mesh/devices", MeshDevice, postOf({ payload, ...about }));
}

export interface EdgeGateway {
  /** Starts it, and once more after its end. */
  start(): ChildProcess;
  /** Resolves when the server hears it, it knows the time, and its links are up. */
  isThere(minutes?: number): Promise<void>;
}

/** A gateway that the server knows; its folder is `gateway` in the stage's. */
export async function addGateway(
  stage: Stage,
  asked: NewGateway,
  options: { readonly links: readonly string[]; readonly args: readonly string[] },
): Promise<EdgeGateway> {
  const { id } = asked;
  const { token } = await stage.client.call("gateways", CreatedGateway, postOf(asked));
  const args = ["gateway", "--server", stage.url, "--token", token, "--id", id, "--link", ...options.links];
  args.push("--network-key", NETWORK_KEY, "--data", join(stage.folder, "gateway"), ...options.args);
  return {
    start: () => stage.programs.start("gateway", args),
    isThere: (minutes) =>
      until(
        "the gateway is there",
        async () => {
          const { isOnline, state } = await stage.client.call(`gateways/${id}`, Gateway);
          return isOnline && state?.isClockTrusted === true && state.links.every(({ isUp }) => isUp);
        },
        minutes,
      ),
  };
}
