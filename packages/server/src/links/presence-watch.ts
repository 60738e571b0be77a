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

export interface PresenceWatchOptions extends PresenceOptions {
  /** Whether there is a way to the device now: a session or connection where it needs one. */
  isConnected(device: Registration): boolean;
}

export class PresenceWatch {
  readonly #core: Presence;
  readonly #isConnected: PresenceWatchOptions["isConnected"];
  readonly #driven: Driven<PresenceInput, PresenceChange>;
  readonly #listeners = new Set<(change: PresenceChange) => void>();

  constructor(options: PresenceWatchOptions) {
    this.#core = new Presence(options);
    this.#isConnected = options.isConnected;
    this.#driven = drive(this.#core, { kind: "wake" }, (change) => {
      for (const listener of this.#listeners) listener(change);
    });
  }

  feed(input: PresenceInput): void {
    this.#driven.feed(input);
  }

  /** A registration was made, renewed or restored. */
  registered(device: Registration): void {
    const { endpoint, queueMode, lifetimeS, lastSeenAtMs } = device;
    const heardAgoMs = Math.max(0, Date.now() - lastSeenAtMs);
    const isConnected = this.#isConnected(device);
    this.#driven.feed({ kind: "registered", endpoint, queueMode, lifetimeS, heardAgoMs, isConnected });
  }

  /** A session or connection of a registered device has ended; it may have another one. */
  disconnected(device: Registration): void {
    if (!this.#isConnected(device)) this.#driven.feed({ kind: "disconnected", endpoint: device.endpoint });
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
