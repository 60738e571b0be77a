/** The requests that wait for sleeping devices: one at a time for each device, in their order, each until its time is up. */
import type { Core } from "@airlift/protocol/lib/core";
import { Deadlines } from "@airlift/protocol/lib/deadlines";
import { UsageError } from "@airlift/protocol/lib/errors";
import {
  isOrdered,
  isReading,
  isRepeatable,
  isSameRequest,
  type QueuedRequest,
  type QueueOutcome,
} from "./queued-request.ts";

export type RequestQueueInput =
  /** A request that is on record in state `waiting`. */
  | { readonly kind: "submit"; readonly request: QueuedRequest; readonly utcMs: number }
  /** Requests of an earlier run, or of another server: none joins another, and those that are here already stay as they are. */
  | { readonly kind: "restore"; readonly requests: readonly QueuedRequest[]; readonly utcMs: number }
  /** The device can be reached from now on, or no longer. */
  | { readonly kind: "reachable"; readonly endpoint: string; readonly isReachable: boolean }
  /** What became of a `send`: it never left, it was answered or could not be read, or no answer came. */
  | {
      readonly kind: "ended";
      readonly id: string;
      readonly how: "notSent" | "answered" | "failed" | "unanswered";
    }
  /** It is not to be sent from here any more: it was taken back, or another server has it. */
  | { readonly kind: "letGo"; readonly id: string }
  | { readonly kind: "wake" };

export type RequestQueueOutput =
  /** Record that it is being sent, then send it, then say how it ended. */
  | { readonly kind: "send"; readonly request: QueuedRequest }
  /** Record its state, attempts and end of life. */
  | { readonly kind: "save"; readonly request: QueuedRequest }
  /** A request that waits already asks the same, and stands for it if it can be recorded as `other`; else `id` is restored. */
  | { readonly kind: "joined"; readonly id: string; readonly other: QueuedRequest }
  | { readonly kind: "finish"; readonly request: QueuedRequest; readonly outcome: QueueOutcome };

export interface RequestQueueLimits {
  /** Requests of one device. */
  readonly perDevice: number;
  readonly total: number;
  /** Characters of all payloads. */
  readonly totalPayload: number;
}

export const DEFAULT_REQUEST_QUEUE_LIMITS: RequestQueueLimits = {
  perDevice: 64,
  total: 100_000,
  totalPayload: 64 * 2 ** 20,
};

interface Lane {
  readonly requests: QueuedRequest[];
  isReachable: boolean;
}

export class RequestQueue implements Core<RequestQueueInput, RequestQueueOutput> {
  readonly limits: RequestQueueLimits;
  /** Of devices with requests only. */
  readonly #lanes = new Map<string, Lane>();
  readonly #endpointOf = new Map<string, string>();
  readonly #deadlines = new Deadlines<string>();
  readonly #isReachable: (endpoint: string) => boolean;
  #payload = 0;

  /** @param isReachable Whether a device can be reached when its first request comes. */
  constructor(isReachable: (endpoint: string) => boolean, limits: Partial<RequestQueueLimits> = {}) {
    this.#isReachable = isReachable;
    this.limits = { ...DEFAULT_REQUEST_QUEUE_LIMITS, ...limits };
  }

  get size(): number {
    return this.#endpointOf.size;
  }

  get wakeAtMs(): number | undefined {
    return this.#deadlines.earliestMs;
  }

  /** The requests of a device in their order. */
  of(endpoint: string): readonly QueuedRequest[] {
    return this.#lanes.get(endpoint)?.requests ?? [];
  }

  /** @throws {UsageError} QUEUE_FULL when this device, or all together, have as many requests as may wait. */
  assertRoom(endpoint: string, payloadLength: number): void {
    const { perDevice, total, totalPayload } = this.limits;
    const isFull = this.size >= total || this.#payload + payloadLength > totalPayload;
    if (this.of(endpoint).length >= perDevice || isFull)
      throw new UsageError("QUEUE_FULL", "too many requests wait for this device, or for all together", { endpoint });
  }

  step(input: RequestQueueInput, nowMs: number): RequestQueueOutput[] {
    switch (input.kind) {
      case "submit":
        return this.#submit(input.request, nowMs - input.utcMs);
      case "restore":
        return this.#restoreAll(input.requests, nowMs - input.utcMs);
      case "reachable": {
        const lane = this.#lanes.get(input.endpoint);
        if (lane === undefined) return [];
        lane.isReachable = input.isReachable;
        return this.#next(lane);
      }
      case "ended":
        return this.#end(input.id, input.how);
      case "letGo":
        return this.#letGo(input.id);
      case "wake":
        return this.#expire(nowMs);
    }
  }

  #submit(request: QueuedRequest, offsetMs: number): RequestQueueOutput[] {
    const { endpoint, content } = request;
    if (this.#endpointOf.has(request.id)) return [];
    const older = findSame(this.of(endpoint), request);
    if (older !== undefined && isReading(content)) {
      const other = { ...older, expiresAtMs: Math.max(older.expiresAtMs, request.expiresAtMs) };
      this.#put(other);
      this.#deadlines.set(other.id, other.expiresAtMs + offsetMs);
      return [{ kind: "joined", id: request.id, other }];
    }
    const outputs = older === undefined ? [] : this.#finish(older, "replaced");
    const lane = this.#add(request, offsetMs);
    return [...outputs, ...this.#next(lane)];
  }

  #restoreAll(requests: readonly QueuedRequest[], offsetMs: number): RequestQueueOutput[] {
    const outputs = requests.flatMap((request) => this.#restore(request, offsetMs));
    for (const endpoint of new Set(requests.map((request) => request.endpoint))) {
      const lane = this.#lanes.get(endpoint);
      if (lane !== undefined) outputs.push(...this.#next(lane));
    }
    return outputs;
  }

  #restore(request: QueuedRequest, offsetMs: number): RequestQueueOutput[] {
    if (this.#endpointOf.has(request.id)) return [];
    const wasSent = request.state === "sending";
    if (wasSent && !isRepeatable(request.content)) return [{ kind: "finish", request, outcome: "unknown" }];
    const waiting: QueuedRequest = { ...request, state: "waiting" };
    this.#add(waiting, offsetMs);
    // On record it would stay with this server, and could not be taken back, until it goes out again.
    return wasSent ? [{ kind: "save", request: waiting }] : [];
  }

  #end(id: string, how: Extract<RequestQueueInput, { kind: "ended" }>["how"]): RequestQueueOutput[] {
    const request = this.#find(id);
    const lane = request && this.#lanes.get(request.endpoint);
    if (request === undefined || lane === undefined || request.state !== "sending") return [];
    if (how === "answered" || how === "failed") return [...this.#finish(request, how), ...this.#next(lane)];
    // Whoever did not answer sleeps; its next sign of life opens the lane again.
    lane.isReachable = false;
    if (how === "unanswered" && !isRepeatable(request.content)) return this.#finish(request, "unknown");
    const attempts = how === "notSent" ? request.attempts - 1 : request.attempts;
    const waiting: QueuedRequest = { ...request, state: "waiting", attempts };
    this.#put(waiting);
    return [{ kind: "save", request: waiting }];
  }

  #letGo(id: string): RequestQueueOutput[] {
    const request = this.#find(id);
    const lane = request && this.#lanes.get(request.endpoint);
    if (request === undefined || lane === undefined) return [];
    this.#forget(request);
    return this.#next(lane);
  }

  /** One that is on its way ends by its answer, or by the lack of one. */
  #expire(nowMs: number): RequestQueueOutput[] {
    const outputs: RequestQueueOutput[] = [];
    for (let id = this.#deadlines.popDue(nowMs); id !== undefined; id = this.#deadlines.popDue(nowMs)) {
      const request = this.#find(id);
      if (request === undefined) continue;
      if (request.state === "sending") this.#deadlines.set(id, nowMs + RECHECK_MS);
      else outputs.push(...this.#finish(request, "expired"));
    }
    return outputs;
  }

  #next(lane: Lane): RequestQueueOutput[] {
    const [first] = lane.requests;
    if (first === undefined || first.state === "sending" || !lane.isReachable) return [];
    const request: QueuedRequest = { ...first, state: "sending", attempts: first.attempts + 1 };
    this.#put(request);
    return [{ kind: "send", request }];
  }

  #add(request: QueuedRequest, offsetMs: number): Lane {
    const { endpoint, id } = request;
    const lane = this.#lanes.get(endpoint) ?? { requests: [], isReachable: this.#isReachable(endpoint) };
    this.#lanes.set(endpoint, lane);
    // What another server had may have been submitted before what waits here.
    const later = lane.requests.findIndex(({ place, state }) => state === "waiting" && place > request.place);
    lane.requests.splice(later < 0 ? lane.requests.length : later, 0, request);
    this.#endpointOf.set(id, endpoint);
    this.#deadlines.set(id, request.expiresAtMs + offsetMs);
    this.#payload += payloadLength(request);
    return lane;
  }

  #finish(request: QueuedRequest, outcome: QueueOutcome): RequestQueueOutput[] {
    this.#forget(request);
    return [{ kind: "finish", request, outcome }];
  }

  #forget(request: QueuedRequest): void {
    const { endpoint, id } = request;
    const lane = this.#lanes.get(endpoint);
    const place = lane?.requests.findIndex((one) => one.id === id) ?? -1;
    if (place >= 0) lane?.requests.splice(place, 1);
    if (lane?.requests.length === 0) this.#lanes.delete(endpoint);
    this.#endpointOf.delete(id);
    this.#deadlines.delete(id);
    this.#payload -= payloadLength(request);
  }

  #find(id: string): QueuedRequest | undefined {
    const endpoint = this.#endpointOf.get(id);
    return endpoint === undefined ? undefined : this.of(endpoint).find((request) => request.id === id);
  }

  #put(request: QueuedRequest): void {
    const { requests } = this.#lanes.get(request.endpoint) as Lane;
    requests[requests.findIndex(({ id }) => id === request.id)] = request;
  }
}

/** How soon a request is looked at again that outlived its time on its way. */
const RECHECK_MS = 10_000;

const payloadLength = ({ content }: QueuedRequest): number => content.payload?.length ?? 0;

/** The newest waiting request that `request` may stand for, with nothing in between whose order could be seen. */
function findSame(requests: readonly QueuedRequest[], { content }: QueuedRequest): QueuedRequest | undefined {
  for (const older of requests.toReversed()) {
    if (older.state === "waiting" && isSameRequest(older.content, content)) return older;
    if (isOrdered(older.content, content)) return undefined;
  }
  return undefined;
}
