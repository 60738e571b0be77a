/** Which registered devices can be reached now: who listens, who sleeps, and until when each is awake. */
import type { Core } from "@airlift/protocol/lib/core";
import { Deadlines } from "@airlift/protocol/lib/deadlines";
import type { Table } from "@airlift/protocol/machine/table";

/**
 * `absent`: not registered. `unknown`: registered, but it stayed silent when it should have spoken. `away`: its session or connection
 * is gone, and only the device can begin another one.
 */
export type PresenceState = "absent" | "awake" | "asleep" | "away" | "unknown";

type PresenceEvent =
  /** It registered, renewed its registration, sent or notified something, or answered. */
  | "heard"
  /** The awake window of a device in queue mode has passed. */
  | "windowEnded"
  /** A device in queue mode did not answer: it sleeps sooner than we believed. */
  | "sleeperUnanswered"
  /** A device that should always listen did not answer so many requests. */
  | "listenerUnanswered"
  /** The session or connection of a device in queue mode is gone: it sleeps. */
  | "sleeperDisconnected"
  /** That of a device that should always listen is. */
  | "listenerDisconnected"
  /** A sleeping device has not come back when its lifetime said it would. */
  | "overdue"
  /** Its registration ended. */
  | "left";

type PresenceAction = "announce";

const to = (state: PresenceState) => ({ to: state, actions: ["announce"] as const, extra: undefined });
const stay = (state: PresenceState) => ({ to: state, actions: [] as const, extra: undefined });

/** The states of one device (LwM2M Transport 1.2 §6.5, queue mode). An event that has no arrow changes nothing. */
export const PRESENCE_TABLE: Table<PresenceState, PresenceEvent, PresenceAction, undefined> = {
  absent: { heard: to("awake"), sleeperDisconnected: to("asleep"), listenerDisconnected: to("away") },
  awake: {
    heard: stay("awake"),
    windowEnded: to("asleep"),
    sleeperUnanswered: to("asleep"),
    listenerUnanswered: to("unknown"),
    sleeperDisconnected: to("asleep"),
    listenerDisconnected: to("away"),
    left: to("absent"),
  },
  asleep: { heard: to("awake"), overdue: to("unknown"), left: to("absent") },
  away: { heard: to("awake"), left: to("absent") },
  unknown: { heard: to("awake"), listenerDisconnected: to("away"), left: to("absent") },
};

export type PresenceInput =
  /** A registration was made, renewed or restored; `heardAgoMs` ago the device was heard. */
  | {
      readonly kind: "registered";
      readonly endpoint: string;
      readonly queueMode: boolean;
      readonly lifetimeS: number;
      readonly heardAgoMs?: number;
      /** False: it registered over a session or connection that is gone. Default true. */
      readonly isConnected?: boolean;
    }
  /** Anything else that it sent: a Send, a notification, an answer. */
  | { readonly kind: "heard"; readonly endpoint: string }
  /** A request to it ended without an answer. */
  | { readonly kind: "unanswered"; readonly endpoint: string }
  /** Its session or connection is gone. */
  | { readonly kind: "disconnected"; readonly endpoint: string }
  /** What the device said of its sleep; an absent field is as configured. */
  | { readonly kind: "timers"; readonly endpoint: string; readonly timers: SleepTimers }
  | { readonly kind: "left"; readonly endpoint: string }
  | { readonly kind: "wake" };

/** How a device sleeps, as the network granted it: T3324 and T3412 of its power saving mode, or its eDRX cycle. */
export interface SleepTimers {
  /** How long it can be reached after it was last heard. */
  readonly awakeMs?: number | undefined;
  /** How long it sleeps at most before it can be reached again. */
  readonly periodMs?: number | undefined;
}

/** A device has become awake, asleep, unknown or absent. */
export interface PresenceChange {
  readonly endpoint: string;
  readonly state: PresenceState;
}

/** What is known of one device; instants in the milliseconds of the core. */
export interface PresenceFacts {
  readonly state: PresenceState;
  readonly heardAtMs: number;
  readonly sinceMs: number;
  /** End of the awake window; `undefined` for a device that always listens, and one that is not awake. */
  readonly awakeUntilMs: number | undefined;
  /** When it is heard again at the latest, if it keeps what it said; `undefined` when absent. */
  readonly nextExpectedAtMs: number | undefined;
}

export interface PresenceOptions {
  /**
   * How long a device in queue mode can be reached after it was last heard. MAX_TRANSMIT_WAIT by default: what it sends
   * may be retransmitted for so long, so it has to listen for so long (RFC 7252 §4.8.2).
   */
  readonly awakeMs?: number;
  /** How many requests in a row may stay without an answer before a device without queue mode counts as unknown. */
  readonly unansweredLimit?: number;
}

export const DEFAULT_AWAKE_MS = 93_000;
export const DEFAULT_UNANSWERED_LIMIT = 2;
/** A device that is this late may still have lost an Update, which it then sends again (RFC 7252 §4.8.2). */
const LATE_MS = 93_000;
/** A window or a period that a device claims; beyond it nobody would wait. */
const LONGEST_TIMER_MS = 400 * 86_400_000;

interface Entry {
  state: PresenceState;
  queueMode: boolean;
  lifetimeS: number;
  heardAtMs: number;
  sinceMs: number;
  unansweredCount: number;
  timers: SleepTimers | undefined;
}

export class Presence implements Core<PresenceInput, PresenceChange> {
  readonly #awakeMs: number;
  readonly #unansweredLimit: number;
  /** As many as registrations, which the registry bounds. */
  readonly #entries = new Map<string, Entry>();
  /** Of sleepers only. A deadline may lie too early: what was heard meanwhile is looked at when it comes. */
  readonly #deadlines = new Deadlines<string>();

  constructor(options: PresenceOptions = {}) {
    this.#awakeMs = options.awakeMs ?? DEFAULT_AWAKE_MS;
    this.#unansweredLimit = options.unansweredLimit ?? DEFAULT_UNANSWERED_LIMIT;
  }

  get wakeAtMs(): number | undefined {
    return this.#deadlines.earliestMs;
  }

  of(endpoint: string): PresenceFacts {
    const entry = this.#entries.get(endpoint);
    if (entry === undefined) return ABSENT;
    const { state, heardAtMs, sinceMs, queueMode } = entry;
    const awakeUntilMs = queueMode && state === "awake" ? this.#windowEndMs(entry) : undefined;
    return { state, heardAtMs, sinceMs, awakeUntilMs, nextExpectedAtMs: expectedAtMs(entry) };
  }

  /** Whether a request could be heard now. A device of which too little is known may be asked. */
  isReachable(endpoint: string): boolean {
    const state = this.#entries.get(endpoint)?.state;
    return state === "awake" || state === "unknown";
  }

  step(input: PresenceInput, nowMs: number): PresenceChange[] {
    switch (input.kind) {
      case "registered":
        return this.#registered(input, nowMs);
      case "heard":
        return this.#heard(input.endpoint, nowMs);
      case "unanswered":
        return this.#unanswered(input.endpoint, nowMs);
      case "disconnected":
        return this.#disconnected(input.endpoint, nowMs);
      case "timers": {
        const entry = this.#entries.get(input.endpoint);
        if (entry) entry.timers = bounded(input.timers);
        if (entry?.queueMode) this.#deadlines.set(input.endpoint, this.#dueMs(entry));
        return [];
      }
      case "left":
        return this.#take(input.endpoint, "left", nowMs);
      case "wake":
        return this.#pass(nowMs);
    }
  }

  #registered(input: Extract<PresenceInput, { kind: "registered" }>, nowMs: number): PresenceChange[] {
    const { endpoint, queueMode, lifetimeS, heardAgoMs = 0, isConnected = true } = input;
    let entry = this.#entries.get(endpoint);
    if (entry === undefined) {
      const blank = { state: "absent" as const, heardAtMs: nowMs, sinceMs: nowMs, unansweredCount: 0 };
      entry = { ...blank, queueMode, lifetimeS, timers: undefined };
      this.#entries.set(endpoint, entry);
    }
    entry.lifetimeS = lifetimeS;
    if (entry.queueMode !== queueMode) this.#deadlines.delete(endpoint);
    entry.queueMode = queueMode;
    if (isConnected) return this.#heard(endpoint, nowMs - heardAgoMs);
    entry.heardAtMs = nowMs - heardAgoMs;
    return this.#disconnected(endpoint, entry.heardAtMs);
  }

  #heard(endpoint: string, heardAtMs: number): PresenceChange[] {
    const entry = this.#entries.get(endpoint);
    if (entry === undefined) return [];
    entry.heardAtMs = heardAtMs;
    entry.unansweredCount = 0;
    const changes = this.#take(endpoint, "heard", heardAtMs);
    // Moving the deadline at each sign of life costs more than looking once too often.
    if (entry.queueMode && (changes.length > 0 || !this.#deadlines.has(endpoint)))
      this.#deadlines.set(endpoint, this.#dueMs(entry));
    return changes;
  }

  #unanswered(endpoint: string, nowMs: number): PresenceChange[] {
    const entry = this.#entries.get(endpoint);
    if (entry === undefined) return [];
    entry.unansweredCount += 1;
    if (entry.queueMode) return this.#fallAsleep(entry, { endpoint, event: "sleeperUnanswered" }, nowMs);
    return entry.unansweredCount < this.#unansweredLimit ? [] : this.#take(endpoint, "listenerUnanswered", nowMs);
  }

  #disconnected(endpoint: string, nowMs: number): PresenceChange[] {
    const entry = this.#entries.get(endpoint);
    if (entry?.queueMode) return this.#fallAsleep(entry, { endpoint, event: "sleeperDisconnected" }, nowMs);
    return this.#take(endpoint, "listenerDisconnected", nowMs);
  }

  #fallAsleep(
    entry: Entry,
    { endpoint, event }: { readonly endpoint: string; readonly event: PresenceEvent },
    nowMs: number,
  ): PresenceChange[] {
    const changes = this.#take(endpoint, event, nowMs);
    if (changes.length > 0) this.#deadlines.set(endpoint, this.#dueMs(entry));
    return changes;
  }

  #pass(nowMs: number): PresenceChange[] {
    const changes: PresenceChange[] = [];
    for (;;) {
      const endpoint = this.#deadlines.popDue(nowMs);
      if (endpoint === undefined) return changes;
      const entry = this.#entries.get(endpoint);
      if (entry === undefined) continue;
      const dueMs = this.#dueMs(entry);
      if (dueMs <= nowMs)
        changes.push(...this.#take(endpoint, entry.state === "awake" ? "windowEnded" : "overdue", dueMs));
      if (entry.state === "awake" || entry.state === "asleep") this.#deadlines.set(endpoint, this.#dueMs(entry));
    }
  }

  #take(endpoint: string, event: PresenceEvent, atMs: number): PresenceChange[] {
    const entry = this.#entries.get(endpoint);
    const arrow = entry && PRESENCE_TABLE[entry.state][event];
    if (entry === undefined || arrow === undefined) return [];
    entry.state = arrow.to;
    if (arrow.actions.length === 0) return [];
    entry.sinceMs = atMs;
    if (arrow.to === "absent") {
      this.#entries.delete(endpoint);
      this.#deadlines.delete(endpoint);
    }
    return [{ endpoint, state: arrow.to }];
  }

  /** When something may be concluded from a sleeper's silence. */
  #dueMs(entry: Entry): number {
    return entry.state === "awake" ? this.#windowEndMs(entry) : expectedAtMs(entry) + LATE_MS;
  }

  #windowEndMs({ heardAtMs, timers }: Entry): number {
    return heardAtMs + (timers?.awakeMs ?? this.#awakeMs);
  }
}

const ABSENT: PresenceFacts = {
  state: "absent",
  heardAtMs: 0,
  sinceMs: 0,
  awakeUntilMs: undefined,
  nextExpectedAtMs: undefined,
};

const expectedAtMs = ({ heardAtMs, lifetimeS, timers }: Entry): number =>
  heardAtMs + Math.min(lifetimeS * 1000, timers?.periodMs ?? Number.POSITIVE_INFINITY);

function bounded({ awakeMs, periodMs }: SleepTimers): SleepTimers {
  const within = (ms: number | undefined) => (ms !== undefined && ms > 0 ? Math.min(ms, LONGEST_TIMER_MS) : undefined);
  return { awakeMs: within(awakeMs), periodMs: within(periodMs) };
}
