/** What a content frame is: SEQ alone tells once K is known, and End alone can tell K. */
import { PeerError } from "../lib/errors.ts";
import { chunkBytesOf, dataCountOf, kindOfSeq, possibleChunkBytes, repairOfSeq, tagBytesOf } from "./chunking.ts";
import type { ContentCipher } from "./content-cipher.ts";
import type { ContentProfile } from "./content-proof.ts";
import { type Begin, decodeBegin, decodeEnd, END_BYTES, type End, REPAIR_SCHEME } from "./messages.ts";
import type { Schedule } from "./schedule.ts";

/** One content frame, and what the content is according to it. */
export type Reading = { readonly profile: ContentProfile | undefined } & (
  | { readonly kind: "begin"; readonly begin: Begin }
  | { readonly kind: "data"; readonly chunk: number; readonly payload: Uint8Array }
  | { readonly kind: "end"; readonly end: End }
  | { readonly kind: "repair"; readonly n: number; readonly payload: Uint8Array }
);

/** What a receiver knows before it looks. */
export interface ContentContext {
  readonly schedule: Schedule;
  /** From the manifest, or an earlier message. */
  readonly profile: ContentProfile | undefined;
  readonly cipher: ContentCipher;
}

/**
 * Reads the payload of one content frame. Data and parity stay as they travelled. Where the MTU leaves a sender two chunks
 * and both make K packets, the first Data message shows which one it is, and the reading's profile says so.
 *
 * @throws {PeerError} What the decoders throw; `NUM_PACKETS` when it contradicts what is known; `SEQ_UNKNOWN` when nothing has
 *   said yet what SEQ stands for.
 */
export function readContent(
  { seq, payload }: { readonly seq: number; readonly payload: Uint8Array },
  context: ContentContext,
): Reading {
  const { cipher, schedule, profile } = context;
  if (seq === 0) {
    const begin = decodeBegin(cipher.open(seq, payload));
    return { kind: "begin", begin, profile: profileOf(begin, context) };
  }
  if (profile === undefined) {
    // Only End is as long as End and names the SEQ it came with.
    if (payload.length !== END_BYTES + tagBytesOf(schedule.encType)) throw unknown(seq);
    const end = decodeEnd(cipher.open(seq, payload));
    if (end.dataCount !== seq - 1) throw unknown(seq);
    return { kind: "end", end, profile: profileOf(end, context, end.repairScheme) };
  }
  switch (kindOfSeq(seq, profile.dataCount)) {
    case "end": {
      const end = decodeEnd(cipher.open(seq, payload));
      return { kind: "end", end, profile: profileOf(end, context, end.repairScheme) };
    }
    case "repair":
      return { kind: "repair", n: repairOfSeq(profile.dataCount, seq), payload, profile };
    default:
      return { kind: "data", chunk: seq, payload, profile: profileByPayload(profile, payload, schedule) };
  }
}

function profileByPayload(profile: ContentProfile, payload: Uint8Array, schedule: Schedule): ContentProfile {
  const chunkBytes = payload.length - tagBytesOf(schedule.encType);
  if (chunkBytes === profile.chunkBytes) return profile;
  const isPossible = possibleChunkBytes(schedule.mtuBytes, schedule.encType).includes(chunkBytes);
  if (!isPossible || dataCountOf(profile.lengthBytes, chunkBytes) !== profile.dataCount) return profile;
  return { ...profile, chunkBytes };
}

function profileOf(begin: Begin, { schedule, profile }: ContentContext, scheme?: End["repairScheme"]): ContentProfile {
  const { lengthBytes, crc32, dataCount } = begin;
  if (profile) {
    const isSameSum = profile.crc32 === undefined || profile.crc32 === crc32;
    if (profile.lengthBytes !== lengthBytes || profile.dataCount !== dataCount || !isSameSum)
      throw new PeerError("NUM_PACKETS", "contradicts what is known of the content", { ...begin });
    // A manifest's profile has no CRC, and takes none from a message that anybody may have made.
    return { ...profile, repairScheme: scheme ?? profile.repairScheme };
  }
  const chunkBytes = chunkBytesOf(lengthBytes, dataCount, possibleChunkBytes(schedule.mtuBytes, schedule.encType));
  return { lengthBytes, crc32, dataCount, chunkBytes, repairScheme: scheme ?? REPAIR_SCHEME.hashedRows };
}

const unknown = (seq: number): PeerError =>
  new PeerError("SEQ_UNKNOWN", "nothing has said yet what this SEQ stands for", { seq });
