/** Turns updates of mesh devices that wait into broadcasts: one session for each gateway that is needed, ordered and on record at once. */
import { randomBytes } from "node:crypto";
import type { AirWindow, SealedCommand } from "@airlift/protocol/api/gateway";
import type { Gateway, MeshPlan } from "@airlift/protocol/api/mesh";
import { UsageError } from "@airlift/protocol/lib/errors";
import { DEFAULT_RESERVE_SHARE } from "@airlift/protocol/zmesh/duty-ledger";
import { subBandNamed } from "@airlift/protocol/zmesh/regions";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { offsetAt } from "@airlift/runtime/zone-offset";
import { OpeningHours } from "../campaign/opening-hours.ts";
import { clockText } from "../campaign/schedule/wall-clock.ts";
import type { PackedRelease } from "../mesh/packed-release.ts";
import {
  deviceFseqs,
  GROUP_FSEQS,
  type LoneDevice,
  MOST_COMMANDS,
  type SessionOrder,
  sessionOrder,
} from "../mesh/session-order.ts";
import { type PlanGateway, planSessions, type SessionPlan } from "../mesh/session-plan.ts";
import type { NewOrder } from "../store/gateway-store.ts";
import type { NewSession } from "../store/mesh-sessions.ts";
import type { MeshReport, MeshUpdate } from "../store/mesh-updates.ts";
import type { Stores } from "../store/ports.ts";
import type { MeshReleases } from "./mesh-releases.ts";

export interface PlannerOptions {
  readonly stores: Pick<Stores, "mesh" | "campaigns">;
  readonly releases: MeshReleases;
  readonly utcMs: () => number;
  /** Between an order and its first frame: the gateway fetches what it is to send. */
  readonly leadMs: number;
  /** Longest time that a broadcast may take, waits for the law included. */
  readonly spanMs: number;
  /** Default `DEFAULT_MOST_GATHER_MS`. */
  readonly mostGatherMs?: number | undefined;
}

/** In the field: a campaign of ten thousand begins within a minute, and who cannot begin yet keeps nobody waiting for longer. */
export const DEFAULT_MOST_GATHER_MS = 60_000;

/** Octets of a sealed schedule, and of a sealed Join. */
const SCHEDULE_BYTES = 47;
const JOIN_BYTES = 41;

/** Openings of a campaign that one broadcast may use: a cron that strikes each minute has many in a day. */
const MOST_OPENINGS = 64;

/** Devices that are updated together: one image, one group, one campaign. */
interface Party {
  readonly updates: readonly MeshUpdate[];
  readonly imageId: string;
  readonly groupId: string;
  readonly campaignId: string | null;
}

export class BroadcastPlanner {
  readonly #options: PlannerOptions;
  /** Since when parties wait for those who are to begin with them; monotonic. */
  readonly #gatheringSince = new Map<string, number>();

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  /** Plans for all that wait, and for those who are to be broadcast to once more. @returns What their campaigns are to hear. */
  async planWaiting(again: readonly MeshUpdate[] = []): Promise<readonly MeshReport[]> {
    const { mesh } = this.#options.stores;
    const waiting = (await Promise.all([mesh.updatesIn("queued"), mesh.updatesIn("waiting")]))
      .flat()
      .filter(({ sessionId }) => sessionId === null)
      .concat(again);
    if (waiting.length === 0) return [];
    const busy = new Set((await mesh.sessions.open()).map(({ groupId }) => groupId));
    const reports: MeshReport[] = [];
    const parties = Map.groupBy(waiting, ({ campaignId, imageId, groupId }) => `${campaignId} ${imageId} ${groupId}`);
    const gathering = await this.#gathering(parties);
    for (const [key, updates] of parties) {
      if (gathering.has(key)) continue;
      const [{ imageId, groupId, campaignId }] = updates as [MeshUpdate];
      const party = { updates, imageId, groupId, campaignId };
      // Numbers of a group's frames rise: polls of two broadcasts would overtake each other.
      if (busy.has(groupId)) reports.push(...(await this.#wait(party, "another broadcast to the group is under way")));
      else reports.push(...(await this.#planOrExplain(party)));
      busy.add(groupId);
    }
    return reports;
  }

  /** Those whose campaign is still letting others begin: one broadcast for all takes the air once. */
  async #gathering(parties: ReadonlyMap<string, readonly MeshUpdate[]>): Promise<ReadonlySet<string>> {
    const { stores, mostGatherMs = DEFAULT_MOST_GATHER_MS } = this.#options;
    const campaigns = new Set([...parties.values()].flatMap(([first]) => first?.campaignId ?? []));
    const starting = await stores.mesh.startingAmong([...campaigns]);
    for (const key of this.#gatheringSince.keys()) if (!parties.has(key)) this.#gatheringSince.delete(key);
    const nowMs = performance.now();
    const gathering = new Set<string>();
    for (const [key, [first]] of parties) {
      if (!starting.has(first?.campaignId ?? "")) continue;
      const sinceMs = this.#gatheringSince.get(key) ?? nowMs;
      this.#gatheringSince.set(key, sinceMs);
      if (nowMs - sinceMs < mostGatherMs) gathering.add(key);
    }
    return gathering;
  }

  /** What it would take, without doing it. @throws {UsageError} NO_GATEWAY, AIRTIME_OVER_BUDGET, and as `MeshReleases.ensure`. */
  async preview(imageId: string, endpoints: readonly string[], spanMs: number): Promise<MeshPlan> {
    const { mesh } = this.#options.stores;
    const devices = await mesh.devices.getMany(endpoints);
    if (devices.length === 0) throw new UsageError("NO_MESH_DEVICES", "none of these devices is reached by radio");
    const release = await this.#options.releases.ensure(imageId);
    const places = devices.map(({ cell, hasGroupKey }) => ({ cell, hasGroupKey }));
    const all = await mesh.gateways.list();
    // What a band of an operator's own allows, its gateway says; until then nothing can be said of it, nor of it alone.
    const known = all.filter(({ band, state }) => state !== null || subBandNamed(band) !== undefined);
    const fromMs = this.#options.utcMs() + this.#options.leadMs;
    const need = needOf(release, places, [{ fromMs, untilMs: fromMs + spanMs }]);
    const plans = withObstacles({ devices, gateways: all, obstacle: obstacleOf }, () =>
      planSessions(need, known.map(planGateway)),
    );
    return {
      imageId,
      deviceCount: devices.length,
      airtimeMs: plans.reduce((sum, plan) => sum + plan.airtimeMs, 0),
      sessions: plans.map(({ gateway, windows, cells, ...plan }) => ({
        ...plan,
        cells: [...cells],
        gatewayId: gateway.id,
        band: gateway.band,
        budgetMs: gateway.budgetMs,
        usedMs: gateway.usedMs,
        windowMs: gateway.windowMs,
        windows: [...windows],
      })),
    };
  }

  async #planOrExplain(party: Party): Promise<readonly MeshReport[]> {
    try {
      return await this.#plan(party);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      // A gateway may come, and a window; what the law or the image forbids stays forbidden.
      if (error.code === "NO_GATEWAY" || error.code === "NO_OPENING") return await this.#wait(party, error.message);
      const sentence = `failed: ${error.message}`;
      const changes = party.updates.map(({ updateId }) => ({
        updateId,
        state: "failed" as const,
        failure: "rejected" as const,
        sentence,
      }));
      return await this.#options.stores.mesh.sessions.record({ changes });
    }
  }

  async #wait({ updates }: Party, why: string): Promise<readonly MeshReport[]> {
    // Who has a part of it from an earlier broadcast keeps it.
    const changes = updates.map(({ updateId, state }) => {
      const kept = state === "transferring" ? state : ("waiting" as const);
      return { updateId, state: kept, failure: null, sentence: `${kept}: ${why}` };
    });
    return await this.#options.stores.mesh.sessions.record({ changes });
  }

  async #plan(party: Party): Promise<readonly MeshReport[]> {
    const { stores, releases, utcMs, leadMs, spanMs } = this.#options;
    const release = await releases.ensure(party.imageId);
    const all = await stores.mesh.gateways.list();
    const sending = new Set((await stores.mesh.sessions.open()).map(({ gatewayId }) => gatewayId));
    // One that is not heard may have lost its server or its power: its neighbours do not wait a day for it.
    const onAir = all.filter(({ id, isOnline }) => isOnline && sending.has(id));
    const obstacle = (gateway: Gateway) => obstacleOf(gateway) ?? neighbourOf(gateway, onAir);
    const ready = all.filter((gateway) => obstacle(gateway) === undefined);
    const fromMs = utcMs() + leadMs;
    const openings = await this.#openings(party.campaignId, { fromMs, untilMs: fromMs + spanMs });
    const need = needOf(release, party.updates, openings);
    const plans = withObstacles({ devices: party.updates, gateways: all, obstacle }, () =>
      planSessions(need, ready.map(planGateway)),
    );
    const keys = await stores.mesh.keysOf(party.imageId, () => {
      throw new UsageError("RELEASE_KEYS", "the release's keys are gone", { imageId: party.imageId });
    });
    const left = new Map(party.updates.map((update) => [update.updateId, update]));
    const work: { sessions: NewSession[]; orders: NewOrder[]; changes: Change[] } = {
      sessions: [],
      orders: [],
      changes: [],
    };
    for (const plan of plans) {
      const own = [...left.values()].filter(({ cell }) => cell === null || plan.cells.includes(cell));
      for (const { updateId, cell } of own) if (cell !== null) left.delete(updateId);
      const session = await this.#session(party, { plan, release, keys, updates: own });
      work.sessions.push(session.session);
      work.orders.push(...session.orders);
      work.changes.push(...session.changes);
    }
    return await stores.mesh.sessions.record({ ...work, changes: newestOf(work.changes) });
  }

  /** When the campaign lets devices download, in its own time zone: a broadcast has one for all. @throws {UsageError} NO_OPENING */
  async #openings(campaignId: string | null, span: AirWindow): Promise<AirWindow[]> {
    const kept = campaignId === null ? undefined : await this.#options.stores.campaigns.get(campaignId);
    if (kept === undefined) return [span];
    const openings: AirWindow[] = [];
    let atMs = span.fromMs;
    while (atMs < span.untilMs && openings.length < MOST_OPENINGS) {
      const { opening, zone } = new OpeningHours(kept.policy, offsetAt, atMs).nextOfCampaign("download");
      if (opening === undefined || opening.fromMs >= span.untilMs) {
        if (openings.length > 0) break;
        const when =
          opening === undefined ? "never opens again" : `next opens ${clockText(opening.fromMs, zone, atMs)}`;
        throw new UsageError("NO_OPENING", `the campaign's download window ${when}`, { campaignId });
      }
      openings.push({ fromMs: opening.fromMs, untilMs: Math.min(span.untilMs, opening.toMs) });
      atMs = opening.toMs;
    }
    return openings;
  }

  /** One gateway's part. */
  async #session({ imageId, groupId, campaignId }: Party, part: SessionPart) {
    const { mesh } = this.#options.stores;
    const { plan, release, keys, updates } = part;
    const { gateway, cells } = plan;
    const id = randomBytes(8).toString("hex");
    const wanted = new Set(updates.map(({ endpoint }) => endpoint));
    const members = await mesh.devices.membersOf(groupId, gateway.cells);
    const isForGroup = members.every(({ endpoint }) => wanted.has(endpoint));
    // The group's numbers first: a device that joins now takes all frames from here on.
    const group = await mesh.devices.reserveGroup(groupId, GROUP_FSEQS);
    const devices = await this.#loneDevices(updates, isForGroup);
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
      orders: ordersOf(made, { plan, sessionId: id, place: group.place, nowMs: this.#options.utcMs() }),
      changes,
    };
  }

  async #loneDevices(updates: readonly MeshUpdate[], isForGroup: boolean): Promise<LoneDevice[]> {
    const { devices } = this.#options.stores.mesh;
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
}

interface SessionPart {
  readonly plan: SessionPlan;
  readonly release: PackedRelease;
  readonly keys: { readonly key: Uint8Array; readonly iv: Uint8Array };
  readonly updates: readonly MeshUpdate[];
}

interface Obstacles {
  readonly devices: readonly Pick<MeshUpdate, "cell">[];
  readonly gateways: readonly Gateway[];
  /** What is in a gateway's way, if anything. */
  obstacle(gateway: Gateway): string | undefined;
}

type Change = Parameters<Stores["mesh"]["sessions"]["record"]>[0]["changes"] extends readonly (infer One)[] | undefined
  ? One
  : never;

/** A device of no known cell is in several sessions, and on record in one. */
function newestOf(changes: readonly Change[]): Change[] {
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
    orders.push(commandOrder(gateway, { commandId: `${sessionId}-${from}`, commands: part, window }, sessionId));
  }
  // The key is put in when the order leaves: at rest it is sealed.
  const content = { order: { ...order, pollChannel: { ...order.pollChannel, key: "", iv: "" } }, channelPlace: place };
  orders.push({ gatewayId: gateway.id, content, sessionId });
  return orders;
}

/** An order to send commands. */
export function commandOrder(
  gateway: Pick<Gateway, "id" | "band" | "rateBps">,
  what: { commandId: string; commands: SealedCommand[]; window: { fromMs: number; untilMs: number } },
  sessionId: string | null,
): NewOrder {
  const { id, band, rateBps } = gateway;
  return {
    gatewayId: id,
    content: { order: { kind: "command", band, rateBps, ttl: 0, ...what }, channelPlace: null },
    sessionId,
  };
}

/** Why no broadcast is planned for a gateway now; undefined when nothing is in the way. */
function obstacleOf({ isOnline, state, band }: Gateway): string | undefined {
  if (!isOnline || state === null) return "is not heard";
  if (!state.isClockTrusted) return "does not know the time";
  const own = state.ledgers.map((ledger) => ledger.band);
  return own.includes(band) ? undefined : `sends in ${own.join(", ")}, and is planned for ${band}`;
}

/** Turns are planned for one broadcast; the next one of a neighbour waits for its end. */
function neighbourOf({ id, cells }: Gateway, onAir: readonly Gateway[]): string | undefined {
  const neighbour = onAir.find((other) => other.id !== id && other.cells.some((cell) => cells.includes(cell)));
  return neighbour && `shares a cell with ${neighbour.id}, whose broadcast is under way`;
}

/** What `plan` returns; where no gateway reaches the devices, it is said what is in the way of those that would. */
function withObstacles<Plan>({ devices, gateways, obstacle }: Obstacles, plan: () => Plan): Plan {
  try {
    return plan();
  } catch (error) {
    if (!(error instanceof UsageError) || error.code !== "NO_GATEWAY") throw error;
    const cells = new Set(devices.map(({ cell }) => cell));
    const near = gateways.filter((one) => cells.has(null) || one.cells.some((cell) => cells.has(cell)));
    const why = near.flatMap((one) => (obstacle(one) === undefined ? [] : [`${one.id} ${obstacle(one)}`]));
    if (why.length === 0) throw error;
    throw new UsageError("NO_GATEWAY", `${error.message}: ${why.slice(0, 3).join("; ")}`, error.facts, {
      cause: error,
    });
  }
}

/** Half an hour of grace is no use to the law: what is not known is taken from the band's own limit. */
function planGateway({ id, cells, band, rateBps, loss, state }: Gateway): PlanGateway {
  const ledger = state?.ledgers.find((one) => one.band === band);
  const limit = subBandNamed(band)?.limit;
  if (ledger === undefined && limit === undefined)
    throw new UsageError("SUB_BAND", `nothing is known of the sub-band ${band} of the gateway ${id}`, { id, band });
  return {
    id,
    cells,
    band,
    rateBps,
    loss,
    budgetMs: ledger?.budgetMs ?? (limit?.budgetMs ?? 0) * (1 - DEFAULT_RESERVE_SHARE),
    usedMs: ledger?.usedMs ?? 0,
    windowMs: ledger?.windowMs ?? limit?.windowMs ?? 0,
  };
}

function needOf(
  { image, manifest, gapMs }: PackedRelease,
  places: readonly Pick<MeshUpdate, "cell" | "hasGroupKey">[],
  openings: readonly AirWindow[],
) {
  const devices = new Map<string | null, number>();
  for (const { cell } of places) devices.set(cell, (devices.get(cell) ?? 0) + 1);
  const joins = places.filter(({ hasGroupKey }) => !hasGroupKey).length;
  const commandBytes = [...Array(10).fill(SCHEDULE_BYTES), ...Array(3 * joins).fill(JOIN_BYTES)];
  return { contents: [manifest.content, image.content], devices, commandBytes, gapMs, openings };
}
