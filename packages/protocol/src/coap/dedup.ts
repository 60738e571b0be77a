/** Which messages came already, and what they were answered with (RFC 7252 §4.5). */
import { LinkedQueue, type QueueLinks } from "./linked-queue.ts";
import type { CoapMessage } from "./message.ts";

/** A confirmable or non-confirmable message that has been received. */
export interface Seen extends QueueLinks<Seen> {
  readonly messageId: number;
  readonly tokenHash: number;
  readonly owner: Seen[];
  readonly forgetAtMs: number;
  /** The datagram that answered it; `undefined` while the answer is being worked out, and for a message without one. */
  reply: Uint8Array | undefined;
}

/** What tells two messages of one peer apart. */
type Identity = Pick<CoapMessage, "messageId" | "token">;

export interface DedupLimits {
  /** Messages remembered for one peer: the latest ones. */
  readonly seenPerPeer: number;
  /** Messages remembered in all. */
  readonly seen: number;
  /** Octets of answers kept in all. */
  readonly seenBytes: number;
}

/**
 * A peer retransmits only its latest messages, so a small number for each suffices. With NSTART = 1 it is one.
 * The octets bound what a thousand parallel downloads leave behind.
 */
export const DEFAULT_DEDUP_LIMITS: DedupLimits = { seenPerPeer: 64, seen: 200_000, seenBytes: 16 * 2 ** 20 };

/** What a remembered message costs beside the octets of its answer. */
const OVERHEAD_BYTES = 32;

/** The memory of all peers together; the list of one peer lives with that peer. The oldest answer is forgotten first. */
export class Dedup {
  readonly #answered = new LinkedQueue<Seen>();
  readonly #limits: DedupLimits;
  #bytes = 0;

  constructor(limits: DedupLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * The message if it came before and its lifetime has not passed. With another token it is another message: a peer that has started
   * anew, at the same address, may well begin with the numbers of its last minutes.
   */
  find(owner: readonly Seen[], { messageId, token }: Identity, nowMs: number): Seen | undefined {
    for (let i = owner.length - 1; i >= 0; i -= 1) {
      const seen = owner[i] as Seen;
      if (seen.messageId === messageId && seen.tokenHash === hashOf(token))
        return seen.forgetAtMs > nowMs ? seen : undefined;
    }
    return undefined;
  }

  /** Remembers a message whose answer is still to come. */
  add(owner: Seen[], { messageId, token }: Identity, forgetAtMs: number): Seen {
    if (owner.length >= this.#limits.seenPerPeer) this.#forgetOldestOf(owner);
    const seen: Seen = {
      messageId,
      tokenHash: hashOf(token),
      owner,
      forgetAtMs,
      reply: undefined,
      before: undefined,
      after: undefined,
      isQueued: false,
    };
    owner.push(seen);
    return seen;
  }

  /** Keeps the answer, for duplicates. From here on the message may be forgotten to make room for others. */
  settle(seen: Seen, reply: Uint8Array | undefined): void {
    if (seen.isQueued) this.#release(seen);
    seen.reply = reply;
    this.#answered.append(seen);
    this.#bytes += OVERHEAD_BYTES + (reply?.length ?? 0);
    const { seen: maxCount, seenBytes } = this.#limits;
    while (this.#bytes > seenBytes || this.#answered.size > maxCount) this.#forget(this.#answered.first as Seen);
  }

  /** Forgets a message at once, as if it never came. */
  drop(seen: Seen): void {
    this.#forget(seen);
  }

  /** Forgets everything of one peer. */
  clear(owner: Seen[]): void {
    for (const seen of owner) if (seen.isQueued) this.#release(seen);
    owner.length = 0;
  }

  #forgetOldestOf(owner: readonly Seen[]): void {
    const oldest = owner.find((seen) => seen.isQueued);
    if (oldest) this.#forget(oldest);
  }

  #forget(seen: Seen): void {
    const place = seen.owner.indexOf(seen);
    if (place >= 0) seen.owner.splice(place, 1);
    if (seen.isQueued) this.#release(seen);
  }

  #release(seen: Seen): void {
    this.#answered.remove(seen);
    this.#bytes -= OVERHEAD_BYTES + (seen.reply?.length ?? 0);
  }
}

/** FNV-1a: the token itself would cost each of so many messages an array of its own. */
function hashOf(token: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const octet of token) hash = Math.imul(hash ^ octet, 0x01000193);
  return hash;
}
