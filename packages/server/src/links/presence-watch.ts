/** Presence on the real clock: who feeds it, who is told, and how it reads in the API. */
import type { Reachability } from "@airlift/protocol/api/schemas";
import { type Driven, drive } from "@airlift/runtime/drive";
import {
  Presence,
  type PresenceChange,
  type PresenceFacts,
  type PresenceInput,
  type PresenceOptions,
} from "../fleet/presence.ts";
import type { Registration } from "../fleet/registration.ts";
import { describeReachability } from "./reachability.ts";

export class PresenceWatch {
  readonly #core: Presence;
  readonly #driven: Driven<PresenceInput, PresenceChange>;
  readonly #listeners = new Set<(change: PresenceChange) => void>();

  constructor(options?: PresenceOptions) {
    this.#core = new Presence(options);
    this.#driven = drive(this.#core, { kind: "wake" }, (change) => {
      for (const listener of this.#listeners) listener(change);
    });
  }

  feed(input: PresenceInput): void {
    this.#driven.feed(input);
  }

  /** A registration was made, renewed or restored. */
  registered({ endpoint, queueMode, lifetimeS, lastSeenAtMs }: Registration): void {
    const heardAgoMs = Math.max(0, Date.now() - lastSeenAtMs);
    this.#driven.feed({ kind: "registered", endpoint, queueMode, lifetimeS, heardAgoMs });
  }

  of(endpoint: string): PresenceFacts {
    return this.#core.of(endpoint);
  }

  /** Whether a request could be heard now. */
  isReachable(endpoint: string): boolean {
    return this.#core.isReachable(endpoint);
  }

  /** @param device Undefined when it is not registered. */
  reachabilityOf(endpoint: string, device: Pick<Registration, "lifetimeS"> | undefined): Reachability {
    const utcMs = Date.now();
    const clock = { utcMs, offsetMs: utcMs - performance.now() };
    return describeReachability(this.#core.of(endpoint), device?.lifetimeS, clock);
  }

  /** UTC milliseconds at which a device fell asleep; `undefined` while it does not sleep. */
  asleepSinceMs(endpoint: string): number | undefined {
    const { state, sinceMs } = this.#core.of(endpoint);
    return state === "asleep" ? Math.round(sinceMs + Date.now() - performance.now()) : undefined;
  }

  /** Calls `listener` with every change until the returned function is called. */
  subscribe(listener: (change: PresenceChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop(): void {
    this.#driven.stop();
  }
}
