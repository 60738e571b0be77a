/** What is in the way of a broadcast: gateways that cannot send now, and broadcasts that go before it. */
import type { Gateway, MeshSession } from "@airlift/protocol/api/mesh";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import type { PackedRelease } from "../mesh/packed-release.ts";
import { expectedEndMs } from "../mesh/session-end.ts";
import type { OpenApply } from "../store/gateway-store.ts";
import type { Stores } from "../store/ports.ts";
import { aboutText } from "./airtime-rooms.ts";

/** Why a gateway takes no part now. */
export interface Obstacle {
  readonly why: string;
  /** It has to do with the devices' own group, wherever they are heard. */
  readonly isOwnGroup: boolean;
}

interface Facts {
  readonly gateways: readonly Gateway[];
  readonly open: readonly MeshSession[];
  readonly applies: readonly OpenApply[];
  readonly releases: ReadonlyMap<string, PackedRelease>;
  readonly nowMs: number;
}

/** As things stand at one instant. */
export class BroadcastObstacles {
  readonly gateways: readonly Gateway[];
  readonly #open: readonly MeshSession[];
  readonly #applies: readonly OpenApply[];
  readonly #releases: ReadonlyMap<string, PackedRelease>;
  readonly #nowMs: number;

  private constructor(facts: Facts) {
    this.gateways = facts.gateways;
    this.#open = facts.open;
    this.#applies = facts.applies;
    this.#releases = facts.releases;
    this.#nowMs = facts.nowMs;
  }

  static async read({ mesh }: Pick<Stores, "mesh">, nowMs: number): Promise<BroadcastObstacles> {
    const [gateways, open, applies] = [
      await mesh.gateways.list(),
      await mesh.sessions.open(),
      await mesh.gateways.openApplies(),
    ];
    const releases = new Map<string, PackedRelease>();
    for (const imageId of new Set(open.map((session) => session.imageId))) {
      const release = await mesh.releaseOf(imageId);
      if (release !== undefined) releases.set(imageId, release);
    }
    return new BroadcastObstacles({ gateways, open, applies, releases, nowMs });
  }

  /** Undefined when the gateway may begin a broadcast to this group. */
  of(gateway: Gateway, groupId: string): Obstacle | undefined {
    const absence = absenceOf(gateway);
    if (absence !== undefined) return { why: `${gateway.id} ${absence}`, isOwnGroup: false };
    // Numbers of a group's frames rise: polls of two broadcasts would overtake each other.
    const own = this.#open.find((one) => one.groupId === groupId && one.gatewayId === gateway.id);
    if (own !== undefined) return { why: this.#underWay(own), isOwnGroup: true };
    return this.#applyOf(gateway, groupId) ?? this.#neighbourOf(gateway);
  }

  /** Why devices of a cell wait (null = it is not known where they are); undefined when some gateway may begin. */
  why(cell: string | null, groupId: string): string | undefined {
    const near = this.gateways.filter(({ cells }) => cell === null || cells.includes(cell));
    const obstacles = near.flatMap((one) => this.of(one, groupId) ?? []);
    // Whoever may be anywhere is reached by all together: a broadcast to its group somewhere may be the one that it hears.
    const own = obstacles.find(({ isOwnGroup }) => isOwnGroup);
    if (obstacles.length < near.length && (cell !== null || own === undefined)) return undefined;
    if (own !== undefined) return own.why;
    const whys = obstacles.slice(0, 3).map(({ why }) => why);
    const missing = cell === null ? "there is no gateway" : `no gateway reaches ${cell}`;
    return whys.length === 0 ? missing : `no gateway reaches ${cell ?? "the device"}: ${whys.join("; ")}`;
  }

  /** "is under way until about 14:20 UTC" */
  #underWay(session: MeshSession): string {
    return `broadcast ${session.id} by ${session.gatewayId} to the same group is under way${this.#until(session)}`;
  }

  #until(session: MeshSession): string {
    const { windows, plannedAirtimeMs, progress } = session;
    const gateway = this.gateways.find(({ id }) => id === session.gatewayId);
    const release = this.#releases.get(session.imageId);
    if (gateway === undefined || release === undefined) return "";
    const packetMs = airtimeMs(release.image.content.payloadBytes, gateway.rateBps);
    const ledger = gateway.state?.ledgers.find(({ band }) => band === gateway.band);
    const usedAirtimeMs = progress?.airtimeMs ?? 0;
    const paceRatio = Math.max(1, release.gapMs / packetMs);
    const endMs = expectedEndMs({ windows, plannedAirtimeMs, usedAirtimeMs, paceRatio, ledger }, this.#nowMs);
    return endMs === undefined ? ", for longer than was planned" : `, until about ${aboutText(endMs, this.#nowMs)}`;
  }

  /** Whoever is scheduled now may have the image before a word to install that is for others: it must not hear it. */
  #applyOf(gateway: Gateway, groupId: string): Obstacle | undefined {
    const near = new Set(this.gateways.filter((other) => sharesCell(other, gateway)).map(({ id }) => id));
    const found = this.#applies.find(
      (one) => one.groupId === groupId && near.has(one.gatewayId) && one.untilMs > this.#nowMs,
    );
    if (found === undefined) return undefined;
    return { why: `${found.gatewayId} tells the group to install the image before`, isOwnGroup: true };
  }

  /** Turns are planned for one broadcast; the next one of a neighbour waits for its end. */
  #neighbourOf(gateway: Gateway): Obstacle | undefined {
    for (const session of this.#open) {
      const other = this.gateways.find(({ id }) => id === session.gatewayId);
      // One that is not heard may have lost its server or its power: its neighbours do not wait a day for it.
      if (other === undefined || other.id === gateway.id || !other.isOnline || !sharesCell(other, gateway)) continue;
      const why = `${gateway.id} shares a cell with ${other.id}, whose broadcast ${session.id} is under way${this.#until(session)}`;
      return { why, isOwnGroup: false };
    }
    return undefined;
  }
}

const sharesCell = (one: Gateway, other: Gateway): boolean => one.cells.some((cell) => other.cells.includes(cell));

/** Why no broadcast is planned for a gateway now; undefined when it is there. */
export function absenceOf({ isOnline, state, band }: Gateway): string | undefined {
  if (!isOnline || state === null) return "is not heard";
  if (!state.isClockTrusted) return "does not know the time";
  if (state.links.length > 0 && state.links.every(({ isUp }) => !isUp)) return "has no link to its radio";
  const own = state.ledgers.map((ledger) => ledger.band);
  return own.includes(band) ? undefined : `sends in ${own.join(", ") || "no sub-band"}, and is planned for ${band}`;
}
