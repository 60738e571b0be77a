/** What devices do that they should not: each is counted, and told on the device's timeline, but not in floods. */
import { formatCode } from "@airlift/protocol/coap/codes";
import { decodeUtf8 } from "@airlift/protocol/lib/bytes";
import type { NewEvent } from "../store/ports.ts";

/**
 * registration: a request at `/rd` was refused · send: one at `/dp` · body: a request in blocks was refused or never came to
 * its end · answer: what it answered us had no end · flood: it sends faster than it may.
 */
export type FaultKind = "registration" | "send" | "body" | "answer" | "flood";

export interface DeviceFault {
  readonly kind: FaultKind;
  /** The code that it was refused with, "4.13", or why it was given up: of a small set, as it labels a counter. */
  readonly code: string;
  readonly address: string;
  /** Who it is, or says it is; `undefined` when it does not say. */
  readonly endpoint: string | undefined;
  readonly sentence: string;
  /** How many at once. Default 1. */
  readonly count?: number;
}

/** One event of a kind for a device, and for an address, in this time; the others are counted. */
const QUIET_MS = 60_000;
/** Devices and addresses whose last event is remembered, of each kind; the one told of longest ago is forgotten first. */
const REMEMBERED = 2_000;
const LONGEST_NAME = 255;
/** Events in the same time, of whomever: who has many names and ports, or forges addresses, fills no table with them. */
export const DEFAULT_MOST_TOLD = 300;

export class DeviceFaults {
  readonly #mostTold: number;
  #window = { sinceMs: Number.NEGATIVE_INFINITY, toldCount: 0 };
  readonly #counts = new Map<string, { kind: FaultKind; code: string; count: number }>();
  readonly #toldAtMs = new Map<string, number>();

  constructor(mostTold = DEFAULT_MOST_TOLD) {
    this.#mostTold = mostTold;
  }

  /** All since the start. */
  counts(): Iterable<{ readonly kind: FaultKind; readonly code: string; readonly count: number }> {
    return this.#counts.values();
  }

  /** How many there were of a kind, with this code or with any. */
  countOf(kind: FaultKind, code?: string): number {
    let sum = 0;
    for (const one of this.#counts.values()) if (one.kind === kind && (code ?? one.code) === one.code) sum += one.count;
    return sum;
  }

  /** The event to store, or `undefined` when the last one of this device or address is too young, or there were too many of all. */
  note({ kind, code, address, endpoint, sentence, count = 1 }: DeviceFault, nowMs: number): NewEvent | undefined {
    const label = `${kind} ${code}`;
    const counted = this.#counts.get(label) ?? { kind, code, count: 0 };
    counted.count += count;
    this.#counts.set(label, counted);
    // Neither many names from one address nor many addresses under one name make many events.
    const keys = [`${kind} @${address}`, ...(endpoint === undefined ? [] : [`${kind} ${endpoint}`])];
    if (keys.some((key) => nowMs - (this.#toldAtMs.get(key) ?? Number.NEGATIVE_INFINITY) < QUIET_MS)) return undefined;
    if (nowMs - this.#window.sinceMs >= QUIET_MS) this.#window = { sinceMs: nowMs, toldCount: 0 };
    if (this.#window.toldCount >= this.#mostTold) return undefined;
    this.#window.toldCount += 1;
    for (const key of keys) this.#remember(key, nowMs);
    const facts = { address, fault: kind, code, count };
    return { kind: kind === "flood" ? "device.flood" : "device.refused", endpoint: endpoint ?? null, sentence, facts };
  }

  #remember(key: string, nowMs: number): void {
    this.#toldAtMs.delete(key);
    this.#toldAtMs.set(key, nowMs);
    if (this.#toldAtMs.size > REMEMBERED) this.#toldAtMs.delete(this.#toldAtMs.keys().next().value as string);
  }
}

/** A request that was refused. `reason` is the diagnostic payload of the answer. */
export function refusedRequest(
  kind: "registration" | "send",
  from: { readonly address: string; readonly endpoint: string | undefined },
  answer: { readonly code: number; readonly payload: Uint8Array },
): DeviceFault {
  const code = formatCode(answer.code);
  const what = kind === "registration" ? "a registration" : "a report (Send)";
  const why = decodeUtf8(answer.payload) || REASONS[code] || "it makes no sense";
  return { kind, code, ...from, sentence: `${what} from ${from.address} was refused with ${code}: ${why}` };
}

const REASONS: Readonly<Record<string, string>> = {
  "4.04": "no such registration",
  "4.05": "no such method here",
  "4.29": "too many at once",
};

/** The name in the queries of a request that was refused, as far as it can be one. */
export function endpointIn(uriQuery: readonly string[]): string | undefined {
  const name = uriQuery.find((query) => query.startsWith("ep="))?.slice(3);
  return name === undefined || name === "" || name.length > LONGEST_NAME ? undefined : name;
}
