/** Sends what events the webhooks are to hear of: soon after they happened, again when it failed, by one server at a time. */
import type { Logger } from "pino";
import type { EventStore } from "../store/ports.ts";
import type { LeasedDelivery, SettledAttempt, UnopenedSecret, WebhookOutbox } from "../store/webhook-outbox.ts";
import type { DestinationPolicy } from "./destination.ts";
import { type Answer, Poster } from "./post.ts";
import { planNext, type RetryOptions } from "./retry-plan.ts";
import { signatureHeaders } from "./signature.ts";

export interface WebhookSenderParts {
  readonly outbox: WebhookOutbox;
  readonly events: Pick<EventStore, "subscribe">;
  readonly policy: DestinationPolicy;
  readonly log: Pick<Logger, "warn" | "debug">;
}

export interface WebhookSenderOptions {
  readonly retry?: RetryOptions;
  readonly timeoutMs?: number;
  /** Requests to one webhook at a time; a receiver that hangs holds up no other. Default 8. */
  readonly perWebhook?: number;
  /** Requests of this server at a time. Default 32. */
  readonly mostSending?: number;
  /** How late a delivery that failed, or that another server made, may be. Default 1 s. */
  readonly lookEveryMs?: number;
  /** How long requests under way may take when the server ends. Default 2 s. */
  readonly graceMs?: number;
}

/** Events of a burst become deliveries together. */
const GATHER_MS = 50;

export class WebhookSender {
  readonly #parts: WebhookSenderParts;
  readonly #options: WebhookSenderOptions;
  readonly #poster: Poster;
  readonly #perWebhook: number;
  readonly #mostSending: number;
  readonly #sending = new Set<Promise<void>>();
  readonly #countOf = new Map<string, number>();
  readonly #stopped = new AbortController();
  #isClosing = false;
  #unsubscribe: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sweep: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  /** Something is to be done: outcomes wait, or places are free. */
  #isDue = false;
  #mayBeEvents = true;
  /** How attempts went, to be written together; no more than are sent at a time, because nothing is taken before. */
  #settled: SettledAttempt[] = [];

  constructor(parts: WebhookSenderParts, options: WebhookSenderOptions = {}) {
    this.#parts = parts;
    this.#options = options;
    this.#poster = new Poster(parts.policy, options.timeoutMs);
    this.#perWebhook = options.perWebhook ?? 8;
    this.#mostSending = options.mostSending ?? 32;
  }

  start(): void {
    this.#unsubscribe = this.#parts.events.subscribe(() => this.#lookSoon());
    this.#sweep = setInterval(() => this.#lookForEvents(), this.#options.lookEveryMs ?? 1000);
    this.#sweep.unref();
  }

  /** Requests under way. */
  get sendingCount(): number {
    return this.#sending.size;
  }

  /** Writes how attempts went, makes deliveries of new events, and sends what is due; never rejects. */
  #look(): Promise<void> {
    this.#isDue = true;
    this.#looking ??= this.#lookOn().finally(() => {
      this.#looking = undefined;
      // Somebody asked while the last look came to its end.
      if (this.#isDue && !this.#isClosing) void this.#look();
    });
    return this.#looking;
  }

  #lookForEvents(): void {
    this.#mayBeEvents = true;
    void this.#look();
  }

  /** Breaks off what is under way after a while: another server, or the next start, sends it again under the same id. */
  async close(): Promise<void> {
    this.#unsubscribe?.();
    clearInterval(this.#sweep);
    clearTimeout(this.#timer);
    this.#isClosing = true;
    await this.#looking;
    const grace = setTimeout(() => this.#stopped.abort(), this.#options.graceMs ?? 2000);
    await Promise.allSettled(this.#sending);
    clearTimeout(grace);
    await this.#parts.outbox.settle(this.#settled).catch(() => {});
    this.#poster.close();
  }

  #lookSoon(): void {
    if (this.#timer !== undefined || this.#isClosing) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#lookForEvents();
    }, GATHER_MS);
    this.#timer.unref();
  }

  async #lookOn(): Promise<void> {
    const { outbox, log } = this.#parts;
    try {
      while (this.#isDue && !this.#isClosing) {
        this.#isDue = false;
        await this.#settleAll();
        if (this.#mayBeEvents) {
          this.#mayBeEvents = false;
          // A backlog of events is worked off without waiting for the next look.
          if ((await outbox.fill()) > 0) this.#mayBeEvents = this.#isDue = true;
        }
        this.#begin(await this.#take());
      }
    } catch (error) {
      // The next sweep tries again; at once would be in vain.
      this.#isDue = false;
      log.debug({ err: error }, "the webhooks' outbox cannot be reached now");
    }
  }

  /** What cannot be written now is written with the next look, before anything else is sent. */
  async #settleAll(): Promise<void> {
    const settled = this.#settled;
    this.#settled = [];
    try {
      await this.#parts.outbox.settle(settled);
    } catch (error) {
      this.#settled.unshift(...settled);
      throw error;
    }
  }

  async #take(): Promise<LeasedDelivery[]> {
    const room = this.#mostSending - this.#sending.size;
    if (room <= 0) return [];
    return await this.#parts.outbox.take(this.#perWebhook, this.#countOf, room);
  }

  #begin(deliveries: readonly LeasedDelivery[]): void {
    for (const delivery of deliveries) {
      const { webhookId } = delivery;
      this.#countOf.set(webhookId, (this.#countOf.get(webhookId) ?? 0) + 1);
      const sending = this.#send(delivery).finally(() => {
        this.#sending.delete(sending);
        const left = (this.#countOf.get(webhookId) ?? 1) - 1;
        if (left === 0) this.#countOf.delete(webhookId);
        else this.#countOf.set(webhookId, left);
        if (!this.#isClosing) void this.#look();
      });
      this.#sending.add(sending);
    }
  }

  async #send(delivery: LeasedDelivery): Promise<void> {
    const { secret } = delivery;
    const answer = "problem" in secret ? unsigned(secret) : await this.#post(delivery, secret);
    if (answer === undefined) return;
    const { id, webhookId, url, kind, attempts, ageMs } = delivery;
    const outcome = planNext(answer, { kind, attempts, ageMs, chance: Math.random() }, this.#options.retry);
    if (outcome.kind === "dead")
      this.#parts.log.warn({ delivery: id, problem: outcome.problem }, "a webhook was given up");
    this.#settled.push({ id, webhookId, url, outcome });
  }

  /** @returns Nothing when it was broken off by our own end, which says nothing of the receiver. */
  async #post({ id, url, body }: LeasedDelivery, secret: Buffer): Promise<Answer | undefined> {
    const timestampS = Math.floor(Date.now() / 1000);
    const headers = {
      "content-type": "application/json",
      "user-agent": "airlift-webhook/1",
      ...signatureHeaders(secret, { id, timestampS, body }),
    };
    const answer = await this.#poster.post({ url, headers, body }, this.#stopped.signal);
    if (answer.status !== null || !this.#stopped.signal.aborted) return answer;
    await this.#parts.outbox.release(id).catch(() => {});
    return undefined;
  }
}

const unsigned = ({ problem, isKeyMissing }: UnopenedSecret): Answer => ({
  status: null,
  problem,
  isFinal: !isKeyMissing,
});
