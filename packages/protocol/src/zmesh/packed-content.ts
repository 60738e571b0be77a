/** One content ready to be sent: its numbers, its keys, and each of its messages on demand. Source: profile 1, 3. */
import { UsageError } from "../lib/errors.ts";
import {
  type Alignment,
  chunkAt,
  chunkBytesFor,
  DEFAULT_MTU_BYTES,
  dataCountOf,
  ENC_TYPE,
  type EncType,
  kindOfSeq,
  LARGEST_DATA_COUNT,
  repairOfSeq,
  tagBytesOf,
} from "./chunking.ts";
import { ContentCipher } from "./content-cipher.ts";
import { type NameProfile, nameOf } from "./content-name.ts";
import type { ContentShape } from "./content-source.ts";
import { crc32 } from "./crc32.ts";
import type { ZmeshCrypto } from "./crypto-port.ts";
import { AT_ONCE } from "./instant.ts";
import {
  type Begin,
  type End,
  encodeBegin,
  encodeEnd,
  IMAGE_DIGEST_BYTES,
  REPAIR_SCHEME,
  type RepairScheme,
} from "./messages.ts";
import { RepairEncoder } from "./repair-encoder.ts";
import { repairRows } from "./repair-rows.ts";
import type { Schedule } from "./schedule.ts";

/** Key and IV of one content; for a release they come from `drawKeys`. */
export interface KeyPair {
  /** Sixteen octets. */
  readonly key: Uint8Array;
  /** Nine octets. */
  readonly iv: Uint8Array;
}

export interface ContentOptions {
  readonly mtuBytes?: number;
  /** CTR by default. */
  readonly encType?: EncType;
  /** Enc. Type 0 has to be allowed in so many words. */
  readonly isPlainAllowed?: boolean;
  readonly alignment?: Alignment;
  readonly profile?: NameProfile;
  /** Parity chunks announced in End; more can be made at any time. */
  readonly repairCount?: number;
  readonly repairScheme?: RepairScheme;
  /** `AT_ONCE` by default. */
  readonly applyAtMs?: number;
}

/** The bytes that travel and under which name. */
export interface ContentInput extends KeyPair {
  readonly uri: string;
  /** In memory for as long as the content is. */
  readonly bytes: Uint8Array;
}

/** Begin, Data, End and as many parity chunks as SEQ can number. Immutable; two calls give the same octets. */
export class PackedContent implements ContentShape {
  readonly uri: string;
  readonly name: Uint8Array;
  readonly mtuBytes: number;
  readonly encType: EncType;
  readonly keys: KeyPair;
  /** Octets of the image in one Data message. */
  readonly chunkBytes: number;
  readonly payloadBytes: number;
  readonly dataCount: number;
  readonly begin: Begin;
  readonly end: End;
  /** SHA-256 of the plain bytes, 32 octets. */
  readonly digest: Uint8Array;
  readonly #bytes: Uint8Array;
  readonly #cipher: ContentCipher;
  #encoder: RepairEncoder | undefined;

  /**
   * @throws {UsageError} `ENC_TYPE_REFUSED` for Enc. Type 0 that is not allowed; `MTU_RANGE`; `IMAGE_EMPTY`; `IMAGE_SIZE`
   *   when SEQ cannot number its packets; `ZMESH_FIELD`
   */
  constructor({ uri, bytes, key, iv }: ContentInput, options: ContentOptions, crypto: ZmeshCrypto) {
    const { mtuBytes = DEFAULT_MTU_BYTES, encType = ENC_TYPE.ctr, profile } = options;
    if (encType === ENC_TYPE.none && options.isPlainAllowed !== true)
      throw new UsageError("ENC_TYPE_REFUSED", "an update that is not encrypted has to be allowed");
    this.uri = uri;
    this.name = nameOf(uri, crypto, profile);
    this.mtuBytes = mtuBytes;
    this.encType = encType;
    this.keys = { key: key.slice(), iv: iv.slice() };
    this.chunkBytes = chunkBytesFor(mtuBytes, encType, options.alignment);
    this.payloadBytes = this.chunkBytes + tagBytesOf(encType);
    this.dataCount = countPackets(bytes.length, this.chunkBytes);
    this.digest = crypto.sha256(bytes);
    this.begin = { lengthBytes: bytes.length, crc32: crc32(bytes), dataCount: this.dataCount };
    const { repairCount = 0, repairScheme = REPAIR_SCHEME.hashedRows, applyAtMs = AT_ONCE } = options;
    const imageDigest = this.digest.slice(0, IMAGE_DIGEST_BYTES);
    this.end = { ...this.begin, repairCount, repairScheme, applyAtMs, flags: 0, imageDigest };
    this.#bytes = bytes;
    this.#cipher = new ContentCipher({ encType, name: this.name, ...this.keys }, crypto);
  }

  /** What tells a device to receive it. Campaigns wrap the same content key anew for each device or group. */
  scheduleAt(updateAtMs: number): Schedule {
    return { updateAtMs, name: this.name, mtuBytes: this.mtuBytes, encType: this.encType, ...this.keys };
  }

  /** The payload of a SEQ as it travels. @throws {PeerError} `SEQ_RANGE` */
  payloadAt(seq: number): Uint8Array {
    switch (kindOfSeq(seq, this.dataCount)) {
      case "begin":
        return this.#cipher.seal(seq, encodeBegin(this.begin));
      case "data":
        return this.#cipher.seal(seq, chunkAt(this.#bytes, this.chunkBytes, seq));
      case "end":
        return this.#cipher.seal(seq, encodeEnd(this.end));
      case "repair":
        return this.#parity(repairOfSeq(this.dataCount, seq));
    }
  }

  #parity(n: number): Uint8Array {
    // Asked for once, parity will be asked for again: from here on the ciphertext is kept.
    this.#encoder ??= new RepairEncoder(
      repairRows(this.end.repairScheme, this.dataCount),
      Array.from({ length: this.dataCount }, (_, i) => this.payloadAt(i + 1)),
    );
    return this.#encoder.parity(n);
  }
}

function countPackets(lengthBytes: number, chunkBytes: number): number {
  if (lengthBytes === 0) throw new UsageError("IMAGE_EMPTY", "the image is empty");
  const dataCount = dataCountOf(lengthBytes, chunkBytes);
  if (dataCount > LARGEST_DATA_COUNT || lengthBytes >= 2 ** 32)
    throw new UsageError("IMAGE_SIZE", "the image has more packets than can be numbered", { lengthBytes, chunkBytes });
  return dataCount;
}
