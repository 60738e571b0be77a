/** ClientHello, ServerHello and HelloVerifyRequest (RFC 5246 §7.4.1, RFC 6347 §4.2.1, §4.3.2). */
import { concat } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";
import { decodeExtensions, encodeExtensions, type HelloExtensions } from "./extensions.ts";
import { OctetReader, readAll, uintBytes, vector } from "./octets.ts";
import { VERSION_1_0, VERSION_1_2 } from "./record.ts";

export const RANDOM_BYTES = 32;
const MAX_SESSION_ID_BYTES = 32;

/** TLS_EMPTY_RENEGOTIATION_INFO_SCSV: the renegotiation extension in the shape of a suite. @see RFC 5746 §3.3 */
export const RENEGOTIATION_SCSV = 0x00ff;

export interface ClientHello {
  /** `VERSION_1_2`, or what else the client asks for at most. */
  readonly version: number;
  readonly random: Uint8Array;
  readonly sessionId: Uint8Array;
  readonly cookie: Uint8Array;
  /** The client's favourite first; unknown numbers included. */
  readonly suites: readonly number[];
  readonly extensions: HelloExtensions;
}

export interface ServerHello {
  readonly version: number;
  readonly random: Uint8Array;
  readonly sessionId: Uint8Array;
  readonly suite: number;
  readonly extensions: HelloExtensions;
}

export function encodeClientHello(hello: ClientHello): Uint8Array {
  return concat([
    uintBytes(hello.version, 2),
    hello.random,
    vector(1, hello.sessionId),
    vector(1, hello.cookie),
    vector(2, ...hello.suites.map((suite) => uintBytes(suite, 2))),
    Uint8Array.of(1, 0),
    encodeExtensions(hello.extensions, "client"),
  ]);
}

/** @throws {PeerError} `DTLS_FORMAT` */
export function decodeClientHello(body: Uint8Array): ClientHello {
  const reader = new OctetReader(body);
  const version = reader.uint(2);
  const random = reader.take(RANDOM_BYTES);
  const sessionId = readSessionId(reader);
  const cookie = reader.vector(1);
  const suites = readAll(reader.vector(2), (inner) => inner.uint(2));
  if (!reader.vector(1).includes(0)) throw new PeerError("DTLS_FORMAT", "the null compression method is missing");
  return { version, random, sessionId, cookie, suites, extensions: decodeExtensions(reader.rest(), "client") };
}

export function encodeServerHello(hello: ServerHello): Uint8Array {
  return concat([
    uintBytes(hello.version, 2),
    hello.random,
    vector(1, hello.sessionId),
    uintBytes(hello.suite, 2),
    Uint8Array.of(0),
    encodeExtensions(hello.extensions, "server"),
  ]);
}

/** @throws {PeerError} `DTLS_FORMAT` */
export function decodeServerHello(body: Uint8Array): ServerHello {
  const reader = new OctetReader(body);
  const version = reader.uint(2);
  const random = reader.take(RANDOM_BYTES);
  const sessionId = readSessionId(reader);
  const suite = reader.uint(2);
  if (reader.uint(1) !== 0) throw new PeerError("DTLS_FORMAT", "compression was chosen");
  return { version, random, sessionId, suite, extensions: decodeExtensions(reader.rest(), "server") };
}

function readSessionId(reader: OctetReader): Uint8Array {
  const sessionId = reader.vector(1);
  if (sessionId.length > MAX_SESSION_ID_BYTES) throw new PeerError("DTLS_FORMAT", "the session id is too long");
  return sessionId;
}

/** The version in it says nothing of the version to come, and is the one that every client takes. @see RFC 6347 §4.2.1 */
export function encodeHelloVerify(cookie: Uint8Array): Uint8Array {
  return concat([uintBytes(VERSION_1_0, 2), vector(1, cookie)]);
}

/** The cookie. @throws {PeerError} `DTLS_FORMAT` */
export function decodeHelloVerify(body: Uint8Array): Uint8Array {
  const reader = new OctetReader(body);
  const version = reader.uint(2);
  if (version !== VERSION_1_0 && version !== VERSION_1_2) throw new PeerError("DTLS_FORMAT", "no version of DTLS");
  const cookie = reader.vector(1);
  reader.end();
  return cookie;
}
