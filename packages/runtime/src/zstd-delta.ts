/** Makes and undoes differential images with the Zstandard of Node. */
import { createHash } from "node:crypto";
import { pipeline, Readable } from "node:stream";
import { constants, createZstdDecompress, zstdCompressSync } from "node:zlib";
import { DELTA_HEADER_BYTES, type DeltaHeader, encodeDeltaHeader } from "@airlift/protocol/image/delta";
import { CHUNK_BYTES, type ImageFile } from "@airlift/protocol/image/reader";
import { concat, equalBytes } from "@airlift/protocol/lib/bytes";
import { PeerError, UsageError } from "@airlift/protocol/lib/errors";

/** The longest match distance: old and new image have to fit into it together. 2²⁷, what decoders take by themselves. */
const LARGEST_WINDOW_LOG = 27;
const SMALLEST_WINDOW_LOG = 10;
const LEVEL = 19;

/**
 * The delta that makes `image` from `base`; both are in memory, and so is the result.
 *
 * @throws {UsageError} DELTA_SIZE when the two have more than 128 MiB together.
 */
export function encodeZstdDelta(base: Uint8Array, image: Uint8Array): Uint8Array<ArrayBuffer> {
  const windowLog = Math.max(SMALLEST_WINDOW_LOG, Math.ceil(Math.log2(base.length + image.length + 1)));
  if (windowLog > LARGEST_WINDOW_LOG) {
    throw new UsageError("DELTA_SIZE", "too large for a delta", { sizeBytes: base.length + image.length });
  }
  const frame = zstdCompressSync(image, {
    dictionary: base,
    params: {
      [constants.ZSTD_c_compressionLevel]: LEVEL,
      [constants.ZSTD_c_windowLog]: windowLog,
      [constants.ZSTD_c_enableLongDistanceMatching]: 1,
      [constants.ZSTD_c_checksumFlag]: 1,
    },
  });
  return concat([
    encodeDeltaHeader({
      baseSizeBytes: base.length,
      imageSizeBytes: image.length,
      baseSha256: sha256(base),
      imageSha256: sha256(image),
    }),
    frame,
  ]);
}

/**
 * The new image, piece by piece. `base` is in memory, of the image as much as the window holds.
 *
 * @throws {PeerError} DELTA_BASE: `base` is not the one that the delta was made from. DELTA_CONTENT: it is damaged, or
 *   what comes out is not what it says; pieces may have come before.
 */
export async function* decodeZstdDelta(
  base: Uint8Array,
  delta: ImageFile,
  header: DeltaHeader,
): AsyncGenerator<Uint8Array, void, void> {
  if (base.length !== header.baseSizeBytes || !equalBytes(sha256(base), header.baseSha256)) {
    throw new PeerError("DELTA_BASE", "the delta was made from another image");
  }
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for await (const piece of decompress(base, delta)) {
    sizeBytes += piece.length;
    if (sizeBytes > header.imageSizeBytes) throw damaged("more comes out than it says");
    hash.update(piece);
    yield piece;
  }
  if (sizeBytes !== header.imageSizeBytes || !equalBytes(hash.digest(), header.imageSha256)) {
    throw damaged("what comes out is not what it says");
  }
}

async function* decompress(base: Uint8Array, delta: ImageFile): AsyncGenerator<Uint8Array, void, void> {
  const params = { [constants.ZSTD_d_windowLogMax]: LARGEST_WINDOW_LOG };
  const decompressor = createZstdDecompress({ dictionary: base, params });
  // What fails comes out of the last stream; the callback is for nobody.
  pipeline(Readable.from(pieces(delta)), decompressor, () => undefined);
  try {
    for await (const piece of decompressor) yield piece as Uint8Array;
  } catch (cause) {
    const { code } = cause as { code?: unknown };
    const isOfContent = typeof code === "string" && (code.startsWith("ZSTD_") || code === "Z_BUF_ERROR");
    if (isOfContent) throw damaged("not a Zstandard frame of this base", cause);
    throw cause;
  }
}

async function* pieces({ reader, sizeBytes }: ImageFile): AsyncGenerator<Uint8Array, void, void> {
  for (let offset = DELTA_HEADER_BYTES; offset < sizeBytes; ) {
    const bytes = await reader.read(offset, Math.min(CHUNK_BYTES, sizeBytes - offset));
    if (bytes.length === 0) throw damaged("it ends too early");
    offset += bytes.length;
    yield Uint8Array.from(bytes);
  }
}

function damaged(message: string, cause?: unknown): PeerError {
  return new PeerError("DELTA_CONTENT", message, {}, { cause });
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}
