/** Whether a gateway's sub-band has room for what is to be sent, as its ledger said; else since when it has none and when it will. */
import type { Gateway, MeshSession } from "@airlift/protocol/api/mesh";
import { clockText, UTC } from "../campaign/schedule/wall-clock.ts";
import { type AirtimeLedger, hasRoom, roomAtMs } from "../mesh/airtime-room.ts";
import type { Stores } from "../store/ports.ts";

const MINUTE_MS = 60_000;
/** What is estimated moves a little with each report; nobody is told of less than this. */
const ROUND_MS = 5 * MINUTE_MS;
/** A broadcast that the law holds for less is on air. */
const SHORT_WAIT_MS = MINUTE_MS;
/** Share of its budget below which a ledger counts as used up. */
const SPENT_SHARE = 0.02;

export class AirtimeRooms {
  readonly #stores: Pick<Stores, "mesh">;
  readonly #utcMs: () => number;

  constructor(stores: Pick<Stores, "mesh">, utcMs: () => number) {
    this.#stores = stores;
    this.#utcMs = utcMs;
  }

  /** Airtime that a gateway may use now; without end when nothing is known of its sub-band. */
  freeMs(gateway: Gateway): number {
    const ledger = ledgerOf(gateway);
    if (ledger === undefined) return Number.POSITIVE_INFINITY;
    return ledger.doubtMs > 0 ? 0 : Math.max(0, ledger.budgetMs - ledger.usedMs);
  }

  /** Why a gateway cannot send so much now: "gateway gw-1 has used its 32.4 s of this hour in 868.0-868.6, next room at 14:20 UTC". */
  async waitFor(gateway: Gateway, neededMs: number): Promise<string | undefined> {
    const ledger = ledgerOf(gateway);
    if (ledger === undefined || hasRoom(ledger, neededMs)) return undefined;
    const nowMs = this.#utcMs();
    const { items } = await this.#stores.mesh.gateways.airtime(gateway.id, (2 * ledger.windowMs) / 3_600_000);
    const series = items.find(({ band }) => band === gateway.band)?.points ?? [];
    // What is on record of a minute may have been sent at its very end.
    const points = series.map(({ at, usedMs }) => ({ atMs: Math.min(nowMs, Date.parse(at) + MINUTE_MS), usedMs }));
    return spentText(gateway, ledger, { atMs: roomAtMs(ledger, points, { neededMs, nowMs }), nowMs });
  }

  /** The same of a broadcast that is under way, whose gateway knows when it goes on. */
  waitOf(gateway: Gateway, session: Pick<MeshSession, "id">): string | undefined {
    const ledger = ledgerOf(gateway);
    const atMs = gateway.state?.sessions.find(({ sessionId }) => sessionId === session.id)?.nextAtMs ?? 0;
    const nowMs = this.#utcMs();
    if (ledger === undefined || atMs - nowMs < SHORT_WAIT_MS) return undefined;
    return hasRoom(ledger, SPENT_SHARE * ledger.budgetMs) ? undefined : spentText(gateway, ledger, { atMs, nowMs });
  }
}

/** Rounded up, so that what two servers say of the same does not differ, and is not said anew with each report. */
export function aboutText(atMs: number, nowMs: number): string {
  const stepMs = atMs - nowMs < ROUND_MS ? MINUTE_MS : ROUND_MS;
  return clockText(Math.ceil(atMs / stepMs) * stepMs, UTC, nowMs);
}

const ledgerOf = ({ band, state }: Gateway): AirtimeLedger | undefined =>
  state?.ledgers.find((ledger) => ledger.band === band);

function spentText(
  { id, band }: Gateway,
  { budgetMs, windowMs, doubtMs }: AirtimeLedger,
  { atMs, nowMs }: { readonly atMs: number; readonly nowMs: number },
): string {
  const room = `next room at ${aboutText(atMs, nowMs)}`;
  if (doubtMs > 0) return `gateway ${id} has lost its duty ledger, and all of it counts as used in ${band}, ${room}`;
  const seconds = (ms: number) => (ms / 1000).toFixed(1).replace(/\.0$/, "");
  const window = windowMs === 3_600_000 ? "this hour" : `these ${seconds(windowMs)} s`;
  return `gateway ${id} has used its ${seconds(budgetMs)} s of ${window} in ${band}, ${room}`;
}
