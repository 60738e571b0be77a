/** What a file is, as far as its own words go. */
import { PeerError } from "../lib/errors.ts";
import { decodeMcuboot, type McubootImage } from "./mcuboot.ts";
import { decodeMcubootHeader, HEADER_FIELDS_BYTES, isMcuboot } from "./mcuboot-header.ts";
import { type ImageFile, readExactly, truncated } from "./reader.ts";
import { LARGEST_TLV_AREA_BYTES } from "./tlv.ts";

/** Octets without a format of their own: a Linux file system, a delta, an archive. Nothing in them can be signed. */
export interface RawImage {
  readonly format: "raw";
  readonly sizeBytes: number;
}

export type InspectedImage = RawImage | McubootImage;

/**
 * Reads what an image says of itself, without believing it; at most 32 + 131070 octets are read, whatever its size.
 *
 * @throws {PeerError} `IMAGE_EMPTY` for no octets. When the file begins as an MCUboot image does but is not one:
 *   `IMAGE_TRUNCATED`, `IMAGE_HEADER`, `IMAGE_TLV`.
 */
export async function inspectImage({ reader, sizeBytes }: ImageFile): Promise<InspectedImage> {
  if (sizeBytes === 0) throw new PeerError("IMAGE_EMPTY", "an image has at least one octet");
  const head = await readExactly(reader, 0, Math.min(HEADER_FIELDS_BYTES, sizeBytes));
  if (!isMcuboot(head)) return { format: "raw", sizeBytes };
  const { headerSizeBytes, payloadSizeBytes } = decodeMcubootHeader(head);
  const tailOffset = headerSizeBytes + payloadSizeBytes;
  if (tailOffset > sizeBytes) throw truncated(tailOffset, sizeBytes);
  const tailSizeBytes = Math.min(sizeBytes - tailOffset, 2 * LARGEST_TLV_AREA_BYTES);
  return decodeMcuboot(head, await readExactly(reader, tailOffset, tailSizeBytes), sizeBytes);
}
