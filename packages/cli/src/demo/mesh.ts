/** The mesh of the demo: one radio gateway, and receivers that hear it over multicast on this machine. */
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { CreatedGateway, Gateway, ManifestKey, MeshDevice } from "@airlift/protocol/api/mesh";
import { DEFAULT_SUB_BAND } from "@airlift/protocol/zmesh/regions";
import { type Client, postOf } from "../client.ts";
import { drawLabel } from "../device/mesh-label.ts";
import { FIRST_VERSION } from "./images.ts";
import type { Programs } from "./programs.ts";

export const GATEWAY_ID = "demo-gateway";
/** Receivers, each with a socket, slots and a memory of its own; so many of them share a process. */
export const RECEIVER_COUNT = 50;
const RECEIVERS_PER_PROGRAM = 25;
/** Of the frames that each receiver should hear. */
export const RECEIVER_LOSS = 0.05;
const CELL = "demo";

export const RECEIVERS: readonly string[] = Array.from(
  { length: RECEIVER_COUNT },
  (_, index) => `demo-mesh-${String(index + 1).padStart(2, "0")}`,
);

export interface MeshSetting {
  readonly programs: Programs;
  readonly folder: string;
  readonly client: Client;
  readonly httpUrl: string;
  readonly name: { readonly manufacturer: string; readonly model: string };
}

/** Starts all of it, taken in by the server; settles when the gateway is heard and all receivers listen. */
export async function startMesh(setting: MeshSetting): Promise<void> {
  const { folder, client } = setting;
  const link = `udp://239.195.8.10:${await freeUdpPort()}?${networkInterfaces()["lo"] ? "interface=lo&" : ""}hops=0`;
  const networkKeyFile = join(folder, "network.key");
  await writeFile(networkKeyFile, randomBytes(16).toString("hex"), { mode: 0o600 });
  await client.call("gateways", CreatedGateway, postOf({ id: GATEWAY_ID, cells: [CELL], loss: RECEIVER_LOSS }));
  await Promise.all([
    startGateway(setting, ["--link", link, "--network-key-file", networkKeyFile]),
    startReceivers(setting, ["--link", link, "--network-key-file", networkKeyFile]),
  ]);
}

async function startGateway({ programs, folder, client, httpUrl }: MeshSetting, radio: string[]): Promise<void> {
  const args = ["gateway", "--server", httpUrl, "--id", GATEWAY_ID, "--band", DEFAULT_SUB_BAND];
  const child = programs.start("gateway", [...args, "--data", join(folder, "gateway"), ...radio]);
  await programs.untilReady(child, "gateway", async () => {
    const known = await client.call(`gateways/${GATEWAY_ID}`, Gateway).catch(() => undefined);
    return known?.isOnline === true && known.state?.isClockTrusted === true;
  });
}

async function startReceivers(setting: MeshSetting, radio: string[]): Promise<void> {
  const { programs, folder, client, name } = setting;
  const trustFile = join(folder, "manifest.pub.pem");
  await writeFile(trustFile, (await client.call("mesh/manifest-key", ManifestKey)).publicKeyPem);
  const identity = ["--manufacturer", name.manufacturer, "--model", name.model, "--version", FIRST_VERSION];
  const manner = ["--loss", `${RECEIVER_LOSS}`, "--pull", "--trust", trustFile, "--news-spread", "1000"];
  const starting: Promise<void>[] = [];
  for (let at = 0; at < RECEIVER_COUNT; at += RECEIVERS_PER_PROGRAM) {
    const labels = RECEIVERS.slice(at, at + RECEIVERS_PER_PROGRAM).map((id) => drawLabel(id));
    for (const payload of labels)
      await client.call("mesh/devices", MeshDevice, postOf({ payload, ...name, version: FIRST_VERSION, cell: CELL }));
    const program = `mesh-${at / RECEIVERS_PER_PROGRAM + 1}`;
    const labelFile = join(folder, `${program}.labels`);
    await writeFile(labelFile, labels.join("\n"), { mode: 0o600 });
    const args = ["mesh", "fleet", "--labels", labelFile, "--slots", join(folder, program)];
    const child = programs.start(program, [...args, ...radio, ...identity, ...manner]);
    const isListening = async () => (await readFile(join(folder, `${program}.log`), "utf8")).includes("listen to");
    starting.push(programs.untilReady(child, program, isListening));
  }
  await Promise.all(starting);
}

async function freeUdpPort(): Promise<number> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}
