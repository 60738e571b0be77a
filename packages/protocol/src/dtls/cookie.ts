/** Cookies that need no memory: a client shows that it receives at its address before anything is kept for it (RFC 6347 §4.2.1). */
import { encodeUtf8 } from "../lib/bytes.ts";
import type { DtlsCrypto, Hmac } from "./crypto-port.ts";
import type { ClientHello } from "./hello.ts";
import { uintBytes, vector } from "./octets.ts";

/** A cookie is good for one to two of these. */
const PERIOD_MS = 60_000;
const MAC_BYTES = 16;

/** Period and MAC: 17 octets, so that the answer to a hello is always shorter than the hello. */
export class Cookies {
  readonly #crypto: DtlsCrypto;
  readonly #hmac: Hmac;

  constructor(crypto: DtlsCrypto) {
    this.#crypto = crypto;
    this.#hmac = crypto.createHmac(crypto.randomBytes(32));
  }

  /** @param addressKey What tells the client's address from all others. */
  create(addressKey: string, hello: ClientHello, nowMs: number): Uint8Array {
    return this.#make(addressKey, hello, Math.floor(nowMs / PERIOD_MS));
  }

  isRight(addressKey: string, hello: ClientHello, nowMs: number): boolean {
    if (hello.cookie.length !== 1 + MAC_BYTES) return false;
    const period = Math.floor(nowMs / PERIOD_MS);
    const age = (period - (hello.cookie[0] as number)) & 0xff;
    if (age > 1) return false;
    return this.#crypto.equalSecrets(hello.cookie, this.#make(addressKey, hello, period - age));
  }

  #make(addressKey: string, { version, random, sessionId, suites }: ClientHello, period: number): Uint8Array {
    const mac = this.#hmac([
      uintBytes(period, 6),
      uintBytes(version, 2),
      random,
      vector(1, sessionId),
      vector(2, ...suites.map((suite) => uintBytes(suite, 2))),
      encodeUtf8(addressKey),
    ]);
    const cookie = new Uint8Array(1 + MAC_BYTES);
    cookie[0] = period & 0xff;
    cookie.set(mac.subarray(0, MAC_BYTES), 1);
    return cookie;
  }
}
