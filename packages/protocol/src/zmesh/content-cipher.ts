/**
 * The encryption of Begin, Data and End, each under its own SEQ. Source: Z-Mesh software update, "Encryption"; profile 3.
 *
 * Type 1: AES-128-CTR, counter block IV(9) ‖ SEQ(3) ‖ 00000000. Type 2: AES-128-CCM with a tag of 8 octets,
 * nonce IV(9) ‖ SEQ(4), AAD name(6) ‖ SEQ(3). Repair chunks are sums of what is already encrypted, and sent as they are.
 */
import { concat } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";
import { CONTENT_TAG_BYTES, ENC_TYPE, type EncType } from "./chunking.ts";
import { nameAndSeq } from "./content-name.ts";
import type { CcmParameters, ZmeshCrypto } from "./crypto-port.ts";
import { uintBytes } from "./fields.ts";

/** What one content is encrypted with. A (key, IV) pair belongs to the bytes of one content and to no others, ever. */
export interface ContentKeys {
  readonly encType: EncType;
  /** Six octets. */
  readonly name: Uint8Array;
  /** Nine octets. */
  readonly iv: Uint8Array;
  /** Sixteen octets. */
  readonly key: Uint8Array;
}

export class ContentCipher {
  readonly #keys: ContentKeys;
  readonly #crypto: ZmeshCrypto;

  constructor(keys: ContentKeys, crypto: ZmeshCrypto) {
    this.#keys = keys;
    this.#crypto = crypto;
  }

  /** The payload of the message with this SEQ: as long as `plain`, with Enc. Type 2 eight octets longer. */
  seal(seq: number, plain: Uint8Array): Uint8Array {
    const { encType, key } = this.#keys;
    if (encType === ENC_TYPE.none) return plain.slice();
    if (encType === ENC_TYPE.ctr) return this.#crypto.aes128Ctr(key, this.#counterBlock(seq), plain);
    return this.#crypto.aes128CcmSeal(this.#ccm(seq), plain);
  }

  /**
   * The plain message. Types 0 and 1 open anything; whether it is right, the manifest and the image's digest tell.
   *
   * @throws {PeerError} `CONTENT_TAG` when Enc. Type 2 does not vouch for it: another key, SEQ or name, or damaged.
   */
  open(seq: number, payload: Uint8Array): Uint8Array {
    const { encType, key } = this.#keys;
    if (encType === ENC_TYPE.none) return payload.slice();
    if (encType === ENC_TYPE.ctr) return this.#crypto.aes128Ctr(key, this.#counterBlock(seq), payload);
    const plain = this.#crypto.aes128CcmOpen(this.#ccm(seq), payload);
    if (plain === undefined) throw new PeerError("CONTENT_TAG", "the tag does not fit", { seq });
    return plain;
  }

  #counterBlock(seq: number): Uint8Array {
    return concat([this.#keys.iv, uintBytes("SEQ", seq, 3), COUNTER_START]);
  }

  #ccm(seq: number): CcmParameters {
    const { key, iv, name } = this.#keys;
    const nonce = concat([iv, uintBytes("SEQ", seq, 4)]);
    return { key, nonce, aad: nameAndSeq(name, seq), tagBytes: CONTENT_TAG_BYTES };
  }
}

/** The IV of the manifest that travels beside a content: its first bit is the other one. */
export function manifestIv(iv: Uint8Array): Uint8Array<ArrayBuffer> {
  const flipped = new Uint8Array(iv);
  flipped[0] = (flipped[0] ?? 0) ^ 0x80;
  return flipped;
}

/** Whether a release may use this IV: its first bit is 0, so that the manifest's is free. */
export const isReleaseIv = (iv: Uint8Array): boolean => ((iv[0] ?? 0) & 0x80) === 0;

const COUNTER_START = new Uint8Array(4);
