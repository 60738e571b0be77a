/**
 * When a device asks to be bootstrapped, and what becomes of what it was given (LwM2M Core 1.2 §6.1).
 *
 * A new configuration is on trial until a server has accepted a registration with it; the former is kept until then, and
 * taken up again when bootstrapping or the trial fails.
 */
import type { Core, Random } from "../../lib/core.ts";
import type { Arrow, Table } from "../../machine/table.ts";

/**
 * `settled`: lives with a configuration that has worked. `holding`: waits for the next Bootstrap-Request. `requesting`: one
 * is under way. `provisioning`: the server writes. `trying`: a new configuration has to prove itself.
 */
export type BootstrapClientState = "off" | "settled" | "holding" | "requesting" | "provisioning" | "trying";

/**
 * `wanted`: the server asked for it (/1/x/9), or could not be reached for long. `asked`: an operation came. `finished`: the
 * new configuration is whole, and stored. Whether there is a former one makes two events of a failure.
 */
export type BootstrapClientEvent =
  | "openSettled"
  | "openBare"
  | "openUntried"
  | "wanted"
  | "due"
  | "accepted"
  | "asked"
  | "finished"
  | "failed"
  | "failedWithFormer"
  | "registered"
  | "close";

export type BootstrapClientAction =
  | "register"
  | "unregister"
  | "request"
  | "listen"
  | "hangUp"
  | "commit"
  | "restore"
  | "hold"
  | "pause";

const to = (
  state: BootstrapClientState,
  ...actions: BootstrapClientAction[]
): Arrow<BootstrapClientState, BootstrapClientAction, undefined> => ({ to: state, actions, extra: undefined });

/** An event without an arrow comes too late and changes nothing. */
export const BOOTSTRAP_CLIENT: Table<BootstrapClientState, BootstrapClientEvent, BootstrapClientAction, undefined> = {
  off: {
    openSettled: to("settled", "register"),
    openBare: to("holding", "hold"),
    openUntried: to("trying", "register"),
  },
  settled: { wanted: to("requesting", "unregister", "request"), close: to("off") },
  holding: { due: to("requesting", "request"), wanted: to("requesting", "request"), close: to("off") },
  requesting: {
    accepted: to("provisioning", "listen"),
    // The operations of an eager server may overtake its answer.
    asked: to("provisioning", "listen"),
    finished: to("trying", "hangUp", "register"),
    failed: to("holding", "hangUp", "pause"),
    failedWithFormer: to("settled", "hangUp", "register"),
    close: to("off", "hangUp"),
  },
  provisioning: {
    asked: to("provisioning", "listen"),
    finished: to("trying", "hangUp", "register"),
    failed: to("holding", "hangUp", "pause"),
    failedWithFormer: to("settled", "hangUp", "register"),
    close: to("off", "hangUp"),
  },
  trying: {
    registered: to("settled", "commit"),
    failed: to("holding", "unregister", "restore", "pause"),
    failedWithFormer: to("settled", "unregister", "restore", "register"),
    close: to("off"),
  },
};

export type BootstrapClientInput =
  /** `hasFormer`: a configuration that has worked; `isUntried`: one that has not yet. */
  | { readonly kind: "open"; readonly hasFormer: boolean; readonly isUntried: boolean }
  | { readonly kind: "wanted" | "asked" | "finished" | "registered" | "close" | "wake" }
  /** The answer to the request of this attempt: accepted or not. */
  | { readonly kind: "answered"; readonly attempt: number; readonly isAccepted: boolean }
  /** The server of the configuration could not be reached, as often as it says. */
  | { readonly kind: "unreachable"; readonly bootstraps: boolean };

export type BootstrapClientOutput =
  /** With the untried configuration if there is one, else the one that has worked. */
  | { readonly kind: "register" }
  | { readonly kind: "unregister" }
  | { readonly kind: "request"; readonly attempt: number }
  /** The session with the bootstrap server is over, and what it wrote is forgotten unless it was finished. */
  | { readonly kind: "hangUp" }
  /** The untried configuration takes the former's place, or is forgotten. */
  | { readonly kind: "commit" | "restore" }
  /** Bootstrapping did not come about, and is tried again. */
  | { readonly kind: "retry"; readonly afterMs: number };

export interface BootstrapClientOptions {
  /** Client Hold Off Time: before the first request of a device that has nothing yet. */
  readonly holdOffMs: number;
  /** How long a server may be silent in the middle of it. */
  readonly silenceMs: number;
  /** Before the second try; doubled with every further one. */
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  readonly random: Random;
}

/** A server answers in seconds; EXCHANGE_LIFETIME of CoAP is 247 s. A fleet that waits comes back within half an hour. */
export const DEFAULT_BOOTSTRAP_CLIENT: Omit<BootstrapClientOptions, "random"> = {
  holdOffMs: 0,
  silenceMs: 247_000,
  firstDelayMs: 5_000,
  longestDelayMs: 1_800_000,
};

export class BootstrapClient implements Core<BootstrapClientInput, BootstrapClientOutput> {
  readonly #options: BootstrapClientOptions;
  #state: BootstrapClientState = "off";
  #hasFormer = false;
  #attempt = 0;
  #failures = 0;
  #dueAtMs: number | undefined;

  constructor(options: BootstrapClientOptions) {
    this.#options = options;
  }

  get state(): BootstrapClientState {
    return this.#state;
  }

  get wakeAtMs(): number | undefined {
    return this.#dueAtMs;
  }

  step(input: BootstrapClientInput, nowMs: number): BootstrapClientOutput[] {
    switch (input.kind) {
      case "open":
        if (this.#state === "off") this.#hasFormer = input.hasFormer;
        return this.#take(input.isUntried ? "openUntried" : input.hasFormer ? "openSettled" : "openBare", nowMs);
      case "answered":
        if (input.attempt !== this.#attempt) return [];
        return this.#take(input.isAccepted ? "accepted" : this.#failure(), nowMs);
      case "unreachable":
        if (this.#state === "trying") return this.#take(this.#failure(), nowMs);
        return input.bootstraps && this.#state === "settled" ? this.#take("wanted", nowMs) : [];
      case "wake":
        if (this.#dueAtMs === undefined || nowMs < this.#dueAtMs) return [];
        return this.#take(this.#state === "holding" ? "due" : this.#failure(), nowMs);
      default:
        return this.#take(input.kind, nowMs);
    }
  }

  #failure(): BootstrapClientEvent {
    return this.#hasFormer ? "failedWithFormer" : "failed";
  }

  #take(event: BootstrapClientEvent, nowMs: number): BootstrapClientOutput[] {
    const arrow = BOOTSTRAP_CLIENT[this.#state][event];
    if (!arrow) return [];
    this.#state = arrow.to;
    this.#dueAtMs = undefined;
    return arrow.actions.flatMap((action) => this.#act(action, nowMs));
  }

  #act(action: BootstrapClientAction, nowMs: number): BootstrapClientOutput[] {
    const { holdOffMs, silenceMs } = this.#options;
    switch (action) {
      case "listen":
        this.#dueAtMs = nowMs + silenceMs;
        return [];
      case "hold":
        this.#dueAtMs = nowMs + holdOffMs;
        return [];
      case "request":
        this.#attempt += 1;
        return [{ kind: "request", attempt: this.#attempt }];
      case "pause":
        return [this.#pause(nowMs)];
      case "commit":
        this.#hasFormer = true;
        this.#failures = 0;
        return [{ kind: "commit" }];
      default:
        return [{ kind: action }];
    }
  }

  /** Between half and all of the delay, so that a fleet does not come as one. */
  #pause(nowMs: number): BootstrapClientOutput {
    const { firstDelayMs, longestDelayMs, random } = this.#options;
    const delayMs = Math.min(longestDelayMs, firstDelayMs * 2 ** this.#failures);
    this.#failures += 1;
    const afterMs = delayMs * (0.5 + random() / 2);
    this.#dueAtMs = nowMs + afterMs;
    return { kind: "retry", afterMs };
  }
}
