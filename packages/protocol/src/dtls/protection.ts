/**
 * Sealing and opening records (RFC 6655 §3, RFC 5288 §3, RFC 7366 §3, RFC 9146 §5). Protected records are always of
 * epoch 1: there is no renegotiation here.
 */
import { concat } from "../lib/bytes.ts";
import type { Aead, BlockCipher, DtlsCrypto, Hmac } from "./crypto-port.ts";
import type { SideKeys } from "./key-schedule.ts";
import { readUint, writeUint } from "./octets.ts";
import { CONTENT_TYPE, type DtlsRecord, VERSION_1_2, writeRecordHeader } from "./record.ts";
import type { CipherSuite } from "./suites.ts";

export const PROTECTED_EPOCH = 1;

export interface Content {
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** One direction of one session. */
export interface Protection {
  /** A whole record; with a Connection ID when that is not empty. `sequence` must not have been used before. */
  seal(content: Content, sequence: number, connectionId: Uint8Array): Uint8Array;
  /** The content, or `undefined` when the record is not what the peer sent. */
  open(record: DtlsRecord): Content | undefined;
}

const EXPLICIT_NONCE_BYTES = 8;
const BLOCK_BYTES = 16;
const MAC_BYTES = 32;
const MAX_CONTENT_BYTES = 2 ** 14;

export function createProtection(crypto: DtlsCrypto, suite: CipherSuite, keys: SideKeys): Protection {
  if (suite.protection === "cbc")
    return new BlockProtection(crypto, crypto.createBlockCipher(keys.key), crypto.createHmac(keys.macKey));
  return new AeadProtection(
    crypto.createAead(suite.protection, keys.key),
    keys.iv,
    suite.protection === "gcm" ? 16 : 8,
  );
}

// Written anew for every record and read before the next: the port keeps nothing of what it is given.
const nonce = new Uint8Array(12);
const shortAssociated = new Uint8Array(13);

class AeadProtection implements Protection {
  readonly #aead: Aead;
  readonly #iv: Uint8Array;
  readonly #tagBytes: number;

  constructor(aead: Aead, iv: Uint8Array, tagBytes: number) {
    this.#aead = aead;
    this.#iv = iv;
    this.#tagBytes = tagBytes;
  }

  seal(content: Content, sequence: number, connectionId: Uint8Array): Uint8Array {
    const hasId = connectionId.length > 0;
    const plaintext = hasId ? innerPlaintext(content) : content.bytes;
    const type = hasId ? CONTENT_TYPE.connectionId : content.type;
    const length = EXPLICIT_NONCE_BYTES + plaintext.length + this.#tagBytes;
    const record = new Uint8Array(13 + connectionId.length + length);
    const at = writeRecordHeader(record, { type, epoch: PROTECTED_EPOCH, sequence, connectionId, length });
    writeUint(record, at, PROTECTED_EPOCH, 2);
    writeUint(record, at + 2, sequence, 6);
    nonce.set(this.#iv);
    nonce.set(record.subarray(at, at + EXPLICIT_NONCE_BYTES), 4);
    const head = { type, version: VERSION_1_2, epoch: PROTECTED_EPOCH, sequence, connectionId };
    this.#aead.seal(nonce, associatedData(head, plaintext.length), plaintext, record, at + EXPLICIT_NONCE_BYTES);
    return record;
  }

  open(record: DtlsRecord): Content | undefined {
    const { fragment } = record;
    const length = fragment.length - EXPLICIT_NONCE_BYTES - this.#tagBytes;
    if (length < 0) return undefined;
    nonce.set(this.#iv);
    nonce.set(fragment.subarray(0, EXPLICIT_NONCE_BYTES), 4);
    const associated = associatedData(record, length);
    const plaintext = this.#aead.open(nonce, associated, fragment.subarray(EXPLICIT_NONCE_BYTES));
    return plaintext && contentOf(record, plaintext);
  }
}

/** AES-CBC, always encrypt-then-MAC (RFC 7366): nothing is decrypted before its MAC was right. */
class BlockProtection implements Protection {
  readonly #crypto: DtlsCrypto;
  readonly #cipher: BlockCipher;
  readonly #hmac: Hmac;

  constructor(crypto: DtlsCrypto, cipher: BlockCipher, hmac: Hmac) {
    this.#crypto = crypto;
    this.#cipher = cipher;
    this.#hmac = hmac;
  }

  seal(content: Content, sequence: number, connectionId: Uint8Array): Uint8Array {
    const hasId = connectionId.length > 0;
    const plaintext = hasId ? innerPlaintext(content) : content.bytes;
    const type = hasId ? CONTENT_TYPE.connectionId : content.type;
    const fill = BLOCK_BYTES - (plaintext.length % BLOCK_BYTES);
    const padded = new Uint8Array(plaintext.length + fill).fill(fill - 1);
    padded.set(plaintext);
    const iv = this.#crypto.randomBytes(BLOCK_BYTES);
    const sealed = concat([iv, this.#cipher.encrypt(iv, padded)]);
    const head = { type, version: VERSION_1_2, epoch: PROTECTED_EPOCH, sequence, connectionId };
    const mac = this.#hmac([associatedData(head, sealed.length), sealed]);
    const length = sealed.length + MAC_BYTES;
    const record = new Uint8Array(13 + connectionId.length + length);
    const at = writeRecordHeader(record, { ...head, length });
    record.set(sealed, at);
    record.set(mac, at + sealed.length);
    return record;
  }

  open(record: DtlsRecord): Content | undefined {
    const { fragment } = record;
    const length = fragment.length - MAC_BYTES;
    if (length < 2 * BLOCK_BYTES || length % BLOCK_BYTES !== 0) return undefined;
    const sealed = fragment.subarray(0, length);
    const mac = this.#hmac([associatedData(record, length), sealed]);
    if (!this.#crypto.equalSecrets(mac, fragment.subarray(length))) return undefined;
    const padded = this.#cipher.decrypt(sealed.subarray(0, BLOCK_BYTES), sealed.subarray(BLOCK_BYTES));
    const fill = (padded.at(-1) as number) + 1;
    if (fill > padded.length || padded.subarray(padded.length - fill).some((byte) => byte !== fill - 1))
      return undefined;
    return contentOf(record, padded.subarray(0, padded.length - fill));
  }
}

type Head = Omit<DtlsRecord, "fragment">;

/** What is authenticated beside the content. @see RFC 6347 §4.1.2.1, RFC 9146 §5.1, §5.3 */
function associatedData(head: Head, length: number): Uint8Array {
  const { connectionId } = head;
  const hasId = head.type === CONTENT_TYPE.connectionId;
  const data = hasId ? new Uint8Array(23 + connectionId.length).fill(0xff, 0, 8) : shortAssociated;
  if (!hasId) {
    writeUint(data, 0, head.epoch, 2);
    writeUint(data, 2, head.sequence, 6);
    data[8] = head.type;
    writeUint(data, 9, head.version, 2);
    writeUint(data, 11, length, 2);
    return data;
  }
  data[8] = CONTENT_TYPE.connectionId;
  data[9] = connectionId.length;
  data[10] = CONTENT_TYPE.connectionId;
  writeUint(data, 11, head.version, 2);
  writeUint(data, 13, head.epoch, 2);
  writeUint(data, 15, head.sequence, 6);
  data.set(connectionId, 21);
  writeUint(data, 21 + connectionId.length, length, 2);
  return data;
}

/** Content and its type in one; we add no padding. @see RFC 9146 §4 (DTLSInnerPlaintext) */
function innerPlaintext({ type, bytes }: Content): Uint8Array {
  const inner = new Uint8Array(bytes.length + 1);
  inner.set(bytes);
  inner[bytes.length] = type;
  return inner;
}

function contentOf(record: DtlsRecord, plaintext: Uint8Array): Content | undefined {
  if (record.type !== CONTENT_TYPE.connectionId)
    return plaintext.length > MAX_CONTENT_BYTES ? undefined : { type: record.type, bytes: plaintext };
  let end = plaintext.length;
  while (end > 0 && plaintext[end - 1] === 0) end -= 1;
  if (end === 0 || end > MAX_CONTENT_BYTES + 1) return undefined;
  return { type: readUint(plaintext, end - 1, 1), bytes: plaintext.subarray(0, end - 1) };
}
