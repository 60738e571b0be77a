/**
 * How a device keeps itself registered with its server: registers, refreshes before the lifetime ends, tries again with
 * growing pauses, and says goodbye.
 *
 * @see LwM2M Core 1.2 §6.2
 */
import type { Core, Random } from "@airlift/protocol/lib/core";
import { BugError } from "@airlift/protocol/lib/errors";
import type { Arrow, Table } from "@airlift/protocol/machine/table";

export type RegistrationState = "closed" | "registering" | "registered" | "refreshing" | "waiting" | "deregistering";

/**
 * `unknown`: the server does not know the registration that was to be refreshed (4.04). `due`: the time for the next
 * refresh or the next try has come. `changed`: something that was registered is different now. `offline`: there is no
 * traffic from now on, not even a goodbye. `lost`: the connection that the registration belongs to has ended.
 */
export type RegistrationEvent =
  | "open"
  | "accepted"
  | "failed"
  | "unknown"
  | "due"
  | "changed"
  | "close"
  | "offline"
  | "lost";

export type RegistrationAction = "register" | "refresh" | "deregister" | "tellRegistered" | "pause";

const to = (
  state: RegistrationState,
  ...actions: RegistrationAction[]
): Arrow<RegistrationState, RegistrationAction, undefined> => ({ to: state, actions, extra: undefined });

/** An event without an arrow comes too late and changes nothing. */
export const REGISTRATION: Table<RegistrationState, RegistrationEvent, RegistrationAction, undefined> = {
  closed: { open: to("registering", "register") },
  registering: {
    accepted: to("registered", "tellRegistered"),
    unknown: to("waiting", "pause"),
    failed: to("waiting", "pause"),
    close: to("closed"),
    offline: to("closed"),
  },
  registered: {
    due: to("refreshing", "refresh"),
    changed: to("refreshing", "refresh"),
    lost: to("waiting", "pause"),
    close: to("deregistering", "deregister"),
    offline: to("closed"),
  },
  refreshing: {
    accepted: to("registered"),
    unknown: to("registering", "register"),
    failed: to("waiting", "pause"),
    lost: to("waiting", "pause"),
    close: to("deregistering", "deregister"),
    offline: to("closed"),
  },
  waiting: {
    due: to("registering", "register"),
    changed: to("registering", "register"),
    close: to("closed"),
    offline: to("closed"),
  },
  deregistering: { accepted: to("closed"), failed: to("closed"), unknown: to("closed"), offline: to("closed") },
};

/** How often a registration that failed is tried again. */
export interface RetryPolicy {
  /** Before the second try; doubled with every further one. */
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  /**
   * So many tries make a sequence, which is followed by a longer rest; after so many sequences the server counts as
   * unreachable, and is tried on. Absent: it never does.
   */
  readonly limit?: { readonly tries: number; readonly sequences: number; readonly restMs: number };
}

/** After an outage a fleet comes back within five minutes, spread evenly over half of that. */
export const DEFAULT_REGISTRATION_RETRY: RetryPolicy = { firstDelayMs: 2_000, longestDelayMs: 300_000 };

export type RegistrationInput =
  | { readonly kind: "open" | "close" | "offline" | "lost" }
  /** The lifetime may be changed with it. */
  | { readonly kind: "changed"; readonly lifetimeS?: number }
  /** `attempt` is the one of the output that is answered. `location`: of a Register, the path of the registration. */
  | { readonly kind: "accepted"; readonly attempt: number; readonly location?: readonly string[] }
  | { readonly kind: "failed"; readonly attempt: number; readonly isUnknown: boolean; readonly retryAfterMs?: number }
  | { readonly kind: "wake" };

export type RegistrationOutput =
  | { readonly kind: "register"; readonly attempt: number; readonly lifetimeS: number }
  /** `lifetimeS` is there when the server does not know it yet. */
  | {
      readonly kind: "refresh";
      readonly attempt: number;
      readonly location: readonly string[];
      readonly lifetimeS: number | undefined;
    }
  | { readonly kind: "deregister"; readonly attempt: number; readonly location: readonly string[] }
  /** A new registration stands: the server has forgotten all observations of an older one. */
  | { readonly kind: "registered"; readonly location: readonly string[] }
  | { readonly kind: "retry"; readonly afterMs: number }
  /** All tries of the policy have failed; comes after the `retry` that follows them. */
  | { readonly kind: "unreachable" }
  | { readonly kind: "closed" };

export interface RegistrationOptions {
  /** Seconds, at least 1. */
  readonly lifetimeS: number;
  readonly retry?: RetryPolicy;
  readonly random: Random;
}

const SHORTEST_MARGIN_S = 120;

/** From a registration to its refresh: two minutes or a tenth before it ends, but not before half of it is over. */
export function refreshAfterMs(lifetimeS: number): number {
  const marginS = Math.min(lifetimeS / 2, Math.max(SHORTEST_MARGIN_S, lifetimeS / 10));
  return Math.round((lifetimeS - marginS) * 1000);
}

export class RegistrationSession implements Core<RegistrationInput, RegistrationOutput> {
  readonly #retry: RetryPolicy;
  readonly #random: Random;
  #state: RegistrationState = "closed";
  #lifetimeS: number;
  /** The lifetime that the server was told last. */
  #toldLifetimeS = 0;
  #location: readonly string[] = [];
  #attempt = 0;
  #failures = 0;
  #retryAfterMs = 0;
  #changedMeanwhile = false;
  #dueAtMs: number | undefined;

  constructor({ lifetimeS, retry = DEFAULT_REGISTRATION_RETRY, random }: RegistrationOptions) {
    this.#lifetimeS = lifetimeS;
    this.#retry = retry;
    this.#random = random;
  }

  get state(): RegistrationState {
    return this.#state;
  }

  get lifetimeS(): number {
    return this.#lifetimeS;
  }

  get wakeAtMs(): number | undefined {
    return this.#dueAtMs;
  }

  step(input: RegistrationInput, nowMs: number): RegistrationOutput[] {
    switch (input.kind) {
      case "open":
      case "close":
      case "offline":
      case "lost":
        return this.#take(input.kind, nowMs);
      case "changed":
        this.#lifetimeS = input.lifetimeS ?? this.#lifetimeS;
        this.#changedMeanwhile = this.#state === "registering" || this.#state === "refreshing";
        return this.#take("changed", nowMs);
      case "accepted":
        return input.attempt === this.#attempt ? this.#accepted(input.location, nowMs) : [];
      case "failed":
        if (input.attempt !== this.#attempt) return [];
        this.#retryAfterMs = input.retryAfterMs ?? 0;
        return this.#take(input.isUnknown ? "unknown" : "failed", nowMs);
      case "wake":
        return this.#dueAtMs !== undefined && this.#dueAtMs <= nowMs ? this.#take("due", nowMs) : [];
    }
  }

  #accepted(location: readonly string[] | undefined, nowMs: number): RegistrationOutput[] {
    if (this.#state === "registering") this.#location = location ?? [];
    this.#failures = 0;
    const outputs = this.#take("accepted", nowMs);
    if (this.#state !== "registered") return outputs;
    this.#dueAtMs = nowMs + refreshAfterMs(this.#toldLifetimeS);
    if (!this.#changedMeanwhile) return outputs;
    this.#changedMeanwhile = false;
    return [...outputs, ...this.#take("changed", nowMs)];
  }

  #take(event: RegistrationEvent, nowMs: number): RegistrationOutput[] {
    const arrow = REGISTRATION[this.#state][event];
    if (!arrow) return [];
    this.#state = arrow.to;
    this.#dueAtMs = undefined;
    const outputs = arrow.actions.flatMap((action) => this.#act(action, nowMs));
    return arrow.to === "closed" ? [...outputs, { kind: "closed" }] : outputs;
  }

  #act(action: RegistrationAction, nowMs: number): RegistrationOutput | RegistrationOutput[] {
    this.#attempt += 1;
    const attempt = this.#attempt;
    switch (action) {
      case "register":
        this.#changedMeanwhile = false;
        this.#toldLifetimeS = this.#lifetimeS;
        return { kind: "register", attempt, lifetimeS: this.#lifetimeS };
      case "refresh": {
        const isTold = this.#toldLifetimeS === this.#lifetimeS;
        this.#toldLifetimeS = this.#lifetimeS;
        const lifetimeS = isTold ? undefined : this.#lifetimeS;
        return { kind: "refresh", attempt, location: this.#location, lifetimeS };
      }
      case "deregister":
        return { kind: "deregister", attempt, location: this.#location };
      case "tellRegistered":
        return { kind: "registered", location: this.#location };
      case "pause":
        return this.#pause(nowMs);
      default:
        throw new BugError("REGISTRATION_ACTION", `unknown action ${String(action)}`);
    }
  }

  /** Between half and all of the delay, so that a fleet that lost its server does not come back as one. */
  #pause(nowMs: number): RegistrationOutput[] {
    const { firstDelayMs, longestDelayMs, limit } = this.#retry;
    const place = limit ? this.#failures % limit.tries : this.#failures;
    this.#failures += 1;
    const isRest = limit !== undefined && place + 1 === limit.tries;
    const delayMs = isRest ? limit.restMs : Math.min(longestDelayMs, firstDelayMs * 2 ** place);
    const afterMs = Math.max(this.#retryAfterMs, delayMs * (0.5 + this.#random() / 2));
    this.#dueAtMs = nowMs + afterMs;
    const isOver = isRest && this.#failures % (limit.tries * limit.sequences) === 0;
    return isOver ? [{ kind: "retry", afterMs }, { kind: "unreachable" }] : [{ kind: "retry", afterMs }];
  }
}
