/** Where clients come in: nothing is kept for a hello until its cookie is right (RFC 6347 §4.2.1). */
import { PeerError } from "../lib/errors.ts";
import { Cookies } from "./cookie.ts";
import type { DtlsCrypto } from "./crypto-port.ts";
import { decodeFragments, encodeHandshake, HANDSHAKE_TYPE } from "./handshake-message.ts";
import { type ClientHello, decodeClientHello, encodeHelloVerify } from "./hello.ts";
import { CONTENT_TYPE, type DtlsRecord, encodePlainRecord } from "./record.ts";
import type { DtlsAddress } from "./session.ts";

/** A hello that came whole, with where the numbering of the answers begins. */
export interface Knock {
  readonly hello: ClientHello;
  readonly messageNumber: number;
  readonly recordSequence: number;
}

export class HelloDoor<A extends DtlsAddress> {
  readonly #cookies: Cookies;

  constructor(crypto: DtlsCrypto) {
    this.#cookies = new Cookies(crypto);
  }

  /**
   * The hello in a record of epoch 0. `undefined` for anything else, and for a hello in pieces: to put it together would
   * take memory for strangers.
   */
  read(record: DtlsRecord): Knock | undefined {
    if (record.type !== CONTENT_TYPE.handshake || record.fragment[0] !== HANDSHAKE_TYPE.clientHello) return undefined;
    try {
      const [first] = decodeFragments(record.fragment);
      if (first === undefined || first.bytes.length !== first.sizeBytes) return undefined;
      const hello = decodeClientHello(first.bytes);
      return { hello, messageNumber: first.number, recordSequence: record.sequence };
    } catch (error) {
      if (error instanceof PeerError) return undefined;
      throw error;
    }
  }

  hasRightCookie(address: A, { hello }: Knock, nowMs: number): boolean {
    return this.#cookies.isRight(address.key, hello, nowMs);
  }

  /** HelloVerifyRequest, under the numbers of the hello. It is shorter than the hello. */
  askForCookie(address: A, { hello, messageNumber, recordSequence }: Knock, nowMs: number): Uint8Array {
    const body = encodeHelloVerify(this.#cookies.create(address.key, hello, nowMs));
    const message = encodeHandshake({ type: HANDSHAKE_TYPE.helloVerifyRequest, number: messageNumber, body });
    return encodePlainRecord(CONTENT_TYPE.handshake, recordSequence, message);
  }
}
