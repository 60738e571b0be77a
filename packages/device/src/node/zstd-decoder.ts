/** Differential images as `protocol/image/delta` describes them. */
import { DELTA_HEADER_BYTES, decodeDeltaHeader, isDelta } from "@airlift/protocol/image/delta";
import { readExactly } from "@airlift/protocol/image/reader";
import { toHex } from "@airlift/protocol/lib/bytes";
import { PeerError } from "@airlift/protocol/lib/errors";
import { decodeZstdDelta } from "@airlift/runtime/zstd-delta";
import type { BaseImage, DecodeOptions, ImageDecoder } from "../image-decoder.ts";
import { HandlerError } from "../ports.ts";

/** 64 MiB: with the window of the decoder no more than 200 MiB of memory while it decodes. */
export const DEFAULT_MAX_BASE_BYTES = 64 * 2 ** 20;

export interface ZstdDecoderOptions {
  /** A base that is larger is not taken into memory: unsupportedPackage. Default `DEFAULT_MAX_BASE_BYTES`. */
  readonly maxBaseBytes?: number;
}

/** For `createSlots({ decoders })`. The running image is in memory as long as a package is decoded. */
export function createZstdDecoder({ maxBaseBytes = DEFAULT_MAX_BASE_BYTES }: ZstdDecoderOptions = {}): ImageDecoder {
  return { recognises: isDelta, decode: (options) => decode(options, maxBaseBytes) };
}

async function* decode(
  { base, package: delta, maxImageBytes }: DecodeOptions,
  maxBaseBytes: number,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    const header = decodeDeltaHeader(await readExactly(delta.reader, 0, DELTA_HEADER_BYTES));
    if (base === undefined || base.sha256 !== toHex(header.baseSha256)) {
      throw unsupported(`made from ${toHex(header.baseSha256).slice(0, 12)}, which does not run here`);
    }
    if (header.imageSizeBytes > maxImageBytes) throw new HandlerError("noFlash", "the image would be too large");
    yield* decodeZstdDelta(await inMemory(base, maxBaseBytes), delta, header);
  } catch (cause) {
    if (!(cause instanceof PeerError)) throw cause;
    const result = cause.code === "DELTA_BASE" ? "unsupportedPackage" : "integrityFailed";
    throw new HandlerError(result, cause.message, { cause });
  }
}

async function inMemory({ reader, sizeBytes }: BaseImage, maxBaseBytes: number): Promise<Uint8Array> {
  if (sizeBytes > maxBaseBytes) throw unsupported(`the running image has more than ${maxBaseBytes} octets`);
  return readExactly(reader, 0, sizeBytes);
}

function unsupported(message: string): HandlerError {
  return new HandlerError("unsupportedPackage", message);
}
