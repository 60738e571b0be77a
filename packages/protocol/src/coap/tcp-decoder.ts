/** Messages out of a stream that is cut anywhere (RFC 8323 §3.2). Holds no more than one unfinished message. */
import { EMPTY } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";
import { decodeTcpMessage, MAX_HEADER_BYTES, peekTcpLength, type TcpMessage } from "./tcp-message.ts";

export class TcpDecoder {
  readonly #maxMessageBytes: number;
  /** What came last, and how far it was read. */
  #chunk: Uint8Array = EMPTY;
  #at = 0;
  /** The beginning of a message whose rest is still to come, in memory that grows with what has arrived, not with what was announced. */
  #held: Uint8Array = EMPTY;
  #heldBytes = 0;

  /** @param maxMessageBytes The Max-Message-Size that the peer was told. */
  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Memory that is kept, in octets: the beginning of a message, and what `next` has not read. */
  get heldBytes(): number {
    return this.#held.length + (this.#hasMore ? this.#chunk.length : 0);
  }

  /** Whether the beginning of a message is there, as far as `next` has read. */
  get isPartial(): boolean {
    return this.#heldBytes > 0;
  }

  get #hasMore(): boolean {
    return this.#at < this.#chunk.length;
  }

  /** Takes what came next in the stream; it is kept until `next` has read it, and must not change. */
  push(chunk: Uint8Array): void {
    if (!this.#hasMore) this.#chunk = chunk;
    else {
      const joined = new Uint8Array(this.#chunk.length - this.#at + chunk.length);
      joined.set(this.#chunk.subarray(this.#at));
      joined.set(chunk, this.#chunk.length - this.#at);
      this.#chunk = joined;
    }
    this.#at = 0;
  }

  /**
   * The next message that is complete; `undefined` when more octets are needed. Its parts are views that stay valid.
   *
   * @throws {PeerError} `COAP_FORMAT`, or `COAP_TOO_LARGE` as soon as a message announces itself longer than allowed. The
   *   stream cannot be read any further then.
   */
  next(): TcpMessage | undefined {
    if (this.#heldBytes > 0) return this.#completeHeld();
    const { length: end } = this.#chunk;
    const length = this.#checked(peekTcpLength(this.#chunk, this.#at, end));
    if (length === undefined || this.#at + length > end) {
      this.#hold(end - this.#at, length ?? MAX_HEADER_BYTES);
      this.#chunk = EMPTY;
      this.#at = 0;
      return undefined;
    }
    const message = decodeTcpMessage(this.#chunk.subarray(this.#at, this.#at + length));
    this.#at += length;
    return message;
  }

  #completeHeld(): TcpMessage | undefined {
    for (;;) {
      const length = this.#checked(peekTcpLength(this.#held, 0, this.#heldBytes));
      const missing = length === undefined ? 1 : length - this.#heldBytes;
      if (length !== undefined && missing === 0) {
        const message = decodeTcpMessage(this.#held.subarray(0, length));
        this.#held = EMPTY;
        this.#heldBytes = 0;
        return message;
      }
      const available = Math.min(missing, this.#chunk.length - this.#at);
      if (available === 0) return undefined;
      this.#hold(available, length ?? MAX_HEADER_BYTES);
    }
  }

  /** Moves `count` octets behind what is held already. */
  #hold(count: number, neededBytes: number): void {
    if (count === 0) return;
    const total = this.#heldBytes + count;
    if (total > this.#held.length) {
      const grown = new Uint8Array(Math.max(total, Math.min(2 * total, neededBytes)));
      grown.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = grown;
    }
    this.#held.set(this.#chunk.subarray(this.#at, this.#at + count), this.#heldBytes);
    this.#at += count;
    this.#heldBytes = total;
  }

  #checked(length: number | undefined): number | undefined {
    if (length !== undefined && length > this.#maxMessageBytes)
      throw new PeerError("COAP_TOO_LARGE", "a message is larger than allowed", { length });
    return length;
  }
}
