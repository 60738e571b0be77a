/** The record side of one handshake: flights out, messages in order in, and the transcript of both (RFC 6347 §4.2). */
import { concat, EMPTY } from "../lib/bytes.ts";
import {
  decodeFragments,
  encodeFragment,
  encodeHandshake,
  HANDSHAKE_HEADER_BYTES,
  HANDSHAKE_TYPE,
  type HandshakeMessage,
} from "./handshake-message.ts";
import { PROTECTED_EPOCH, type Protection } from "./protection.ts";
import { Reassembly, type ReassemblyLimits } from "./reassembly.ts";
import { CONTENT_TYPE, encodePlainRecord, RECORD_HEADER_BYTES } from "./record.ts";
import { accept, createReplayWindow } from "./replay-window.ts";

/** What every link carries: 548 octets of UDP (RFC 791's 576), less some for tunnels. */
const SMALL_DATAGRAM_BYTES = 508;

/** What a Connection ID, the explicit nonce and the longest tag add to a record. */
const PROTECTION_BYTES = 72;

interface FlightPart {
  readonly isProtected: boolean;
  /** `undefined` = ChangeCipherSpec. */
  readonly message: HandshakeMessage | undefined;
}

/** Where numbering begins: not at 0 after a stateless HelloVerifyRequest. */
export interface WireStart {
  readonly messageNumber: number;
  readonly recordSequence: number;
  readonly datagramBytes: number;
  readonly reassembly: ReassemblyLimits;
}

export class HandshakeWire {
  readonly incoming: Reassembly;
  readonly window = createReplayWindow();
  /** Both directions' messages, each as one fragment. */
  transcript: Uint8Array[] = [];
  read: Protection | undefined;
  write: { readonly protection: Protection; readonly connectionId: Uint8Array } | undefined;
  plainSequence: number;
  writeSequence = 0;
  /** The peer's last message before our flight: when it comes again, our flight was lost. */
  answered = -1;
  #datagramBytes: number;
  #flight: FlightPart[] = [];
  #nextNumber: number;

  constructor(start: WireStart) {
    this.incoming = new Reassembly(start.messageNumber, start.reassembly);
    this.#nextNumber = start.messageNumber;
    this.plainSequence = start.recordSequence;
    this.#datagramBytes = start.datagramBytes;
  }

  /** Whether our ChangeCipherSpec is out: from then on the peer expects protected records. */
  get hasChangedCipher(): boolean {
    return this.#flight.some(({ isProtected }) => isProtected);
  }

  /** Begins a flight: the peer has everything of the one before. */
  beginFlight(): void {
    this.#flight = [];
    this.answered = this.incoming.next - 1;
  }

  /** Adds a message to the flight and to the transcript; the message as one fragment. */
  say(type: number, body: Uint8Array): Uint8Array {
    const message = { type, number: this.#nextNumber, body };
    this.#nextNumber += 1;
    this.#flight.push({ isProtected: type === HANDSHAKE_TYPE.finished, message });
    const encoded = encodeHandshake(message);
    this.transcript.push(encoded);
    return encoded;
  }

  sayChangeCipherSpec(): void {
    this.#flight.push({ isProtected: false, message: undefined });
  }

  /** The flight as datagrams, under new sequence numbers each time. */
  flightDatagrams(): Uint8Array[] {
    return packed(
      this.#flight.flatMap((part) => this.#records(part)),
      this.#datagramBytes,
    );
  }

  /** From now on in pieces that pass everywhere. */
  makeSmall(): void {
    this.#datagramBytes = Math.min(this.#datagramBytes, SMALL_DATAGRAM_BYTES);
  }

  /** One record with anything else in it. */
  record(type: number, bytes: Uint8Array, isProtected: boolean): Uint8Array {
    if (isProtected && this.write) {
      const sequence = this.writeSequence;
      this.writeSequence += 1;
      return this.write.protection.seal({ type, bytes }, sequence, this.write.connectionId);
    }
    const sequence = this.plainSequence;
    this.plainSequence += 1;
    return encodePlainRecord(type, sequence, bytes);
  }

  /**
   * Takes the fragments of one record. Finished counts only in protected records, everything else only in plain ones.
   *
   * @returns Whether the peer repeats what our flight answers.
   * @throws {PeerError} `DTLS_FORMAT`
   */
  take(content: Uint8Array, epoch: number): boolean {
    let isRepeated = false;
    for (const fragment of decodeFragments(content)) {
      if ((fragment.type === HANDSHAKE_TYPE.finished) !== (epoch === PROTECTED_EPOCH)) continue;
      isRepeated ||= fragment.number === this.answered && fragment.offset === 0;
      this.incoming.add(fragment);
    }
    return isRepeated;
  }

  /** Notes a protected record that was opened. */
  noteRecord(sequence: number): void {
    accept(this.window, sequence);
  }

  #roomFor(isProtected: boolean): number {
    const extra = RECORD_HEADER_BYTES + HANDSHAKE_HEADER_BYTES + (isProtected ? PROTECTION_BYTES : 0);
    return Math.max(1, this.#datagramBytes - extra);
  }

  #records({ isProtected, message }: FlightPart): Uint8Array[] {
    if (message === undefined) return [this.record(CONTENT_TYPE.changeCipherSpec, Uint8Array.of(1), false)];
    const { type, number, body } = message;
    // A hello goes in one piece, or no server could answer it without keeping the pieces.
    const room = type === HANDSHAKE_TYPE.clientHello ? body.length : this.#roomFor(isProtected);
    const records: Uint8Array[] = [];
    for (let offset = 0; offset === 0 || offset < body.length; offset += room) {
      const bytes = body.subarray(offset, offset + room);
      const fragment = encodeFragment({ type, number, sizeBytes: body.length, offset, bytes });
      records.push(this.record(CONTENT_TYPE.handshake, fragment, isProtected));
    }
    return records;
  }
}

/** As many records into each datagram as fit. */
function packed(records: readonly Uint8Array[], datagramBytes: number): Uint8Array[] {
  const datagrams: Uint8Array[] = [];
  let group: Uint8Array[] = [];
  let length = 0;
  for (const record of [...records, EMPTY]) {
    if (length > 0 && (record === EMPTY || length + record.length > datagramBytes)) {
      datagrams.push(concat(group));
      group = [];
      length = 0;
    }
    group.push(record);
    length += record.length;
  }
  return datagrams;
}
