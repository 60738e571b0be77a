/** Brings an image to the server in pieces, over as many connections as it takes. */
import { setTimeout as sleep } from "node:timers/promises";
import type { AddedImage } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { Client, UploadName } from "./client.ts";
import { isAway, RefusedError } from "./failure.ts";

export interface UploadOptions {
  readonly name: UploadName;
  readonly onProgress?: (sentBytes: number, wholeBytes: number) => void;
  /** The server cannot be reached now; the upload goes on when it can. */
  readonly onPause?: (reason: string) => void;
  /** How often a piece is tried in vain before it is given up. Default 8: some minutes. */
  readonly attemptCount?: number;
  /** Before the second attempt; doubled before each later one. Default 1 s. */
  readonly retryMs?: number;
}

/** What is sent again at most when a connection breaks. */
const PIECE_BYTES = 4 * 2 ** 20;
const LONGEST_RETRY_MS = 60_000;

/**
 * The image as the server keeps it.
 *
 * @throws {UsageError} IMAGE_EMPTY. @throws {RefusedError} with the server's code. @throws {EnvironmentError} UNREACHABLE when it stays away.
 */
export async function uploadImage(client: Client, content: Blob, options: UploadOptions): Promise<AddedImage> {
  if (content.size === 0) throw new UsageError("IMAGE_EMPTY", "the image is empty");
  // Whoever cannot be reached at the first word is more likely a wrong URL than a broken line.
  const upload = await client.beginUpload(options.name, content.size);
  for (let { offset } = upload; offset < content.size; ) {
    options.onProgress?.(offset, content.size);
    const from = offset;
    offset = await patiently(options, async (isRetry) => {
      // Some of the piece may have arrived, or all of it and only the answer got lost.
      const start = isRetry ? (await client.uploadState(upload.id)).offset : from;
      if (start >= content.size) return start;
      return (await client.uploadPiece(upload.id, start, content.slice(start, start + PIECE_BYTES))).offset;
    });
  }
  options.onProgress?.(content.size, content.size);
  return await patiently(options, () => client.finishUpload(upload.id));
}

async function patiently<Result>(
  { attemptCount = 8, retryMs = 1000, onPause }: UploadOptions,
  attempt: (isRetry: boolean) => Promise<Result>,
): Promise<Result> {
  for (let count = 1; ; count += 1) {
    try {
      return await attempt(count > 1);
    } catch (error) {
      if (!mayPass(error) || count >= attemptCount) throw error;
      onPause?.(error instanceof Error ? error.message : String(error));
      await sleep(Math.min(LONGEST_RETRY_MS, retryMs * 2 ** (count - 1)));
    }
  }
}

/** A refusal stays one, but for a server that says it is busy, or that a piece of ours is still being written. */
function mayPass(error: unknown): boolean {
  return isAway(error) || (error instanceof RefusedError && error.code === "UPLOAD_BUSY");
}
