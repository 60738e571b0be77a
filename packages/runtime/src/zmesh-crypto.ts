/** The cryptography of Z-Mesh on node:crypto, which has all of it but the CMAC. */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  randomBytes as drawBytes,
  timingSafeEqual,
} from "node:crypto";
import type { CcmParameters, ZmeshCrypto } from "@airlift/protocol/zmesh/crypto-port";

// Node 24 takes twice as long over raw octets: it finds out by an exception that they are no KeyObject.

/** The port of `@airlift/protocol/zmesh`. */
export const zmeshCrypto: ZmeshCrypto = {
  aes128Ctr: (key, counterBlock, bytes) =>
    plain(createCipheriv("aes-128-ctr", createSecretKey(key), counterBlock).update(bytes)),
  aes128CcmSeal,
  aes128CcmOpen,
  aes128Cmac,
  sha256: (...parts) => sha256Of(parts),
  sha256Of,
  randomBytes: (sizeBytes) => plain(drawBytes(sizeBytes)),
  isSameTag: (a, b) => a.length === b.length && timingSafeEqual(a, b),
};

function sha256Of(parts: Iterable<Uint8Array>): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return plain(hash.digest());
}

function aes128CcmSeal({ key, nonce, aad, tagBytes }: CcmParameters, message: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-128-ccm", createSecretKey(key), nonce, { authTagLength: tagBytes });
  cipher.setAAD(aad, { plaintextLength: message.length });
  const sealed = cipher.update(message);
  cipher.final();
  return plain(Buffer.concat([sealed, cipher.getAuthTag()]));
}

function aes128CcmOpen({ key, nonce, aad, tagBytes }: CcmParameters, sealed: Uint8Array): Uint8Array | undefined {
  const plaintextLength = sealed.length - tagBytes;
  if (plaintextLength < 0) return undefined;
  const decipher = createDecipheriv("aes-128-ccm", createSecretKey(key), nonce, { authTagLength: tagBytes });
  decipher.setAuthTag(sealed.subarray(plaintextLength));
  decipher.setAAD(aad, { plaintextLength });
  const message = decipher.update(sealed.subarray(0, plaintextLength));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return plain(message);
}

/** The last block of AES-128-CBC over the message whose last block was changed with a subkey (RFC 4493 §2.4). */
function aes128Cmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  const isWhole = message.length > 0 && message.length % BLOCK_BYTES === 0;
  const blocks = new Uint8Array(Math.max(1, Math.ceil(message.length / BLOCK_BYTES)) * BLOCK_BYTES);
  blocks.set(message);
  if (!isWhole) blocks[message.length] = 0x80;
  const first = doubled(encryptBlocks(key, new Uint8Array(BLOCK_BYTES)));
  const subkey = isWhole ? first : doubled(first);
  const lastAt = blocks.length - BLOCK_BYTES;
  for (let i = 0; i < BLOCK_BYTES; i += 1) blocks[lastAt + i] = (blocks[lastAt + i] ?? 0) ^ (subkey[i] ?? 0);
  return encryptBlocks(key, blocks).slice(lastAt);
}

const BLOCK_BYTES = 16;
const ZERO_IV = new Uint8Array(BLOCK_BYTES);

/** CBC from a zero IV; of one block, that is the bare cipher. */
function encryptBlocks(key: Uint8Array, blocks: Uint8Array): Uint8Array {
  return plain(createCipheriv("aes-128-cbc", createSecretKey(key), ZERO_IV).setAutoPadding(false).update(blocks));
}

/** Times x in GF(2¹²⁸) (RFC 4493 §2.3). */
function doubled(block: Uint8Array): Uint8Array {
  const shifted = block.map((byte, i) => (byte << 1) | ((block[i + 1] ?? 0) >> 7));
  if (((block[0] ?? 0) & 0x80) !== 0) shifted[BLOCK_BYTES - 1] = (shifted[BLOCK_BYTES - 1] ?? 0) ^ 0x87;
  return shifted;
}

/** The same octets as a Uint8Array and nothing more: a Buffer slices differently. */
function plain(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
