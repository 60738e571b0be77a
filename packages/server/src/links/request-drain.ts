/** The shell around the queue of requests: records what it decides, sends what is due, tells it what came back. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { AirliftError, EnvironmentError } from "@airlift/protocol/lib/errors";
import { type Driven, drive } from "@airlift/runtime/drive";
import type { QueuedRequest, RequestContent } from "../fleet/queued-request.ts";
import {
  RequestQueue,
  type RequestQueueInput,
  type RequestQueueLimits,
  type RequestQueueOutput,
} from "../fleet/request-queue.ts";
import type { RequestQueueStore, RequestRecord } from "../store/request-queue-store.ts";
import { toLwm2mRequest, withPaths } from "./queued-operations.ts";
import { endOf, type Result, type SendingParts, sendRequest, sentenceOf } from "./request-sending.ts";

export interface RequestDrainOptions extends Omit<SendingParts, "signal"> {
  readonly store: RequestQueueStore;
  readonly isReachable: (endpoint: string) => boolean;
  /** Whether what is on record as this server's is surely its own; while it is not, nothing is sent. Default: always. */
  readonly holdsLease?: (() => boolean) | undefined;
  readonly limits?: Partial<RequestQueueLimits>;
  /** After how long a device is asked again that did not answer and yet counts as reachable. Default 60 s. */
  readonly retryMs?: number;
}

/** A request that nobody gave a time to live waits a day, and none waits longer than a month. */
export const DEFAULT_TTL_S = 86_400;
export const MAX_TTL_S = 30 * 86_400;

const STORE_RETRY_MS = 1_000;
/** Requests of other servers that are taken at once. */
const CLAIMED_AT_ONCE = 1_000;

export class RequestDrain {
  readonly #options: RequestDrainOptions;
  readonly #core: RequestQueue;
  readonly #driven: Driven<RequestQueueInput, RequestQueueOutput>;
  /** What is to be recorded of a device is recorded in the order in which it was decided. */
  readonly #tails = new Map<string, Promise<void>>();
  readonly #results = new Map<string, Result>();
  readonly #closing = new AbortController();
  #stopListening: (() => void) | undefined;
  #claiming: Promise<void> | undefined;
  /** A claim may have come on record whose answer was lost. */
  #isInDoubt = false;

  constructor(options: RequestDrainOptions) {
    this.#options = options;
    this.#core = new RequestQueue(options.isReachable, options.limits);
    this.#driven = drive(this.#core, { kind: "wake" }, (output) => this.#perform(output));
  }

  get size(): number {
    return this.#core.size;
  }

  /** Goes on with the requests of an earlier run, and from then on takes over what other servers leave to this one. */
  async restore(): Promise<void> {
    const { store } = this.#options;
    this.#takeUp(await store.loadOwn());
    this.#stopListening = store.subscribe(
      () => void this.claim(),
      (id) => void this.#driven.feed({ kind: "letGo", id }),
    );
    await this.claim();
  }

  /** Takes over what there is to be taken; never throws: what cannot be had now is looked for again. */
  claim(): Promise<void> {
    this.#claiming ??= this.#claimAll()
      .catch((error) => this.#complain(error, "waiting requests of other servers could not be taken over"))
      .finally(() => {
        this.#claiming = undefined;
      });
    return this.#claiming;
  }

  /** What waits for devices that have registered here comes along. @throws {EnvironmentError} DATABASE_AWAY */
  async onArrived(endpoints: readonly string[]): Promise<void> {
    await this.#takeUpClaimed(() => this.#options.store.claimOf(endpoints));
  }

  /** The device is at another server, which takes along what waits. */
  onLeft(endpoint: string): void {
    if (this.#core.of(endpoint).length === 0) return;
    this.#inOrder(endpoint, async () => {
      for (const id of await this.#options.store.release(endpoint)) this.#driven.feed({ kind: "letGo", id });
    }).catch((error) => this.#complain(error, "waiting requests of a device that left could not be let go"));
  }

  /**
   * Records a request; it is sent as soon as the device is awake, by the server that it is registered at.
   *
   * @returns The id under which it waits: that of an older one when that asks the same.
   * @throws {UsageError} QUEUE_FULL, REQUEST when it is no operation of LwM2M. @throws {EnvironmentError} DATABASE_AWAY
   */
  async submit(endpoint: string, asking: RequestContent, { ttlS = DEFAULT_TTL_S } = {}): Promise<string> {
    toLwm2mRequest(asking);
    const content = withPaths(asking);
    const submittedAtMs = Date.now();
    const times = { submittedAtMs, expiresAtMs: submittedAtMs + Math.min(ttlS, MAX_TTL_S) * 1000 };
    const id = randomBytes(8).toString("hex");
    const asked = { id, endpoint, content, state: "waiting" as const, attempts: 0, ...times };
    let promised = id;
    await this.#inOrder(endpoint, async () => {
      this.#core.assertRoom(endpoint, content.payload?.length ?? 0);
      const { place, isOwn } = await this.#options.store.add(asked, this.#core.limits.perDevice);
      if (!isOwn) return;
      const request: QueuedRequest = { ...asked, place };
      for (const output of this.#driven.feed({ kind: "submit", request, utcMs: Date.now() }))
        if (output.kind === "joined") promised = await this.#join(request, output.other);
    });
    return promised;
  }

  /** The id under which a request waits when `other` asks the same, which may have been taken back at another server. */
  async #join(request: QueuedRequest, other: QueuedRequest): Promise<string> {
    const { store } = this.#options;
    try {
      if (await store.save(other)) {
        await store.drop(request.id);
        return other.id;
      }
      this.#driven.feed({ kind: "letGo", id: other.id });
    } catch (error) {
      // It has been promised a place of its own, and asks twice at worst.
      if (!(error instanceof EnvironmentError)) throw error;
    }
    this.#takeUp([request]);
    return request.id;
  }

  /** @throws {UsageError} UNKNOWN_REQUEST (404), REQUEST_SENT (409) */
  async cancel(endpoint: string, id: string): Promise<void> {
    await this.#inOrder(endpoint, () =>
      this.#options.store.cancel(endpoint, id, (content) => sentenceOf(content, "cancelled")),
    );
  }

  list(endpoint: string): Promise<RequestRecord[]> {
    return this.#options.store.list(endpoint);
  }

  /** The device can be reached from now on, or no longer. */
  onReachable(endpoint: string, isReachable: boolean): void {
    if (!this.#closing.signal.aborted) this.#driven.feed({ kind: "reachable", endpoint, isReachable });
  }

  /** Sends no more; what is on record is taken up by a later run. */
  async close(): Promise<void> {
    this.#stopListening?.();
    this.#driven.stop();
    this.#closing.abort();
    await this.#claiming;
    await Promise.allSettled(this.#tails.values());
  }

  #takeUp(requests: readonly QueuedRequest[]): void {
    if (requests.length > 0 && !this.#closing.signal.aborted)
      this.#driven.feed({ kind: "restore", requests, utcMs: Date.now() });
  }

  async #claimAll(): Promise<void> {
    const { store } = this.#options;
    if (this.#isInDoubt) {
      // What is here already stays as it is.
      this.#takeUp(await store.loadOwn());
      this.#isInDoubt = false;
    }
    for (let isMore = true; isMore && this.#holdsLease && !this.#closing.signal.aborted; )
      isMore = (await this.#takeUpClaimed(() => store.claim(CLAIMED_AT_ONCE))) === CLAIMED_AT_ONCE;
  }

  /** How many they are. */
  async #takeUpClaimed(claim: () => Promise<QueuedRequest[]>): Promise<number> {
    try {
      const claimed = await claim();
      this.#takeUp(claimed);
      return claimed.length;
    } catch (error) {
      this.#isInDoubt = true;
      throw error;
    }
  }

  get #holdsLease(): boolean {
    return this.#options.holdsLease?.() ?? true;
  }

  #perform(output: RequestQueueOutput): void {
    // Whoever submitted it sees to that.
    if (output.kind === "joined") return;
    const { store } = this.#options;
    const { request } = output;
    const record = (work: () => Promise<void>): void => {
      this.#inOrder(request.endpoint, () => this.#untilStored(work)).catch((error) => this.#report(error, request));
    };
    switch (output.kind) {
      case "send":
        this.#inOrder(request.endpoint, () => this.#begin(request)).catch((error) => this.#report(error, request));
        return;
      case "save":
        record(async () => {
          if (!(await store.save(request))) this.#driven.feed({ kind: "letGo", id: request.id });
        });
        return;
      case "finish": {
        const end = endOf(request, output.outcome, this.#results.get(request.id));
        this.#results.delete(request.id);
        record(() => store.finish(request, end));
      }
    }
  }

  /** On record first: after a crash it counts as sent. */
  async #begin(request: QueuedRequest): Promise<void> {
    let isOwn = false;
    try {
      isOwn = await this.#options.store.save(request);
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      this.#ended(request, { how: "notSent", answer: null });
      return;
    }
    if (this.#closing.signal.aborted) return;
    if (!isOwn) return void this.#driven.feed({ kind: "letGo", id: request.id });
    if (!this.#holdsLease) return this.#ended(request, { how: "notSent", answer: null });
    const { signal } = this.#closing;
    void sendRequest(request, { ...this.#options, signal }).then((result) => this.#ended(request, result));
  }

  #ended({ id, endpoint }: QueuedRequest, result: Result): void {
    if (this.#closing.signal.aborted) return;
    this.#results.set(id, result);
    this.#driven.feed({ kind: "ended", id, how: result.how });
    this.#results.delete(id);
    if (result.how === "notSent" || result.how === "unanswered") void this.#askAgain(endpoint);
  }

  /** A device that always listens does not wake up, so that nothing else would ask it again. */
  async #askAgain(endpoint: string): Promise<void> {
    const { retryMs = 60_000, isReachable } = this.#options;
    await sleep(retryMs, undefined, { signal: this.#closing.signal }).catch(() => {});
    if (isReachable(endpoint)) this.onReachable(endpoint, true);
  }

  async #inOrder(endpoint: string, work: () => Promise<void>): Promise<void> {
    const done = (this.#tails.get(endpoint) ?? Promise.resolve()).then(work);
    const tail = done.catch(() => {});
    this.#tails.set(endpoint, tail);
    void tail.then(() => {
      if (this.#tails.get(endpoint) === tail) this.#tails.delete(endpoint);
    });
    await done;
  }

  async #untilStored(work: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof EnvironmentError) || this.#closing.signal.aborted) throw error;
        await sleep(STORE_RETRY_MS, undefined, { signal: this.#closing.signal }).catch(() => {});
      }
    }
  }

  #complain(error: unknown, what: string): void {
    if (!this.#closing.signal.aborted)
      this.#options.log[error instanceof AirliftError ? "warn" : "error"]({ err: error }, what);
  }

  #report(error: unknown, { id, endpoint }: QueuedRequest): void {
    this.#options.log.error({ err: error, endpoint, requestId: id }, "a waiting request could not be recorded");
  }
}
