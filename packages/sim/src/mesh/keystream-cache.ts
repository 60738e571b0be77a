/** AES-CTR for hundreds of devices with one key: each keystream is made once. For simulation only. */
import { equalBytes } from "@airlift/protocol/lib/bytes";
import type { ZmeshCrypto } from "@airlift/protocol/zmesh/crypto-port";
import { readUint } from "@airlift/protocol/zmesh/fields";

/** Octets of the longest payload. */
const KEYSTREAM_BYTES = 1024 + 8;
const IV_BYTES = 9;

/** The same cryptography, remembering the keystreams of the first key and IV it is used with. */
export function rememberKeystreams(crypto: ZmeshCrypto): ZmeshCrypto {
  const streams = new Map<number, Uint8Array>();
  let owner: { readonly key: Uint8Array; readonly iv: Uint8Array } | undefined;
  return {
    ...crypto,
    aes128Ctr(key, counterBlock, bytes) {
      const iv = counterBlock.subarray(0, IV_BYTES);
      owner ??= { key: key.slice(), iv: iv.slice() };
      if (!equalBytes(key, owner.key) || !equalBytes(iv, owner.iv)) return crypto.aes128Ctr(key, counterBlock, bytes);
      const seq = readUint(counterBlock, IV_BYTES, 3);
      const stream = streams.get(seq) ?? crypto.aes128Ctr(key, counterBlock, new Uint8Array(KEYSTREAM_BYTES));
      streams.set(seq, stream);
      const result = new Uint8Array(bytes.length);
      for (let i = 0; i < bytes.length; i += 1) result[i] = (bytes[i] as number) ^ (stream[i] as number);
      return result;
    },
  };
}
