/**
 * KISS framing: FEND ‖ command ‖ escaped octets ‖ FEND, the convention between a host and a packet-radio modem.
 *
 * Source: Chepponis, Karn: "The KISS TNC", 1987. Of the commands only data of any port is looked at, and the acknowledgement of
 * ACKMODE, an extension that many modems have: the host sends data as command 12 with a number of two octets before it, and the
 * modem says the number in a command 12 once the frame has been on air.
 */
import { LARGEST_FRAME_BYTES } from "@airlift/protocol/zmesh/frame";

const FEND = 0xc0;
const FESC = 0xdb;
const TFEND = 0xdc;
const TFESC = 0xdd;
/** The low nibble of the command octet; the high one is the modem's port. */
const DATA = 0x00;
const ACKED_DATA = 0x0c;
/** Of an acknowledgement: the command and the number. */
const ACK_BYTES = 3;

/** One data frame for port 0. @param ackId 0 … 65 535: the modem is to say this number once it was sent. */
export function encodeKiss(frame: Uint8Array, ackId?: number): Uint8Array<ArrayBuffer> {
  const head = ackId === undefined ? [DATA] : [ACKED_DATA, ackId >> 8, ackId & 0xff];
  const octets = [FEND];
  for (const octet of [...head, ...frame]) {
    if (octet === FEND) octets.push(FESC, TFEND);
    else if (octet === FESC) octets.push(FESC, TFESC);
    else octets.push(octet);
  }
  octets.push(FEND);
  return Uint8Array.from(octets);
}

/** Takes frames out of a stream of octets that may begin anywhere and be damaged anywhere; holds one frame at the most. */
export class KissDecoder {
  /** Frames that were too long or had an escape that is none. */
  refusedCount = 0;
  /** Numbers of frames that the modem says it has sent; the owner takes them out. */
  readonly acks: number[] = [];
  readonly #frame: Uint8Array;
  #length = 0;
  #isEscaped = false;
  /** Until the next FEND nothing is believed: at the start, and after a mistake. */
  #isLost = true;

  constructor(largestBytes: number = LARGEST_FRAME_BYTES) {
    this.#frame = new Uint8Array(1 + largestBytes);
  }

  /** The data frames that end in `bytes`, copied. Throws nothing, whatever comes. */
  push(bytes: Uint8Array): Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (const octet of bytes) {
      if (octet !== FEND) {
        this.#take(octet);
        continue;
      }
      const frame = this.#end();
      if (frame) frames.push(frame);
    }
    return frames;
  }

  #take(octet: number): void {
    if (this.#isLost) return;
    if (this.#isEscaped) {
      this.#isEscaped = false;
      if (octet === TFEND) this.#add(FEND);
      else if (octet === TFESC) this.#add(FESC);
      else this.#refuse();
    } else if (octet === FESC) this.#isEscaped = true;
    else this.#add(octet);
  }

  #add(octet: number): void {
    if (this.#length === this.#frame.length) {
      this.#refuse();
      return;
    }
    this.#frame[this.#length] = octet;
    this.#length += 1;
  }

  #refuse(): void {
    this.refusedCount += 1;
    this.#isLost = true;
  }

  #end(): Uint8Array | undefined {
    const isCut = this.#isEscaped;
    if (isCut) this.refusedCount += 1;
    const command = (this.#frame[0] ?? 0) & 0x0f;
    const isWhole = !this.#isLost && !isCut && this.#length > 1;
    const frame = isWhole && command === DATA ? this.#frame.slice(1, this.#length) : undefined;
    if (isWhole && command === ACKED_DATA && this.#length === ACK_BYTES)
      this.acks.push(((this.#frame[1] ?? 0) << 8) | (this.#frame[2] ?? 0));
    this.#length = 0;
    this.#isEscaped = false;
    this.#isLost = false;
    return frame;
  }
}
