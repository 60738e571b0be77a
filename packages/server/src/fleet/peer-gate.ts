/** How much work one peer may make in a second, so that a device which floods keeps no other waiting. Pure. */

export interface PeerGateOptions {
  /** Requests of one peer that are served in a second, on average. */
  readonly requestsPerSecond?: number | undefined;
  /** Blocks of images that one peer fetches, and answers to what it was asked, in a second. */
  readonly blocksPerSecond?: number | undefined;
  /** Peers remembered: at least the latest so many, at most twice as many. */
  readonly peerLimit?: number | undefined;
}

/** Twice as fast as the fastest stream of values that is taken, and far above any device that only keeps its registration. */
export const DEFAULT_REQUESTS_PER_SECOND = 100;
/** 10 MB/s in blocks of 1 KiB: no radio is faster. */
export const DEFAULT_BLOCKS_PER_SECOND = 10_000;
/** Those who send in the same few seconds; who is forgotten begins with a full allowance. */
export const DEFAULT_GATE_PEERS = 20_000;

/** Work of so many seconds may come at once after a silence: a registration that comes in many small blocks does. */
const BURST_S = 5;
/** Refused requests that are answered, in a second; the others are dropped, which costs least. */
const ANSWERS_PER_SECOND = 5;
/** How often it is told that a peer floods. */
const TELL_EVERY_MS = 60_000;

/** request: is read, and may change what is on record · block: of an image, or an answer to what we asked. */
export type PeerWork = "request" | "block";

interface Allowance {
  requests: number;
  blocks: number;
  answers: number;
  filledAtMs: number;
  /** Refused since it was told last. */
  refusedCount: number;
  toldAtMs: number;
}

/** A bucket for each kind of work and peer. Peers are remembered in two generations, the older of which is forgotten whole. */
export class PeerGate {
  readonly #requestsPerSecond: number;
  readonly #blocksPerSecond: number;
  readonly #peerLimit: number;
  #young = new Map<string, Allowance>();
  #old = new Map<string, Allowance>();
  /** Messages that were answered, and that were dropped, since the start. */
  refusedCount = 0;
  droppedCount = 0;

  constructor(options: PeerGateOptions = {}) {
    this.#requestsPerSecond = options.requestsPerSecond ?? DEFAULT_REQUESTS_PER_SECOND;
    this.#blocksPerSecond = options.blocksPerSecond ?? DEFAULT_BLOCKS_PER_SECOND;
    this.#peerLimit = options.peerLimit ?? DEFAULT_GATE_PEERS;
  }

  get requestsPerSecond(): number {
    return this.#requestsPerSecond;
  }

  /** Peers remembered now. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** A message came: whether it is taken. Only then it uses up the allowance. */
  admits(peerKey: string, work: PeerWork, nowMs: number): boolean {
    const allowance = this.#filled(peerKey, nowMs);
    if (this.#left(allowance, work) >= 1) {
      this.#spend(allowance, work);
      return true;
    }
    allowance.refusedCount += 1;
    this.droppedCount += 1;
    return false;
  }

  /** Whether what was just not admitted is worth an answer. */
  mayAnswer(peerKey: string): boolean {
    const allowance = this.#young.get(peerKey);
    if (allowance === undefined || allowance.answers < 1) return false;
    allowance.answers -= 1;
    this.refusedCount += 1;
    this.droppedCount -= 1;
    return true;
  }

  /** A message was taken that could not be refused: how long nothing more shall be read from this peer, in milliseconds. */
  paceMs(peerKey: string, work: PeerWork, nowMs: number): number {
    const allowance = this.#filled(peerKey, nowMs);
    this.#spend(allowance, work);
    const left = this.#left(allowance, work);
    if (left >= 0) return 0;
    allowance.refusedCount += 1;
    return (-left / (work === "request" ? this.#requestsPerSecond : this.#blocksPerSecond)) * 1000;
  }

  /** How many messages of this peer were refused, or made it wait, since this was told last; 0 = there is nothing to tell now. */
  takeNews(peerKey: string, nowMs: number): number {
    const allowance = this.#young.get(peerKey) ?? this.#old.get(peerKey);
    if (allowance === undefined || nowMs - allowance.toldAtMs < TELL_EVERY_MS) return 0;
    const { refusedCount } = allowance;
    if (refusedCount === 0) return 0;
    allowance.refusedCount = 0;
    allowance.toldAtMs = nowMs;
    return refusedCount;
  }

  #left(allowance: Allowance, work: PeerWork): number {
    return work === "request" ? allowance.requests : allowance.blocks;
  }

  #spend(allowance: Allowance, work: PeerWork): void {
    if (work === "request") allowance.requests -= 1;
    else allowance.blocks -= 1;
  }

  #filled(peerKey: string, nowMs: number): Allowance {
    const known = this.#young.get(peerKey) ?? this.#recall(peerKey);
    if (known === undefined) return this.#add(peerKey, nowMs);
    const seconds = (nowMs - known.filledAtMs) / 1000;
    known.filledAtMs = nowMs;
    known.requests = filled(known.requests, seconds * this.#requestsPerSecond, burstOf(this.#requestsPerSecond));
    known.blocks = filled(known.blocks, seconds * this.#blocksPerSecond, burstOf(this.#blocksPerSecond));
    known.answers = filled(known.answers, seconds * ANSWERS_PER_SECOND, ANSWERS_PER_SECOND);
    return known;
  }

  #recall(peerKey: string): Allowance | undefined {
    const known = this.#old.get(peerKey);
    if (known === undefined) return undefined;
    this.#old.delete(peerKey);
    this.#keep(peerKey, known);
    return known;
  }

  #add(peerKey: string, nowMs: number): Allowance {
    const allowance: Allowance = {
      requests: burstOf(this.#requestsPerSecond),
      blocks: burstOf(this.#blocksPerSecond),
      answers: ANSWERS_PER_SECOND,
      filledAtMs: nowMs,
      refusedCount: 0,
      toldAtMs: Number.NEGATIVE_INFINITY,
    };
    this.#keep(peerKey, allowance);
    return allowance;
  }

  #keep(peerKey: string, allowance: Allowance): void {
    if (this.#young.size >= this.#peerLimit) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(peerKey, allowance);
  }
}

const burstOf = (perSecond: number): number => Math.max(1, BURST_S * perSecond);
const filled = (left: number, gained: number, most: number): number => Math.min(most, left + gained);
