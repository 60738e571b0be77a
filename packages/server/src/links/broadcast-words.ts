/** Orders to say something to single devices or to a group, besides a broadcast. */
import { randomBytes } from "node:crypto";
import type { AirWindow, SealedCommand } from "@airlift/protocol/api/gateway";
import type { Gateway } from "@airlift/protocol/api/mesh";
import { fromHex } from "@airlift/protocol/lib/bytes";
import type { DeviceCommand } from "@airlift/protocol/zmesh/command";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { PackedRelease } from "../mesh/packed-release.ts";
import { commandFor, MOST_COMMANDS } from "../mesh/session-order.ts";
import type { NewOrder } from "../store/gateway-store.ts";
import type { Stores } from "../store/ports.ts";

/** One command to each of these, under its own key. */
export async function wordsToDevices(
  { mesh }: Pick<Stores, "mesh">,
  endpoints: readonly string[],
  command: DeviceCommand,
): Promise<SealedCommand[]> {
  const channels = await mesh.devices.reserveDevices(endpoints, 1);
  return [...channels.values()].map((to) => commandFor(to, command, { isGroup: false, crypto: zmeshCrypto }));
}

/** One command to all of a group. */
export async function wordToGroup(
  { mesh }: Pick<Stores, "mesh">,
  groupId: string,
  command: DeviceCommand,
): Promise<SealedCommand> {
  const group = await mesh.devices.reserveGroup(groupId, 1);
  return commandFor(group, command, { isGroup: true, crypto: zmeshCrypto });
}

/** Orders for these, as many as it takes. */
export function wordOrders(
  gateway: Pick<Gateway, "id" | "band" | "rateBps">,
  commands: readonly SealedCommand[],
  window: AirWindow,
): NewOrder[] {
  const orders: NewOrder[] = [];
  for (let at = 0; at < commands.length; at += MOST_COMMANDS) {
    const commandId = randomBytes(8).toString("hex");
    orders.push(wordOrder(gateway, { commandId, commands: commands.slice(at, at + MOST_COMMANDS), window }, null));
  }
  return orders;
}

/** One order to send commands, at most `MOST_COMMANDS` of them. */
export function wordOrder(
  gateway: Pick<Gateway, "id" | "band" | "rateBps">,
  what: { commandId: string; commands: SealedCommand[]; window: AirWindow },
  sessionId: string | null,
): NewOrder {
  const { id, band, rateBps } = gateway;
  return {
    gatewayId: id,
    content: { order: { kind: "command", band, rateBps, ttl: 0, ...what }, channelPlace: null },
    sessionId,
  };
}

/** The name of a release's image on air. */
export const imageNameOf = ({ image }: PackedRelease): Uint8Array => fromHex(image.content.name) as Uint8Array;

/** Of the gateways that are heard, one that reaches a device: the one that heard it last, if it may. */
export function gatewayFor(
  gateways: readonly Gateway[],
  { cell, gatewayId }: { readonly cell: string | null; readonly gatewayId: string | null },
): Gateway | undefined {
  const near = gateways.filter(
    ({ id, isOnline, cells }) => isOnline && (cell === null ? id === (gatewayId ?? id) : cells.includes(cell)),
  );
  return near.find(({ id }) => id === gatewayId) ?? near[0];
}
