/** A package as base64 text, for devices that take it as text/plain only (LwM2M 1.2 annex C, opaque in plain text). */
import type { BlockSource } from "@airlift/protocol/coap/body";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { encodeBase64 } from "@airlift/protocol/lwm2m/base64";

const OCTETS = 3;
const LETTERS = 4;

/** The text of `source`, made where it is read: a third longer, and never whole in memory. */
export function base64Source(source: BlockSource): BlockSource {
  const sizeBytes = LETTERS * Math.ceil(source.sizeBytes / OCTETS);
  return {
    sizeBytes,
    async read(offset, length) {
      const end = Math.min(offset + length, sizeBytes);
      const firstGroup = Math.floor(offset / LETTERS);
      const groupCount = Math.ceil(end / LETTERS) - firstGroup;
      const start = firstGroup * OCTETS;
      const octets = await source.read(start, Math.min(groupCount * OCTETS, source.sizeBytes - start));
      const text = encodeUtf8(encodeBase64(octets, "standard"));
      return text.subarray(offset - firstGroup * LETTERS, end - firstGroup * LETTERS);
    },
  };
}
