/** Brings an image to the server in pieces. What has arrived stays there: a lost line, or a closed page, costs one piece. */
import type { AddedImage, NewUpload, Upload } from "@airlift/protocol/api/schemas";
import { ApiError, ask, isUnanswered } from "../api/request.ts";
import { readStored, writeStored } from "../parts/stored.ts";

/** What an upload is about; the file's size is known from the file. */
export interface ImageNames extends Omit<NewUpload, "sizeBytes"> {
  readonly hardware: string[];
}

/** Why an upload waits, and for the how manieth time in a row. */
export interface UploadPause {
  readonly reason: string;
  readonly tryCount: number;
}

export interface UploadSteps {
  readonly onProgress: (sentBytes: number) => void;
  /** The server cannot be reached now; undefined = it can again. */
  readonly onPause: (pause: UploadPause | undefined) => void;
  readonly signal: AbortSignal;
}

/** Sent again at most when a line breaks, and how often progress is seen. */
const PIECE_BYTES = 512 * 1024;
const RETRY_MS = 1000;
const LONGEST_RETRY_MS = 15_000;
/** In a row and in vain, before the viewer is asked: about nine minutes, in which a server is updated or a line comes back. */
export const MOST_TRIES = 40;

/** What is remembered of an upload that has not been finished, to find it again after the page was closed. */
export interface RememberedUpload {
  readonly id: string;
  readonly names: ImageNames;
}

/** The same file, as far as a browser tells. */
const keyOf = ({ name, size, lastModified }: File): string => `upload.${name}.${size}.${lastModified}`;

export const rememberedUpload = (file: File): RememberedUpload | undefined =>
  readStored<RememberedUpload | undefined>(keyOf(file), undefined);

const forgetUpload = (file: File): void => writeStored(keyOf(file), undefined);

/**
 * The image as the server keeps it; goes on where an earlier try with this file and these names ended.
 *
 * @throws {ApiError} when the server refuses it. @throws {DOMException} AbortError
 */
export async function uploadImage(file: File, names: ImageNames, steps: UploadSteps): Promise<AddedImage> {
  const upload = await patiently(
    steps,
    async () => (await findUpload(file, names, steps)) ?? (await beginUpload(file, names)),
  );
  for (let { offset } = upload; offset < file.size; ) {
    steps.onProgress(offset);
    offset = await patiently(steps, async (isRetry) => {
      // Some of a piece may have arrived, or all of it and only the answer got lost.
      const from = isRetry ? (await stateOf(upload.id, steps.signal)).offset : offset;
      return from >= file.size ? from : (await sendPiece(upload.id, file, { from, signal: steps.signal })).offset;
    });
  }
  steps.onProgress(file.size);
  // Asked again, the server says again what came of it.
  const image = await patiently(steps, () =>
    ask<AddedImage>(`uploads/${upload.id}/finish`, { method: "POST", isRepeatable: true, signal: steps.signal }),
  );
  forgetUpload(file);
  return image;
}

async function findUpload(file: File, names: ImageNames, { signal }: UploadSteps): Promise<Upload | undefined> {
  const known = rememberedUpload(file);
  if (known === undefined || JSON.stringify(known.names) !== JSON.stringify(names)) return undefined;
  try {
    return await stateOf(known.id, signal);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

async function beginUpload(file: File, names: ImageNames): Promise<Upload> {
  const body: NewUpload = { ...names, sizeBytes: file.size };
  const upload = await ask<Upload>("uploads", { method: "POST", body });
  writeStored(keyOf(file), { id: upload.id, names } satisfies RememberedUpload);
  return upload;
}

const stateOf = (id: string, signal: AbortSignal): Promise<Upload> => ask(`uploads/${id}`, { signal });

const sendPiece = (id: string, file: File, { from, signal }: { from: number; signal: AbortSignal }): Promise<Upload> =>
  ask(`uploads/${id}`, {
    method: "PATCH",
    body: file.slice(from, from + PIECE_BYTES),
    headers: { "upload-offset": `${from}` },
    signal,
  });

/** A server that is away, or whom a proxy cannot reach, is asked again, less and less often. */
async function patiently<Result>(
  { onPause, signal }: UploadSteps,
  attempt: (isRetry: boolean) => Promise<Result>,
): Promise<Result> {
  for (let tryCount = 1; ; tryCount += 1) {
    try {
      const result = await attempt(tryCount > 1);
      onPause(undefined);
      return result;
    } catch (error) {
      if (!mayPass(error) || tryCount === MOST_TRIES) throw error;
      onPause({ reason: error instanceof Error ? error.message : String(error), tryCount });
      await pause(Math.min(LONGEST_RETRY_MS, RETRY_MS * 2 ** (tryCount - 1)), signal);
    }
  }
}

const MAY_PASS: readonly string[] = ["UPLOAD_BUSY", "UPLOAD_CUT", "IDEMPOTENCY_RUNNING"];

const mayPass = (error: unknown): boolean =>
  isUnanswered(error) || (error instanceof ApiError && MAY_PASS.includes(error.code));

/** @throws {DOMException} AbortError */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("stopped", "AbortError"));
    });
  });
}
