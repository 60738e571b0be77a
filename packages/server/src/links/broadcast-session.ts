/** One gateway's part of a broadcast, as what goes on record: the session, the orders to its gateway, and what its updates say. */
import { randomBytes } from "node:crypto";
import type { SealedCommand } from "@airlift/protocol/api/gateway";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { PackedRelease } from "../mesh/packed-release.ts";
import {
  deviceFseqs,
  GROUP_FSEQS,
  type LoneDevice,
  MOST_COMMANDS,
  type SessionOrder,
  sessionOrder,
} from "../mesh/session-order.ts";
import type { SessionPlan } from "../mesh/session-plan.ts";
import type { NewOrder } from "../store/gateway-store.ts";
import type { NewSession } from "../store/mesh-sessions.ts";
import type { MeshChange, MeshUpdate } from "../store/mesh-updates.ts";
import type { Stores } from "../store/ports.ts";
import { wordOrder } from "./broadcast-words.ts";

/** Devices that are updated together: one image, one group, one campaign. */
export interface Party {
  readonly updates: readonly MeshUpdate[];
  readonly imageId: string;
  readonly groupId: string;
  readonly campaignId: string | null;
}

export interface SessionPart {
  readonly plan: SessionPlan;
  readonly release: PackedRelease;
  readonly keys: { readonly key: Uint8Array; readonly iv: Uint8Array };
  /** Those that this gateway broadcasts to. */
  readonly updates: readonly MeshUpdate[];
}

export interface MadeSession {
  readonly session: NewSession;
  readonly orders: readonly NewOrder[];
  readonly changes: readonly MeshChange[];
}

/** @param utcMs Now. */
export async function makeSession(
  { mesh }: Pick<Stores, "mesh">,
  { imageId, groupId, campaignId }: Party,
  { part, utcMs }: { readonly part: SessionPart; readonly utcMs: number },
): Promise<MadeSession> {
  const { plan, release, keys, updates } = part;
  const { gateway, cells } = plan;
  const id = randomBytes(8).toString("hex");
  const wanted = new Set(updates.map(({ endpoint }) => endpoint));
  const members = await mesh.devices.membersOf(groupId, gateway.cells);
  const isForGroup = members.every(({ endpoint }) => wanted.has(endpoint));
  // The group's numbers first: a device that joins now takes all frames from here on.
  const group = await mesh.devices.reserveGroup(groupId, GROUP_FSEQS);
  const devices = await loneDevices(mesh.devices, updates, isForGroup);
  const answersUntilMs = plan.windows.at(-1)?.untilMs ?? 0;
  const made = sessionOrder(
    { sessionId: id, plan, release, keys, group, isForGroup, devices, answersUntilMs },
    zmeshCrypto,
  );
  const at = new Date(made.updateAtMs).toISOString().slice(11, 19);
  const sentence = `waiting: broadcast ${id} by ${gateway.id} begins at ${at} UTC`;
  const session: NewSession = {
    id,
    campaignId,
    imageId,
    groupId,
    gatewayId: gateway.id,
    cells: [...cells],
    deviceCount: plan.deviceCount,
    windows: [...plan.windows],
    plannedAirtimeMs: plan.airtimeMs,
    updateAtMs: made.updateAtMs,
  };
  const changes = updates.map(({ updateId }) => ({
    updateId,
    state: "waiting" as const,
    failure: null,
    sentence,
    sessionId: id,
  }));
  return {
    session,
    orders: ordersOf(made, { plan, sessionId: id, place: group.place, nowMs: utcMs }),
    changes,
  };
}

async function loneDevices(
  devices: Stores["mesh"]["devices"],
  updates: readonly MeshUpdate[],
  isForGroup: boolean,
): Promise<LoneDevice[]> {
  const lone: LoneDevice[] = [];
  for (const mustJoin of [true, false]) {
    const needs = { mustJoin, isScheduledAlone: !isForGroup };
    const count = deviceFseqs(needs);
    const endpoints = updates.filter(({ hasGroupKey }) => hasGroupKey !== mustJoin).map(({ endpoint }) => endpoint);
    if (count === 0 || endpoints.length === 0) continue;
    for (const channel of (await devices.reserveDevices(endpoints, count)).values())
      lone.push({ ...channel, ...needs });
  }
  return lone;
}

/** A device of no known cell is in several sessions, and on record in one. */
export function newestOf(changes: readonly MeshChange[]): MeshChange[] {
  return [...new Map(changes.map((change) => [change.updateId, change])).values()];
}

function ordersOf(
  { order, commands }: SessionOrder,
  { plan, sessionId, place, nowMs }: { plan: SessionPlan; sessionId: string; place: string; nowMs: number },
): NewOrder[] {
  const { gateway, windows } = plan;
  const orders: NewOrder[] = [];
  for (let from = 0; from < commands.length; from += MOST_COMMANDS) {
    const part: SealedCommand[] = commands.slice(from, from + MOST_COMMANDS);
    const window = { fromMs: nowMs, untilMs: windows.at(-1)?.untilMs ?? nowMs };
    orders.push(wordOrder(gateway, { commandId: `${sessionId}-${from}`, commands: part, window }, sessionId));
  }
  // The key is put in when the order leaves: at rest it is sealed.
  const content = { order: { ...order, pollChannel: { ...order.pollChannel, key: "", iv: "" } }, channelPlace: place };
  orders.push({ gatewayId: gateway.id, content, sessionId });
  return orders;
}
