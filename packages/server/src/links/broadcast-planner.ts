/** Turns updates of mesh devices that wait into broadcasts: one session for each gateway that is needed, ordered and on record at once. */
import type { Gateway, MeshPlan } from "@airlift/protocol/api/mesh";
import { UsageError } from "@airlift/protocol/lib/errors";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import type { PackedRelease } from "../mesh/packed-release.ts";
import { deviceFseqs } from "../mesh/session-order.ts";
import { type BroadcastNeed, planSessions, type SessionPlan } from "../mesh/session-plan.ts";
import type { MeshReport, MeshUpdate } from "../store/mesh-updates.ts";
import type { Stores } from "../store/ports.ts";
import type { AirtimeRooms } from "./airtime-rooms.ts";
import { meshPlan, needOf, openingsIn, planGateway } from "./broadcast-need.ts";
import { absenceOf, BroadcastObstacles } from "./broadcast-obstacles.ts";
import { type MadeSession, makeSession, newestOf, type Party } from "./broadcast-session.ts";
import { muteChange, troubleOf, waitChange } from "./broadcast-trouble.ts";
import type { MeshReleases } from "./mesh-releases.ts";

export interface PlannerOptions {
  readonly stores: Pick<Stores, "mesh" | "campaigns">;
  readonly releases: MeshReleases;
  readonly rooms: AirtimeRooms;
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
/** Of a gateway's budget, what has to be free for a broadcast to begin: its schedules have to be said before the time that they name. */
const START_SHARE = 0.25;

/** What is to begin. */
interface Planned {
  readonly plans: readonly SessionPlan[];
  readonly need: BroadcastNeed;
  readonly release: PackedRelease;
  /** That were planned with. */
  readonly gateways: readonly Gateway[];
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
    const waiting = (await mesh.updatesIn("queued", "waiting"))
      .filter(({ sessionId }) => sessionId === null)
      .concat(again);
    if (waiting.length === 0) return [];
    const reports: (readonly MeshReport[])[] = [];
    const parties = Map.groupBy(waiting, ({ campaignId, imageId, groupId }) => `${campaignId} ${imageId} ${groupId}`);
    const gathering = await this.#gathering(parties);
    for (const [key, updates] of parties) {
      if (gathering.has(key)) continue;
      const [{ imageId, groupId, campaignId }] = updates as [MeshUpdate];
      reports.push(await this.#planOrExplain({ updates, imageId, groupId, campaignId }));
    }
    return reports.flat();
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
    const { stores, releases, utcMs, leadMs } = this.#options;
    const devices = await stores.mesh.devices.getMany(endpoints);
    if (devices.length === 0) throw new UsageError("NO_MESH_DEVICES", "none of these devices is reached by radio");
    const release = await releases.ensure(imageId);
    const places = devices.map(({ cell, hasGroupKey }) => ({ cell, hasGroupKey }));
    const gateways = await stores.mesh.gateways.list();
    // What a band of an operator's own allows, its gateway says; until then nothing can be said of it, nor of it alone.
    const known = gateways.flatMap((gateway) => planGateway(gateway) ?? []);
    const fromMs = utcMs() + leadMs;
    const need = needOf(release, places, [{ fromMs, untilMs: fromMs + spanMs }]);
    try {
      return meshPlan(imageId, devices.length, planSessions(need, known));
    } catch (error) {
      if (!(error instanceof UsageError) || error.code !== "NO_GATEWAY") throw error;
      const cells = new Set(devices.map(({ cell }) => cell));
      const near = gateways.filter((one) => cells.has(null) || one.cells.some((cell) => cells.has(cell)));
      const why = near.flatMap((one) => (absenceOf(one) === undefined ? [] : [`${one.id} ${absenceOf(one)}`]));
      if (why.length === 0) throw error;
      const sentence = `${error.message}: ${why.slice(0, 3).join("; ")}`;
      throw new UsageError("NO_GATEWAY", sentence, error.facts, { cause: error });
    }
  }

  async #planOrExplain(party: Party): Promise<readonly MeshReport[]> {
    try {
      return await this.#plan(party);
    } catch (error) {
      const trouble = troubleOf(error);
      if (trouble !== undefined) return await this.#wait(party.updates, trouble);
      if (!(error instanceof UsageError)) throw error;
      // A gateway may come, and a window; what the law or the image forbids stays forbidden.
      if (error.code === "NO_GATEWAY" || error.code === "NO_OPENING")
        return await this.#wait(party.updates, error.message);
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

  async #wait(updates: readonly MeshUpdate[], why: string): Promise<readonly MeshReport[]> {
    const changes = updates.map((update) => waitChange(update, why));
    return await this.#options.stores.mesh.sessions.record({ changes });
  }

  /** Whoever could not be told alone what it needs to hear, or to install, is in no broadcast, and reads why at once. */
  async #withoutMute(updates: readonly MeshUpdate[]) {
    const { devices, sessions } = this.#options.stores.mesh;
    const endpoints = updates.map(({ endpoint }) => endpoint);
    const mute = await devices.muteAmong(endpoints, deviceFseqs({ mustJoin: true, isScheduledAlone: true }));
    const able = updates.filter(({ endpoint }) => !mute.has(endpoint));
    const changes = updates.flatMap((update) => {
      const muteness = mute.get(update.endpoint);
      return muteness === undefined ? [] : [muteChange(update, muteness)];
    });
    return { able, reports: changes.length === 0 ? [] : await sessions.record({ changes }) };
  }

  /** For those that can be reached now; the others wait, each for what is in its own way. */
  async #plan(party: Party): Promise<readonly MeshReport[]> {
    const { stores, releases, utcMs, leadMs, spanMs } = this.#options;
    const release = await releases.ensure(party.imageId);
    const obstacles = await BroadcastObstacles.read(stores, utcMs());
    const { able, reports: muteReports } = await this.#withoutMute(party.updates);
    const reports: (readonly MeshReport[])[] = [muteReports];
    const cells = new Set<string | null>();
    for (const [cell, updates] of Map.groupBy(able, (update) => update.cell)) {
      const why = obstacles.why(cell, party.groupId);
      if (why === undefined) cells.add(cell);
      else reports.push(await this.#wait(updates, why));
    }
    const reached = able.filter(({ cell }) => cells.has(cell));
    if (reached.length === 0) return reports.flat();
    const ready = obstacles.gateways.filter((gateway) => obstacles.of(gateway, party.groupId) === undefined);
    const fromMs = utcMs() + leadMs;
    const kept = party.campaignId === null ? undefined : await stores.campaigns.get(party.campaignId);
    const openings = openingsIn(kept?.policy, { fromMs, untilMs: fromMs + spanMs });
    const need = needOf(release, reached, openings);
    const plans = planSessions(
      need,
      ready.flatMap((gateway) => planGateway(gateway) ?? []),
    );
    reports.push(await this.#begin({ ...party, updates: reached }, { plans, need, release, gateways: ready }));
    return reports.flat();
  }

  /** Those of the plans whose gateways have room to begin; who is in none of them reads when there will be. */
  async #begin(party: Party, of: Planned) {
    const { stores, rooms, utcMs } = this.#options;
    const keys = await stores.mesh.keysOf(party.imageId, () => {
      throw new UsageError("RELEASE_KEYS", "the release's keys are gone", { imageId: party.imageId });
    });
    const gateways = new Map(of.gateways.map((gateway) => [gateway.id, gateway]));
    const left = new Map(party.updates.map((update) => [update.updateId, update]));
    const made: MadeSession[] = [];
    const held = new Map<string, MeshUpdate[]>();
    for (const plan of of.plans) {
      const own = [...left.values()].filter(({ cell }) => cell === null || plan.cells.includes(cell));
      for (const { updateId, cell } of own) if (cell !== null) left.delete(updateId);
      const wait = await rooms.waitFor(gateways.get(plan.gateway.id) as Gateway, startMs(of.need, plan));
      if (wait !== undefined) held.set(wait, own);
      else {
        const part = { plan, release: of.release, keys, updates: own };
        made.push(await makeSession(stores, party, { part, utcMs: utcMs() }));
      }
    }
    const changes = newestOf(made.flatMap((one) => one.changes));
    const reports = await stores.mesh.sessions.record({
      sessions: made.map(({ session }) => session),
      orders: made.flatMap(({ orders }) => orders),
      changes,
    });
    const taken = new Set(changes.map(({ updateId }) => updateId));
    const waits: (readonly MeshReport[])[] = [];
    for (const [why, updates] of held) {
      const others = updates.filter(({ updateId }) => !taken.has(updateId));
      waits.push(await this.#wait(others, why));
    }
    return [...reports, ...waits.flat()];
  }
}

/** Air for what is said before the first packet; a part of the budget, if that is less. */
function startMs({ commandBytes }: BroadcastNeed, { gateway: { rateBps, budgetMs } }: SessionPlan): number {
  const commandsMs = commandBytes.reduce((sum, bytes) => sum + airtimeMs(bytes, rateBps), 0);
  return Math.min(commandsMs, START_SHARE * budgetMs);
}
