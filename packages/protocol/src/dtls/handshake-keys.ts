/** The keys of one handshake, all from its master secret (RFC 5246 §6.3, §7.4.9). */
import type { DtlsCrypto, Hmac } from "./crypto-port.ts";
import type { Protections } from "./handshake-types.ts";
import { keyBlock, keysOf, type Side, verifyData } from "./key-schedule.ts";
import { createProtection } from "./protection.ts";
import type { CipherSuite } from "./suites.ts";

/** What the keys are made from. */
export interface KeyOrigin {
  readonly suite: CipherSuite;
  readonly master: Uint8Array;
  readonly clientRandom: Uint8Array;
  readonly serverRandom: Uint8Array;
}

export class HandshakeKeys {
  /** The whole key block. */
  readonly block: Uint8Array;
  readonly protections: Protections;
  readonly #crypto: DtlsCrypto;
  readonly #master: Hmac;

  /** @param side Ours: the one whose keys we write with. */
  constructor(crypto: DtlsCrypto, side: Side, origin: KeyOrigin) {
    const { suite, master } = origin;
    this.#crypto = crypto;
    this.#master = crypto.createHmac(master);
    this.block = keyBlock(this.#master, suite, origin);
    const other = side === "client" ? "server" : "client";
    this.protections = {
      write: createProtection(crypto, suite, keysOf(this.block, suite, side)),
      read: createProtection(crypto, suite, keysOf(this.block, suite, other)),
    };
  }

  /** What the Finished of `side` proves. @param transcript All messages before it. */
  proofOf(side: Side, transcript: readonly Uint8Array[]): Uint8Array {
    return verifyData(this.#master, side, this.#crypto.sha256(transcript));
  }
}
