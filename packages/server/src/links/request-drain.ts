/** The shell around the queue of requests: records what it decides, sends what is due, tells it what came back. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { formatCode } from "@airlift/protocol/coap/codes";
import { CoapRefusal, type CoapResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, optionUint } from "@airlift/protocol/coap/options";
import { AirliftError, EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import { type Driven, drive } from "@airlift/runtime/drive";
import type { Logger } from "pino";
import type { QueuedRequest, RequestContent } from "../fleet/queued-request.ts";
import type { Registration } from "../fleet/registration.ts";
import {
  RequestQueue,
  type RequestQueueInput,
  type RequestQueueLimits,
  type RequestQueueOutput,
} from "../fleet/request-queue.ts";
import type { QueueAnswer, RequestEnd, RequestQueueStore, RequestRecord } from "../store/request-queue-store.ts";
import type { DeviceRequests } from "./device-requests.ts";
import { toLwm2mRequest } from "./queued-operations.ts";

export interface RequestDrainOptions {
  readonly store: RequestQueueStore;
  readonly requests: Pick<DeviceRequests, "request">;
  readonly log: Logger;
  readonly registrationOf: (endpoint: string) => Registration | undefined;
  readonly isReachable: (endpoint: string) => boolean;
  readonly limits?: Partial<RequestQueueLimits>;
  /** After how long a device is asked again that did not answer and yet counts as reachable. Default 60 s. */
  readonly retryMs?: number;
}

/** A request that nobody gave a time to live waits a day, and none waits longer than a month. */
export const DEFAULT_TTL_S = 86_400;
export const MAX_TTL_S = 30 * 86_400;

const STORE_RETRY_MS = 1_000;
/** Octets of an answer that are kept. */
const ANSWER_BYTES = 16 * 1024;

/** How a request ended that was on its way. */
interface Result {
  readonly how: Extract<RequestQueueInput, { kind: "ended" }>["how"];
  readonly answer: QueueAnswer | null;
  readonly why?: string | undefined;
}

export class RequestDrain {
  readonly #options: RequestDrainOptions;
  readonly #core: RequestQueue;
  readonly #driven: Driven<RequestQueueInput, RequestQueueOutput>;
  /** What is to be recorded of a device is recorded in the order in which it was decided. */
  readonly #tails = new Map<string, Promise<void>>();
  readonly #results = new Map<string, Result>();
  readonly #closing = new AbortController();

  constructor(options: RequestDrainOptions) {
    this.#options = options;
    this.#core = new RequestQueue(options.isReachable, options.limits);
    this.#driven = drive(this.#core, { kind: "wake" }, (output) => this.#perform(output));
  }

  get size(): number {
    return this.#core.size;
  }

  /** Goes on with the requests of an earlier run. */
  async restore(): Promise<void> {
    const requests = await this.#options.store.loadOpen();
    this.#driven.feed({ kind: "restore", requests, utcMs: Date.now() });
  }

  /**
   * Records a request; it is sent as soon as the device is awake.
   *
   * @returns The id under which it waits: that of an older one when that asks the same.
   * @throws {UsageError} QUEUE_FULL, REQUEST when it is no operation of LwM2M. @throws {EnvironmentError} DATABASE_AWAY
   */
  async submit(endpoint: string, content: RequestContent, { ttlS = DEFAULT_TTL_S } = {}): Promise<string> {
    toLwm2mRequest(content);
    const submittedAtMs = Date.now();
    const times = { submittedAtMs, expiresAtMs: submittedAtMs + Math.min(ttlS, MAX_TTL_S) * 1000 };
    const id = randomBytes(8).toString("hex");
    const request: QueuedRequest = { id, endpoint, content, state: "waiting", attempts: 0, ...times };
    let promised = id;
    await this.#inOrder(endpoint, async () => {
      this.#core.assertRoom(endpoint, content.payload?.length ?? 0);
      await this.#options.store.add(request);
      for (const output of this.#driven.feed({ kind: "submit", request, utcMs: Date.now() }))
        if (output.kind === "joined") promised = output.other.id;
    });
    return promised;
  }

  /** @throws {UsageError} UNKNOWN_REQUEST (404), REQUEST_SENT (409) */
  async cancel(endpoint: string, id: string): Promise<void> {
    if (!this.#core.of(endpoint).some((request) => request.id === id))
      throw new UsageError("UNKNOWN_REQUEST", `no request ${id} waits for ${endpoint}`, { id, endpoint });
    this.#driven.feed({ kind: "cancel", id });
    await this.#tails.get(endpoint);
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
    this.#driven.stop();
    this.#closing.abort();
    await Promise.allSettled(this.#tails.values());
  }

  #perform(output: RequestQueueOutput): void {
    const { store } = this.#options;
    const { request } = output.kind === "joined" ? { request: output.other } : output;
    const record = (work: () => Promise<void>): void => {
      this.#inOrder(request.endpoint, () => this.#untilStored(work)).catch((error) => this.#report(error, request));
    };
    switch (output.kind) {
      case "send":
        this.#inOrder(request.endpoint, () => this.#begin(request)).catch((error) => this.#report(error, request));
        return;
      case "save":
        record(() => store.save(request));
        return;
      case "joined":
        record(() => store.drop(output.id));
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
    try {
      await this.#options.store.save(request);
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      this.#ended(request, { how: "notSent", answer: null });
      return;
    }
    if (this.#closing.signal.aborted) return;
    void this.#send(request).then((result) => this.#ended(request, result));
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

  async #send({ endpoint, content }: QueuedRequest): Promise<Result> {
    const registration = this.#options.registrationOf(endpoint);
    if (registration === undefined) return { how: "notSent", answer: null };
    try {
      const { signal } = this.#closing;
      const response = await this.#options.requests.request(registration, toLwm2mRequest(content), { signal });
      return { how: "answered", answer: answerOf(response) };
    } catch (error) {
      if (error instanceof CoapRefusal) return { how: "answered", answer: answerOf(error.response) };
      if (!(error instanceof AirliftError))
        this.#options.log.error({ err: error, endpoint }, "a waiting request failed");
      const why = error instanceof Error ? error.message : String(error);
      const code = error instanceof AirliftError ? error.code : "";
      if (NOT_SENT.has(code)) return { how: "notSent", answer: null };
      return { how: NO_ANSWER.has(code) ? "unanswered" : "failed", answer: null, why };
    }
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

  #report(error: unknown, { id, endpoint }: QueuedRequest): void {
    this.#options.log.error({ err: error, endpoint, requestId: id }, "a waiting request could not be recorded");
  }
}

/** It waits for the next window: the device sleeps, or too much is under way to it. */
const NOT_SENT: ReadonlySet<string> = new Set(["DEVICE_ASLEEP", "COAP_OVERLOADED", "COAP_CROWDED"]);
/** The request may have arrived, though nothing came back. */
const NO_ANSWER: ReadonlySet<string> = new Set(["COAP_TIMEOUT", "COAP_UNREACHABLE", "COAP_RESET", "COAP_CLOSED"]);

function answerOf({ code, options, payload }: CoapResponse): QueueAnswer {
  return {
    code: formatCode(code),
    contentFormat: optionUint(options, OPTION.contentFormat) ?? null,
    payload: Buffer.from(payload.subarray(0, ANSWER_BYTES)).toString("base64"),
  };
}

function endOf({ content }: QueuedRequest, outcome: RequestEnd["outcome"], result: Result | undefined): RequestEnd {
  const answer = result?.answer ?? null;
  const what = `${content.operation} ${content.path}`;
  const sentences: Readonly<Record<RequestEnd["outcome"], string>> = {
    answered: `${what}: the device answered ${answer?.code ?? ""}`,
    failed: `${what}: ${result?.why ?? "it could not be asked"}`,
    expired: `${what}: its time ran out before the device was awake`,
    cancelled: `${what}: cancelled before it was sent`,
    replaced: `${what}: a newer write took its place`,
    unknown: `${what}: it went out and no answer came; whether the device did it is not known, and it is not sent again`,
  };
  return { outcome, answer, sentence: sentences[outcome] };
}
