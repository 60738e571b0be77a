/**
 * A connection on its way into a TLS 1.2 server that has to look pre-shared keys up: the callback of node:tls cannot wait,
 * so the client's flight waits in front of it, until the key of the identity that it names is there (RFC 4279 §2).
 */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { decodeUtf8 } from "@airlift/protocol/lib/bytes";

const HANDSHAKE = 22;
const CLIENT_KEY_EXCHANGE = 16;
/** RFC 4279 §5.3: implementations take identities of 128 octets; LwM2M asks for no more. */
const MAX_IDENTITY_BYTES = 128;
/** A client with a pre-shared key sends a hello before its key exchange, and no certificates. */
const MAX_FLIGHT_BYTES = 8 * 1024;
const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;

export type FindPsk = (identity: string) => Promise<Uint8Array | undefined>;

export class PskGate extends Duplex {
  readonly socket: Socket;
  readonly #find: FindPsk;
  #found: { readonly identity: string; readonly key: Uint8Array | undefined } | undefined;
  #isOpen = false;
  #flight = Buffer.alloc(0);

  /** @param find A rejection counts as no key. */
  constructor(socket: Socket, find: FindPsk) {
    super();
    this.socket = socket;
    this.#find = find;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("end", () => this.push(null));
    socket.on("error", (error) => this.destroy(error));
    socket.on("close", () => this.destroy());
  }

  /** The key that was looked up for the identity in the client's flight. */
  keyOf(identity: string): Uint8Array | undefined {
    return this.#found?.identity === identity ? this.#found.key : undefined;
  }

  override _read(): void {
    this.socket.resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.socket.destroy();
    done(error);
  }

  #take(chunk: Buffer): void {
    const identity = this.#isOpen ? undefined : this.#identityIn(chunk);
    if (identity === undefined) {
      if (!this.push(chunk)) this.socket.pause();
      return;
    }
    this.socket.pause();
    this.#find(identity)
      .catch(() => undefined)
      .then((key) => {
        this.#found = { identity, key };
        if (!this.destroyed && this.push(chunk)) this.socket.resume();
      });
  }

  /** The PSK identity, once the flight up to it has come. Afterwards, and where there is none, all passes. */
  #identityIn(chunk: Buffer): string | undefined {
    this.#flight = Buffer.concat([this.#flight, chunk]);
    const read = readKeyExchange(this.#flight);
    if (read === "more" && this.#flight.length <= MAX_FLIGHT_BYTES) return undefined;
    this.#isOpen = true;
    this.#flight = Buffer.alloc(0);
    return typeof read === "string" ? undefined : read.identity;
  }
}

/**
 * What a client's first octets say; reads octets of any kind.
 *
 * @returns The identity, "more" when it may still come, "none" when what came is no handshake with a pre-shared key.
 * @see RFC 5246 §6.2.1, §7.4
 */
export function readKeyExchange(flight: Buffer): { readonly identity: string } | "more" | "none" {
  const payloads: Buffer[] = [];
  let isOver = false;
  for (let place = 0; place + RECORD_HEADER_BYTES <= flight.length; ) {
    isOver = flight[place] !== HANDSHAKE;
    const end = place + RECORD_HEADER_BYTES + flight.readUInt16BE(place + 3);
    if (isOver || end > flight.length) break;
    payloads.push(flight.subarray(place + RECORD_HEADER_BYTES, end));
    place = end;
  }
  const messages = Buffer.concat(payloads);
  for (let place = 0; place + MESSAGE_HEADER_BYTES <= messages.length; ) {
    const start = place + MESSAGE_HEADER_BYTES;
    const end = start + messages.readUIntBE(place + 1, 3);
    if (end > messages.length) break;
    if (messages[place] === CLIENT_KEY_EXCHANGE) return identityOf(messages.subarray(start, end));
    place = end;
  }
  return isOver ? "none" : "more";
}

/**
 * Both forms with a pre-shared key begin with the identity (RFC 4279 §2, RFC 5489 §2). A curve's point instead would count
 * more octets than there are.
 */
function identityOf(exchange: Buffer): { readonly identity: string } | "none" {
  if (exchange.length < 2) return "none";
  const lengthBytes = exchange.readUInt16BE(0);
  if (lengthBytes > MAX_IDENTITY_BYTES || 2 + lengthBytes > exchange.length) return "none";
  const identity = decodeUtf8(exchange.subarray(2, 2 + lengthBytes));
  return identity === undefined ? "none" : { identity };
}
