/** Follows up broadcasts that are over: who lacks packets is asked to fetch them, put into another broadcast, or given up; and it is said why. */
import type { SessionOutcome } from "@airlift/protocol/api/gateway";
import type { MeshSession } from "@airlift/protocol/api/mesh";
import { stragglerStep } from "../mesh/straggler-step.ts";
import type { MeshWork } from "../store/mesh-sessions.ts";
import type { Straggler } from "../store/mesh-stragglers.ts";
import type { MeshChange, MeshReport } from "../store/mesh-updates.ts";
import type { Stores } from "../store/ports.ts";

export interface StragglerOptions {
  readonly stores: Pick<Stores, "mesh">;
  readonly utcMs: () => number;
  /** How long a device may be quiet before it is asked. */
  readonly quietMs: number;
}

/** After its last window a gateway has so long to tell how a broadcast ended; it may have been away for all of it. */
const TELL_PATIENCE_MS = 15 * 60_000;
/** Devices looked at in one turn. */
const LOOKS_AT_ONCE = 2_000;

export interface StragglersTurn {
  readonly reports: readonly MeshReport[];
  /** To be broadcast to once more. */
  readonly again: readonly Straggler[];
  /** To be asked alone, now. */
  readonly ask: readonly Straggler[];
}

export class BroadcastStragglers {
  readonly #options: StragglerOptions;

  constructor(options: StragglerOptions) {
    this.#options = options;
  }

  /** Ends what nobody will tell the end of, and sorts those that are left behind. */
  async turn(): Promise<StragglersTurn> {
    const { mesh } = this.#options.stores;
    const reports = [...(await this.#endUntold())];
    const stragglers = await mesh.stragglers(LOOKS_AT_ONCE);
    const of = Map.groupBy(stragglers, (one) => stragglerStep(one, this.#options.quietMs));
    const changes = [...(of.get("giveUp") ?? []).map(givenUp), ...(of.get("leave") ?? []).flatMap(leftFor)];
    if (changes.length > 0) reports.push(...(await mesh.sessions.record({ changes })));
    return { reports, again: of.get("broadcast") ?? [], ask: of.get("ask") ?? [] };
  }

  /** A gateway that was taken down tells nothing any more; one that is silent long after its last window is not waited for. */
  async #endUntold(): Promise<readonly MeshReport[]> {
    const { stores, utcMs } = this.#options;
    const { sessions, gateways } = stores.mesh;
    const open = await sessions.open();
    if (open.length === 0) return [];
    const there = new Set((await gateways.list()).map(({ id }) => id));
    const untold = open.flatMap((session): (readonly [MeshSession, SessionOutcome, string])[] => {
      if (!there.has(session.gatewayId)) return [[session, "failed", "its gateway was removed"]];
      const lastMs = session.windows.at(-1)?.untilMs ?? 0;
      if (lastMs + TELL_PATIENCE_MS >= utcMs()) return [];
      return [[session, "expired", "its gateway has not told how it ended"]];
    });
    if (untold.length === 0) return [];
    const work: MeshWork = {
      ended: untold.map(([{ id }, outcome, detail]) => ({ id, outcome, detail })),
      events: untold.map(([{ id, gatewayId }, outcome, detail]) => ({
        kind: "mesh.session" as const,
        sentence: `broadcast ${id} at ${gatewayId} is ${outcome}: ${detail}`,
        facts: { sessionId: id, gatewayId, outcome },
      })),
    };
    return await sessions.record(work);
  }
}

function givenUp({ updateId, broadcastCount, outcome, detail }: Straggler): MeshChange {
  const last = outcome === "finished" ? "" : `; the last one ${outcome}${detail === null ? "" : `: ${detail}`}`;
  const sentence = `failed: ${broadcastCount} broadcasts did not bring the whole image${last}`;
  return { updateId, state: "failed", failure: "connectionLost", sentence };
}

/** What is true of one that nothing is done for now: its broadcast is over. */
function leftFor({ updateId, state, wasHeard, sessionId, outcome, detail }: Straggler): MeshChange[] {
  if (state !== "waiting" || wasHeard) return [];
  const end = outcome === "finished" ? "has ended" : `${outcome}${detail === null ? "" : `: ${detail}`}`;
  const next =
    outcome === "finished"
      ? "nothing was heard of the device since, and it is asked alone if that stays so"
      : "another one follows";
  return [{ updateId, state, failure: null, sentence: `waiting: broadcast ${sessionId} ${end}; ${next}` }];
}
