/** The observations that the server keeps: made anew when a device registers, taken as fast as is good for all. */
import { randomUUID } from "node:crypto";
import type { Observation as ObservationAnswer } from "@airlift/protocol/api/operations";
import { isSuccessCode } from "@airlift/protocol/coap/codes";
import type { CoapResponse } from "@airlift/protocol/coap/exchange";
import { AirliftError, EnvironmentError, PeerError, UsageError } from "@airlift/protocol/lib/errors";
import { formatPath, type Path } from "@airlift/protocol/lwm2m/path";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import type { Observation } from "@airlift/runtime/coap";
import { FloodGate, type FloodGateOptions } from "../fleet/flood-gate.ts";
import type { Registration } from "../fleet/registration.ts";
import type { DeviceRequests } from "./device-requests.ts";

/** One observation from outside: `id` names it in the API. */
export interface KeptObservation {
  readonly id: string;
  readonly endpoint: string;
  readonly paths: readonly Path[];
  /** Content format instead of the one that suits, whenever it is asked for. */
  readonly format: number | undefined;
}

interface Kept extends KeptObservation {
  /** False while the device has not answered for the first time. */
  isOnRecord: boolean;
  isStarting: boolean;
  /** UTC milliseconds. */
  lastToldAtMs: number | undefined;
  active: Observation | undefined;
  /** Forgets the running one without a word to the device. */
  stop: AbortController;
  notificationCount: number;
  droppedCount: number;
}

export interface ObservationTableOptions {
  readonly requests: DeviceRequests;
  readonly flood?: FloodGateOptions | undefined;
  /** A notification of class 2, at most as many as the flood gate lets through. */
  onNotification(kept: KeptObservation, response: CoapResponse): void;
  /** The observation was ended because the device notified too much for too long. */
  onFlood(kept: KeptObservation, droppedCount: number): void;
}

/** Observations of one device. */
export const DEVICE_OBSERVATION_LIMIT = 32;
/** Observations of all devices. */
export const OBSERVATION_LIMIT = 20_000;

export class ObservationTable {
  readonly #options: ObservationTableOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #byEndpoint = new Map<string, Set<Kept>>();
  readonly #gates = new Map<string, FloodGate>();
  /** Since the start, for the metrics. */
  notificationCount = 0;
  droppedCount = 0;
  floodCount = 0;

  constructor(options: ObservationTableOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#kept.size;
  }

  of(endpoint: string): ObservationAnswer[] {
    return [...(this.#byEndpoint.get(endpoint) ?? [])].map(describe);
  }

  get(endpoint: string, id: string): ObservationAnswer | undefined {
    const kept = this.#kept.get(id);
    return kept?.endpoint === endpoint ? describe(kept) : undefined;
  }

  /** @throws {UsageError} OBSERVATIONS_FULL */
  add(endpoint: string, paths: readonly Path[], format?: number): KeptObservation {
    const count = this.#byEndpoint.get(endpoint)?.size ?? 0;
    if (count >= DEVICE_OBSERVATION_LIMIT || this.#kept.size >= OBSERVATION_LIMIT)
      throw new UsageError("OBSERVATIONS_FULL", "no more observations are kept", { endpoint, count });
    return this.#keep({ id: randomUUID(), endpoint, paths, format }, false);
  }

  /** It is on record from now on. */
  recorded(id: string): void {
    const kept = this.#kept.get(id);
    if (kept !== undefined) kept.isOnRecord = true;
  }

  /**
   * Makes what is kept of a device what is on record of it: others may have changed that while the device was theirs.
   *
   * @returns How many there was no room for.
   */
  reconcile(endpoint: string, onRecord: readonly KeptObservation[]): number {
    const ids = new Set(onRecord.map(({ id }) => id));
    for (const kept of [...(this.#byEndpoint.get(endpoint) ?? [])])
      if (kept.isOnRecord && !ids.has(kept.id)) this.remove(endpoint, kept.id);
    let leftCount = 0;
    for (const one of onRecord) {
      if (this.#kept.has(one.id)) continue;
      if (this.#kept.size < OBSERVATION_LIMIT) this.#keep(one, true);
      else leftCount += 1;
    }
    return leftCount;
  }

  /** Those that the device has not been asked for since it came. */
  waiting(endpoint: string): KeptObservation[] {
    const isWaiting = ({ active, isStarting, isOnRecord }: Kept) =>
      isOnRecord && !isStarting && active?.isActive !== true;
    return [...(this.#byEndpoint.get(endpoint) ?? [])].filter(isWaiting);
  }

  /** The device is not here any more; what is on record comes back with it. */
  forget(endpoint: string): void {
    this.suspend(endpoint);
    for (const kept of [...(this.#byEndpoint.get(endpoint) ?? [])]) this.#forget(kept);
  }

  #keep(one: KeptObservation, isOnRecord: boolean): KeptObservation {
    const counts = { notificationCount: 0, droppedCount: 0, lastToldAtMs: undefined };
    const kept: Kept = {
      ...one,
      isOnRecord,
      isStarting: false,
      active: undefined,
      stop: new AbortController(),
      ...counts,
    };
    this.#kept.set(kept.id, kept);
    const all = this.#byEndpoint.get(one.endpoint) ?? new Set<Kept>();
    this.#byEndpoint.set(one.endpoint, all.add(kept));
    return kept;
  }

  /** Sends the request of an observation, the first or a further time; `signal` gives up the wait for its answer. */
  async start(id: string, device: Registration, request: Lwm2mRequest, signal: AbortSignal): Promise<CoapResponse> {
    const kept = this.#kept.get(id);
    if (kept === undefined) throw new UsageError("UNKNOWN_OBSERVATION", "the observation was ended meanwhile", { id });
    kept.stop.abort(givenUp(kept, "it was asked for anew"));
    const stop = new AbortController();
    const giveUp = (): void => stop.abort(signal.reason);
    signal.addEventListener("abort", giveUp);
    kept.stop = stop;
    kept.active = undefined;
    kept.isStarting = true;
    const onNotification = (response: CoapResponse) => this.#notified(kept, stop, response);
    const onEnd = (): void => {
      if (kept.stop === stop) kept.active = undefined;
    };
    let observation: Observation;
    try {
      observation = await this.#options.requests.observe(device, request, onNotification, {
        signal: stop.signal,
        onEnd,
      });
    } finally {
      if (kept.stop === stop) kept.isStarting = false;
      signal.removeEventListener("abort", giveUp);
    }
    if (!isSuccessCode(observation.response.code)) return observation.response;
    if (!observation.isActive)
      throw new PeerError("NOT_OBSERVABLE", "the device answers, but does not notify", { endpoint: device.endpoint });
    // It may have been withdrawn, or the device have registered anew, while the answer was on its way.
    if (this.#kept.get(id) === kept && kept.stop === stop) kept.active = observation;
    else void observation.cancel().catch(() => {});
    return observation.response;
  }

  /** Withdraws it; the device is told. Whether it was there. */
  remove(endpoint: string, id: string): boolean {
    const kept = this.#kept.get(id);
    if (kept?.endpoint !== endpoint) return false;
    this.#forget(kept);
    kept.active?.cancel().catch((error: unknown) => {
      if (!(error instanceof AirliftError)) throw error;
    });
    return true;
  }

  /** The registration ended, or a new one began: the device remembers none of them (LwM2M Core 1.2 §6.4.1). */
  suspend(endpoint: string): void {
    for (const kept of this.#byEndpoint.get(endpoint) ?? []) {
      kept.stop.abort(givenUp(kept, "the device registered anew, or left"));
      kept.active = undefined;
    }
  }

  close(): void {
    for (const kept of this.#kept.values()) kept.stop.abort(givenUp(kept, "the server ends"));
    this.#kept.clear();
    this.#byEndpoint.clear();
    this.#gates.clear();
  }

  #notified(kept: Kept, run: AbortController, response: CoapResponse): void {
    if (kept.stop !== run || !isSuccessCode(response.code)) return;
    const verdict = this.gateOf(kept.endpoint).notified(performance.now());
    if (verdict === "take") {
      kept.notificationCount += 1;
      kept.lastToldAtMs = Date.now();
      this.notificationCount += 1;
      this.#options.onNotification(kept, response);
      return;
    }
    kept.droppedCount += 1;
    this.droppedCount += 1;
    if (verdict === "drop") return;
    this.floodCount += 1;
    this.remove(kept.endpoint, kept.id);
    this.#options.onFlood(kept, kept.droppedCount);
  }

  /** One for all that a device tells unasked, by whatever way. */
  gateOf(endpoint: string): FloodGate {
    const gate = this.#gates.get(endpoint) ?? new FloodGate(performance.now(), this.#options.flood);
    this.#gates.delete(endpoint);
    this.#gates.set(endpoint, gate);
    const [oldest] = this.#gates.keys();
    if (this.#gates.size > OBSERVATION_LIMIT && oldest !== undefined) this.#gates.delete(oldest);
    return gate;
  }

  #forget(kept: Kept): void {
    this.#kept.delete(kept.id);
    const others = this.#byEndpoint.get(kept.endpoint);
    others?.delete(kept);
    if (others?.size === 0) this.#byEndpoint.delete(kept.endpoint);
  }
}

/** To whoever waits for the first answer still. */
const givenUp = ({ endpoint }: Kept, why: string) =>
  new EnvironmentError("DEVICE_SILENT", `${endpoint} had not answered when ${why}`, { endpoint });

function describe({
  id,
  endpoint,
  paths,
  active,
  notificationCount,
  droppedCount,
  lastToldAtMs,
}: Kept): ObservationAnswer {
  const state = active?.isActive === true ? "active" : "waiting";
  const lastToldAt = lastToldAtMs === undefined ? null : new Date(lastToldAtMs).toISOString();
  return { id, endpoint, paths: paths.map(formatPath), state, notificationCount, droppedCount, lastToldAt };
}
