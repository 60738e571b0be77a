/** From a shared secret to keys (RFC 5246 §5, §6.3, §8.1; RFC 4279 §2; RFC 5489 §2; RFC 7627 §4). */
import { concat, encodeUtf8 } from "../lib/bytes.ts";
import type { DtlsCrypto, Hmac } from "./crypto-port.ts";
import { vector } from "./octets.ts";
import { type CipherSuite, keyBytesOf } from "./suites.ts";

export const MASTER_SECRET_BYTES = 48;
export const VERIFY_DATA_BYTES = 12;
const HASH_BYTES = 32;

const LABEL = {
  master: encodeUtf8("master secret"),
  extendedMaster: encodeUtf8("extended master secret"),
  keys: encodeUtf8("key expansion"),
  client: encodeUtf8("client finished"),
  server: encodeUtf8("server finished"),
} as const;

export type Side = "client" | "server";

/** P_SHA256 over label and seed, cut to `length`. @see RFC 5246 §5 */
function expand(hmac: Hmac, seed: readonly Uint8Array[], length: number): Uint8Array {
  const out = new Uint8Array(length);
  let chain = hmac(seed);
  for (let at = 0; at < length; at += HASH_BYTES) {
    const block = hmac([chain, ...seed]);
    out.set(length - at < HASH_BYTES ? block.subarray(0, length - at) : block, at);
    if (at + HASH_BYTES < length) chain = hmac([chain]);
  }
  return out;
}

/** The pre-master secret of a pre-shared key, with that of a key exchange or zeros in front. @see RFC 4279 §2 */
export function pskPremaster(key: Uint8Array, shared?: Uint8Array): Uint8Array {
  return concat([vector(2, shared ?? new Uint8Array(key.length)), vector(2, key)]);
}

/** @see RFC 5246 §8.1 */
export function masterSecret(crypto: DtlsCrypto, premaster: Uint8Array, randoms: readonly Uint8Array[]): Uint8Array {
  return expand(crypto.createHmac(premaster), [LABEL.master, ...randoms], MASTER_SECRET_BYTES);
}

/** @param sessionHash SHA-256 of all messages up to and with ClientKeyExchange. @see RFC 7627 §4 */
export function extendedMasterSecret(crypto: DtlsCrypto, premaster: Uint8Array, sessionHash: Uint8Array): Uint8Array {
  return expand(crypto.createHmac(premaster), [LABEL.extendedMaster, sessionHash], MASTER_SECRET_BYTES);
}

/**
 * The keys of both sides in the order of RFC 5246 §6.3: MAC keys, keys, implicit nonces; the client's first each.
 *
 * @param master HMAC under the master secret.
 */
export function keyBlock(
  master: Hmac,
  suite: CipherSuite,
  randoms: { readonly clientRandom: Uint8Array; readonly serverRandom: Uint8Array },
): Uint8Array {
  const { mac, key, iv } = keyBytesOf(suite);
  const seed = [LABEL.keys, randoms.serverRandom, randoms.clientRandom];
  return expand(master, seed, 2 * (mac + key + iv));
}

/** Keys of one side, views of the key block. */
export interface SideKeys {
  readonly macKey: Uint8Array;
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
}

/** What of a key block one side writes with. */
export function keysOf(block: Uint8Array, suite: CipherSuite, side: Side): SideKeys {
  const { mac, key, iv } = keyBytesOf(suite);
  const part = (start: number, length: number): Uint8Array => {
    const at = start + (side === "client" ? 0 : length);
    return block.subarray(at, at + length);
  };
  return { macKey: part(0, mac), key: part(2 * mac, key), iv: part(2 * (mac + key), iv) };
}

/**
 * What a Finished message of `side` proves: 12 octets.
 *
 * @param master HMAC under the master secret.
 * @param transcriptHash SHA-256 of all messages before it.
 * @see RFC 5246 §7.4.9
 */
export function verifyData(master: Hmac, side: Side, transcriptHash: Uint8Array): Uint8Array {
  return expand(master, [LABEL[side], transcriptHash], VERIFY_DATA_BYTES);
}
