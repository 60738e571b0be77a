/** New inputs out of old ones. */
import type { Random } from "@airlift/protocol/lib/core";

const INTERESTING = [0x00, 0x01, 0x0d, 0x0e, 0x0f, 0x7f, 0x80, 0xd0, 0xe0, 0xf0, 0xff];
const MAX_LENGTH = 4_096;

/** One input made from the corpus by one to eight changes. */
export function mutate(corpus: readonly Uint8Array[], random: Random): Uint8Array {
  const pick = (count: number): number => Math.floor(random() * count);
  let bytes = (corpus[pick(corpus.length)] ?? new Uint8Array()).slice();
  for (let changes = 1 + pick(8); changes > 0; changes -= 1) {
    const at = pick(bytes.length + 1);
    switch (pick(6)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << pick(8));
        break;
      case 1:
        if (at < bytes.length) bytes[at] = INTERESTING[pick(INTERESTING.length)] ?? 0;
        break;
      case 2:
        bytes = joined(bytes.subarray(0, at), Uint8Array.of(pick(256)), bytes.subarray(at));
        break;
      case 3:
        bytes = joined(bytes.subarray(0, at), bytes.subarray(at + 1 + pick(8)));
        break;
      case 4:
        bytes = bytes.slice(0, at);
        break;
      default: {
        const other = corpus[pick(corpus.length)] ?? new Uint8Array();
        bytes = joined(bytes.subarray(0, at), other.subarray(pick(other.length + 1)));
      }
    }
  }
  return bytes.slice(0, MAX_LENGTH);
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts));
}
