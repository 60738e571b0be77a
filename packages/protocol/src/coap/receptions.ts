/** Bodies of requests that are coming in blocks: which block is the next, which one is there again (RFC 7959 §2.5). */
import { type Block, blockOffset } from "./block-option.ts";
import type { CoapRequest } from "./exchange.ts";
import { LinkedQueue, type QueueLinks } from "./linked-queue.ts";
import { OPTION } from "./options.ts";

/** One body on its way. `owned` is for the owner's use. */
export interface Reception<Owned> extends QueueLinks<Reception<Owned>> {
  readonly key: string;
  readonly owned: Owned;
  receivedBytes: number;
  lastUsedAtMs: number;
  lastOffset: number;
  lastDigest: number;
  isFinished: boolean;
}

/**
 * first: begins a body; what was received before under its key is to be abandoned · next: continues it · repeat: the
 * latest block once more · gap: blocks are missing, the answer is 4.08.
 */
export type BlockVerdict = "first" | "next" | "repeat" | "gap";

export interface ReceptionLimits {
  readonly receptions: number;
  /** A client that sends nothing for so long is given up, in milliseconds. */
  readonly silenceMs: number;
}

export class Receptions<Owned> {
  readonly #limits: ReceptionLimits;
  readonly #byKey = new Map<string, Reception<Owned>>();
  readonly #active = new LinkedQueue<Reception<Owned>>();
  readonly #finished = new LinkedQueue<Reception<Owned>>();

  constructor(limits: ReceptionLimits) {
    this.#limits = limits;
  }

  /** Bodies that are on their way. */
  get size(): number {
    return this.#active.size;
  }

  get isFull(): boolean {
    return this.#active.size >= this.#limits.receptions;
  }

  /** When `expire` is due. */
  get wakeAtMs(): number | undefined {
    const first = this.#active.first ?? this.#finished.first;
    return first && first.lastUsedAtMs + this.#limits.silenceMs;
  }

  find(key: string): Reception<Owned> | undefined {
    return this.#byKey.get(key);
  }

  add(key: string, owned: Owned, nowMs: number): Reception<Owned> {
    const reception: Reception<Owned> = {
      key,
      owned,
      receivedBytes: 0,
      lastUsedAtMs: nowMs,
      lastOffset: -1,
      lastDigest: 0,
      isFinished: false,
      before: undefined,
      after: undefined,
      isQueued: false,
    };
    this.#byKey.set(key, reception);
    this.#active.append(reception);
    return reception;
  }

  /** Counts the octets of a block that was judged `first` or `next`. */
  advance(reception: Reception<Owned>, payload: Uint8Array, nowMs: number): void {
    reception.lastOffset = reception.receivedBytes;
    reception.lastDigest = digest(payload);
    reception.receivedBytes += payload.length;
    reception.lastUsedAtMs = nowMs;
    if (reception.isQueued) this.#active.moveToEnd(reception);
  }

  /** The body is complete. It is remembered while there is room, for its last block may come once more. */
  finish(reception: Reception<Owned>): void {
    if (!reception.isQueued || reception.isFinished) return;
    reception.isFinished = true;
    this.#active.remove(reception);
    this.#finished.append(reception);
    const oldest = this.#finished.first;
    if (oldest && this.#finished.size > this.#limits.receptions) this.#drop(this.#finished, oldest);
  }

  remove(reception: Reception<Owned>): void {
    this.#drop(reception.isFinished ? this.#finished : this.#active, reception);
  }

  /** Forgets and returns those on their way whose client fell silent; forgets old ones that are complete. */
  expire(nowMs: number): Reception<Owned>[] {
    this.#expireOf(this.#finished, nowMs);
    return this.#expireOf(this.#active, nowMs);
  }

  #expireOf(queue: LinkedQueue<Reception<Owned>>, nowMs: number): Reception<Owned>[] {
    const expired: Reception<Owned>[] = [];
    for (let first = queue.first; first !== undefined; first = queue.first) {
      if (first.lastUsedAtMs + this.#limits.silenceMs > nowMs) break;
      this.#drop(queue, first);
      expired.push(first);
    }
    return expired;
  }

  #drop(queue: LinkedQueue<Reception<Owned>>, reception: Reception<Owned>): void {
    if (this.#byKey.get(reception.key) === reception) this.#byKey.delete(reception.key);
    queue.remove(reception);
  }
}

/** What a block means to a reception; a first block that comes again before any other is no new body. */
export function judgeBlock(reception: Reception<unknown> | undefined, block: Block, payload: Uint8Array): BlockVerdict {
  const offset = blockOffset(block);
  if (reception === undefined) return offset === 0 ? "first" : "gap";
  if (offset === reception.lastOffset && digest(payload) === reception.lastDigest) return "repeat";
  if (offset === 0) return "first";
  return offset === reception.receivedBytes ? "next" : "gap";
}

/** Requests with the same key are parts of the same body: peer, method and target (RFC 7959 §2.5), not the token. */
export function receptionKey(peerKey: string, request: CoapRequest): string {
  let key = `${peerKey}|${request.code}`;
  for (const { number, value } of request.options) {
    const isTarget =
      number === OPTION.uriHost || number === OPTION.uriPort || number === OPTION.uriPath || number === OPTION.uriQuery;
    if (isTarget) key += `|${number}:${String.fromCharCode(...value)}`;
  }
  return key;
}

/** FNV-1a, 32 bits: tells a repeated block from the first one of another body. */
function digest(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i += 1) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash >>> 0;
}
