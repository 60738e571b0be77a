/** Keystreams that are remembered: solving parity reads every chunk as it travelled once for each eight octets of it. */
import type { ZmeshCrypto } from "@airlift/protocol/zmesh/crypto-port";

/** Octets of keystream kept: those of the largest usual image. Beyond, each is made when it is needed. */
export const DEFAULT_MAX_KEYSTREAM_BYTES = 1024 * 1024;

/** The same cryptography with a memory for AES-CTR; it holds keystreams and lives as long as what it was made for. */
export function rememberingKeystreams(
  crypto: ZmeshCrypto,
  maxBytes: number = DEFAULT_MAX_KEYSTREAM_BYTES,
): ZmeshCrypto {
  const streams = new Map<string, Uint8Array>();
  let lastKey: Uint8Array | undefined;
  let sizeBytes = 0;
  const streamOf = (key: Uint8Array, counterBlock: Uint8Array, length: number): Uint8Array => {
    // Another key is another content: what was remembered is of no more use.
    if (lastKey !== key) {
      if (lastKey === undefined || !crypto.isSameTag(lastKey, key)) {
        streams.clear();
        sizeBytes = 0;
      }
      lastKey = key;
    }
    const name = `${length}/${String.fromCharCode(...counterBlock)}`;
    const known = streams.get(name);
    if (known) return known;
    const stream = crypto.aes128Ctr(key, counterBlock, new Uint8Array(length));
    if (sizeBytes + length <= maxBytes) {
      streams.set(name, stream);
      sizeBytes += length;
    }
    return stream;
  };
  return {
    ...crypto,
    aes128Ctr: (key, counterBlock, bytes) => {
      const stream = streamOf(key, counterBlock, bytes.length);
      return bytes.map((octet, i) => octet ^ (stream[i] ?? 0));
    },
  };
}
