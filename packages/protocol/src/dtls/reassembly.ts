/** Puts handshake messages together and in order, within bounds (RFC 6347 §4.2.2, §4.2.3). */
import type { HandshakeFragment, HandshakeMessage } from "./handshake-message.ts";

export interface ReassemblyLimits {
  /** Longest message; a chain of certificates is the longest there is. */
  readonly messageBytes: number;
  /** Messages ahead of the next one that are kept while it is missing. */
  readonly messagesAhead: number;
  /** Pieces of one message with gaps between them. */
  readonly pieces: number;
  /** Octets of all messages that are not whole or not yet their turn, at their declared length. */
  readonly heldBytes: number;
}

/** One handshake holds at most 16 KiB, and only for peers whose address is proven. */
export const DEFAULT_REASSEMBLY: ReassemblyLimits = {
  messageBytes: 12_288,
  messagesAhead: 8,
  pieces: 64,
  heldBytes: 16_384,
};

interface Partial {
  readonly type: number;
  readonly body: Uint8Array;
  /** What is there: sorted, disjoint, not touching. */
  pieces: { start: number; end: number }[];
}

export class Reassembly {
  readonly #limits: ReassemblyLimits;
  readonly #partials = new Map<number, Partial>();
  #next: number;
  #heldBytes = 0;

  /** @param next The number of the first message that is awaited. */
  constructor(next: number, limits: ReassemblyLimits) {
    this.#next = next;
    this.#limits = limits;
  }

  /** The number of the message that comes next. */
  get next(): number {
    return this.#next;
  }

  /** Takes a copy of a fragment. One that fits nowhere, or contradicts what came before, is ignored. */
  add({ type, number, sizeBytes, offset, bytes }: HandshakeFragment): void {
    const ahead = number - this.#next;
    if (ahead < 0 || ahead >= this.#limits.messagesAhead || sizeBytes > this.#limits.messageBytes) return;
    let partial = this.#partials.get(number);
    if (partial === undefined) {
      if (this.#heldBytes + sizeBytes > this.#limits.heldBytes) return;
      this.#heldBytes += sizeBytes;
      partial = { type, body: new Uint8Array(sizeBytes), pieces: [] };
      this.#partials.set(number, partial);
    }
    if (partial.type !== type || partial.body.length !== sizeBytes) return;
    const pieces = withPiece(partial.pieces, offset, offset + bytes.length);
    if (pieces.length > this.#limits.pieces) return;
    partial.body.set(bytes, offset);
    partial.pieces = pieces;
  }

  /** Takes the next message out, if it is whole. */
  take(): HandshakeMessage | undefined {
    const partial = this.#partials.get(this.#next);
    const whole = partial?.pieces[0];
    if (partial === undefined || whole === undefined || whole.start > 0 || whole.end < partial.body.length)
      return undefined;
    const message = { type: partial.type, number: this.#next, body: partial.body };
    this.#partials.delete(this.#next);
    this.#heldBytes -= partial.body.length;
    this.#next += 1;
    return message;
  }
}

function withPiece(pieces: Partial["pieces"], start: number, end: number): Partial["pieces"] {
  const joined = { start, end };
  const apart = pieces.filter((piece) => {
    if (piece.end < joined.start || piece.start > joined.end) return true;
    joined.start = Math.min(joined.start, piece.start);
    joined.end = Math.max(joined.end, piece.end);
    return false;
  });
  return [...apart, joined].sort((a, b) => a.start - b.start);
}
