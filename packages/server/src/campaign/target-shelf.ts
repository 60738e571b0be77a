/** The targets of one campaign in memory, found by device, by turn and by the time they are due. */
import { Deadlines } from "@airlift/protocol/lib/deadlines";
import type { DueQuery, PermitQuery } from "./store-ports.ts";
import { canMove, placeOf, type Target } from "./target.ts";

type Waiting = "pending" | "held";

export class TargetShelf {
  readonly #targets = new Map<string, Target>();
  /** Due already, by `key`; a sorted list is made of it when it is asked for. */
  readonly #ready = new Map<string, Set<string>>();
  /** Not due yet, by `key`. */
  readonly #later = new Map<string, Deadlines<string>>();
  /** The time at which it was last asked what is due, by `key`. */
  readonly #ripeAtMs = new Map<string, number>();
  /** Those that may apply. */
  readonly #permitted = new Set<string>();

  all(): IterableIterator<Target> {
    return this.#targets.values();
  }

  get(endpoint: string): Target | undefined {
    return this.#targets.get(endpoint);
  }

  put(target: Target): void {
    const { endpoint, notBeforeMs } = target;
    const before = this.#targets.get(endpoint);
    const from = before && phaseOf(before);
    if (before && from) {
      this.#readyOf(before.wave, from).delete(endpoint);
      this.#laterOf(before.wave, from).delete(endpoint);
    }
    this.#targets.set(endpoint, target);
    if (target.isApplyPermitted) this.#permitted.add(endpoint);
    else this.#permitted.delete(endpoint);
    const to = phaseOf(target);
    if (!to) return;
    if (notBeforeMs === null) this.#readyOf(target.wave, to).add(endpoint);
    else this.#laterOf(target.wave, to).set(endpoint, notBeforeMs);
  }

  /** In the order they became due, put in by turn at first: near enough to the order of a store. */
  due({ waves, phase, utcMs, limit }: DueQuery): Target[] {
    const found: Target[] = [];
    for (const wave of waves) {
      this.#ripen(wave, phase, utcMs);
      for (const endpoint of this.#readyOf(wave, phase)) {
        if (found.length === limit) return found;
        const target = this.#targets.get(endpoint);
        if (target) found.push(target);
      }
    }
    return found;
  }

  overpermitted({ openWaves, utcMs, limit }: PermitQuery): Target[] {
    return this.#permittedTargets()
      .filter(({ wave, notBeforeMs, order }) => {
        if (order?.kind === "cancel") return false;
        return !openWaves.includes(wave) || (notBeforeMs !== null && notBeforeMs <= utcMs);
      })
      .slice(0, limit);
  }

  nextDueAtMs(waves: readonly number[], utcMs: number): number | null {
    for (const wave of waves) {
      this.#ripen(wave, "pending", utcMs);
      this.#ripen(wave, "held", utcMs);
    }
    const times = waves
      .flatMap((wave) => [this.#laterOf(wave, "pending").earliestMs, this.#laterOf(wave, "held").earliestMs])
      .flatMap((atMs) => (atMs === undefined ? [] : [atMs]));
    for (const { wave, notBeforeMs } of this.#permittedTargets())
      if (waves.includes(wave) && notBeforeMs !== null && notBeforeMs > utcMs) times.push(notBeforeMs);
    return times.length === 0 ? null : times.reduce((a, b) => Math.min(a, b));
  }

  #permittedTargets(): Target[] {
    return [...this.#permitted].flatMap((endpoint) => this.#targets.get(endpoint) ?? []);
  }

  stoppable(limit: number): Target[] {
    const open = [...this.#targets.values()].filter((target) =>
      target.isUnderWay ? canMove(target, "stop") && target.order?.kind !== "cancel" : canMove(target, "end"),
    );
    return open.sort((a, b) => Number(b.isUnderWay) - Number(a.isUnderWay)).slice(0, limit);
  }

  retryable(after: string | null, limit: number): Target[] {
    return [...this.#targets.values()]
      .filter((one) => one.state !== "skipped" && canMove(one, "againByHand") && one.endpoint > (after ?? ""))
      .sort((a, b) => (a.endpoint < b.endpoint ? -1 : 1))
      .slice(0, limit);
  }

  /** What has become due by now is ready; what is due again only later, since the clock went back, is not. */
  #ripen(wave: number, phase: Waiting, utcMs: number): void {
    const ready = this.#readyOf(wave, phase);
    const later = this.#laterOf(wave, phase);
    const key = `${phase} ${wave}`;
    if (utcMs < (this.#ripeAtMs.get(key) ?? utcMs))
      for (const endpoint of ready) {
        const notBeforeMs = this.#targets.get(endpoint)?.notBeforeMs ?? null;
        if (notBeforeMs === null || notBeforeMs <= utcMs) continue;
        ready.delete(endpoint);
        later.set(endpoint, notBeforeMs);
      }
    this.#ripeAtMs.set(key, utcMs);
    for (let one = later.popDue(utcMs); one !== undefined; one = later.popDue(utcMs)) ready.add(one);
  }

  #readyOf(wave: number, phase: Waiting): Set<string> {
    const key = `${phase} ${wave}`;
    const set = this.#ready.get(key) ?? new Set();
    this.#ready.set(key, set);
    return set;
  }

  #laterOf(wave: number, phase: Waiting): Deadlines<string> {
    const key = `${phase} ${wave}`;
    const deadlines = this.#later.get(key) ?? new Deadlines<string>();
    this.#later.set(key, deadlines);
    return deadlines;
  }
}

function phaseOf(target: Target): Waiting | undefined {
  const { phase } = placeOf(target);
  return phase === "pending" || phase === "held" ? phase : undefined;
}
