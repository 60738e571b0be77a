/** CRC-32 of IEEE 802.3, as in zlib and PNG: reflected, initial and final 0xFFFFFFFF. An error check, never a proof of who sent. */

/**
 * The checksum of `bytes`, or of what came before and `bytes`.
 *
 * @param before The checksum of the octets before these; 0 at the beginning.
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  for (const byte of bytes) crc = (crc >>> 8) ^ (TABLE[(crc ^ byte) & 0xff] ?? 0);
  return ~crc >>> 0;
}

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb8_8320 : value >>> 1;
  return value;
});
