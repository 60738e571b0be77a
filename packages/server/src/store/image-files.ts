/** The bytes of the images: one file each, named by its SHA-256, complete or not there. */
import { createHash, randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { EnvironmentError, PeerError, UsageError } from "@airlift/protocol/lib/errors";
import type { ImageReader } from "./ports.ts";

/** A file that is written and on disk, but does not count yet. */
export interface ReceivedFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
}

const UNFINISHED = ".part";
const MOST_DRAINED_BYTES = 64 * 2 ** 20;

export class ImageFiles {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the folder when it is missing, and deletes what a crash left unfinished. */
  static async open(folder: string, quietMs = 0): Promise<ImageFiles> {
    await mkdir(folder, { recursive: true });
    const names = await readdir(folder);
    const unfinished = names.filter((name) => name.endsWith(UNFINISHED)).map((name) => join(folder, name));
    await Promise.all(unfinished.map((path) => removeQuiet(path, quietMs)));
    return new ImageFiles(folder);
  }

  /** Where the image with this SHA-256 (hex) lies. */
  pathOf(sha256: string): string {
    return join(this.#folder, sha256);
  }

  /**
   * Writes `content` to a file of its own; `keep` or `discard` it. When this throws, there is no file.
   *
   * @throws {UsageError} IMAGE_EMPTY, IMAGE_TOO_LARGE
   * @throws {PeerError} UPLOAD_CUT
   * @throws {EnvironmentError} DISK_FULL, IMAGE_WRITE
   */
  async receive(content: Readable, maxBytes: number): Promise<ReceivedFile> {
    // It may break before anybody reads it.
    content.on("error", () => {});
    const path = join(this.#folder, `${randomBytes(8).toString("hex")}${UNFINISHED}`);
    const file = await open(path, "wx").catch(failWriting);
    try {
      const received = await writeAll(file, content, maxBytes);
      await file.sync().catch(failWriting);
      return { path, ...received };
    } catch (error) {
      await rm(path, { force: true });
      await drain(content);
      throw error;
    } finally {
      await file.close();
    }
  }

  /** Gives a received file its name, so that it outlives a power cut from here on. */
  async keep(received: ReceivedFile): Promise<void> {
    try {
      await rename(received.path, this.pathOf(received.sha256));
      const folder = await open(this.#folder, "r");
      await folder.sync().finally(() => folder.close());
    } catch (error) {
      failWriting(error);
    }
  }

  async discard(received: ReceivedFile): Promise<void> {
    await rm(received.path, { force: true });
  }
}

/** Another server may have finished, or removed, it meanwhile. */
async function removeQuiet(path: string, quietMs: number): Promise<void> {
  const writtenAtMs = await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  );
  if (writtenAtMs !== undefined && Date.now() - writtenAtMs >= quietMs) await rm(path, { force: true });
}

/**
 * Runs `use` with a reader of the file at `path`.
 *
 * @throws {EnvironmentError} IMAGE_READ
 */
export async function withReader<Result>(path: string, use: (read: ImageReader) => Promise<Result> | Result) {
  const file = await open(path, "r").catch((error) => failReading(error));
  try {
    return await use((offset, length) => readFully(file, offset, length));
  } finally {
    await file.close();
  }
}

/** Octets of a file; fewer than `length` at its end. */
export async function readFully(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled).catch(failReading);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

export function failReading(error: unknown): never {
  throw new EnvironmentError("IMAGE_READ", "the image's file cannot be read", factsOf(error), { cause: error });
}

async function writeAll(file: FileHandle, content: Readable, maxBytes: number) {
  const hash = createHash("sha256");
  const sizeBytes = await appendAll(file, content, maxBytes, (chunk) => hash.update(chunk));
  if (sizeBytes === 0) throw new UsageError("IMAGE_EMPTY", "the image is empty");
  return { sizeBytes, sha256: hash.digest("hex") };
}

/**
 * Writes a stream to the end of a file; says how many octets came.
 *
 * @throws {UsageError} IMAGE_TOO_LARGE when more than `maxBytes` come; the chunk that is too long is not written.
 * @throws {PeerError} UPLOAD_CUT. @throws {EnvironmentError} DISK_FULL, IMAGE_WRITE
 */
export async function appendAll(
  file: FileHandle,
  content: Readable,
  maxBytes: number,
  onChunk?: (chunk: Uint8Array) => void,
): Promise<number> {
  let sizeBytes = 0;
  for await (const chunk of uncut(content)) {
    if (sizeBytes + chunk.length > maxBytes)
      throw new UsageError("IMAGE_TOO_LARGE", `the image is larger than ${maxBytes} bytes`, { maxBytes });
    sizeBytes += chunk.length;
    onChunk?.(chunk);
    await file.writeFile(chunk).catch(failWriting);
  }
  return sizeBytes;
}

/** The chunks of a stream; one that breaks off is told from our own failures. */
async function* uncut(content: Readable): AsyncGenerator<Uint8Array> {
  const chunks = content[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  for (;;) {
    const next = await chunks.next().catch((error: unknown) => {
      throw new PeerError("UPLOAD_CUT", "the upload broke off", factsOf(error), { cause: error });
    });
    if (next.done === true) return;
    yield next.value;
  }
}

/** Reads on for a while, so that a sender who is still sending gets to hear why it was refused. */
async function drain(content: Readable): Promise<void> {
  let sizeBytes = 0;
  try {
    for await (const chunk of content) {
      sizeBytes += (chunk as Uint8Array).length;
      if (sizeBytes > MOST_DRAINED_BYTES) break;
    }
  } catch {
    // The sender has left.
  }
}

export function failWriting(error: unknown): never {
  const facts = factsOf(error);
  if (facts.reason === "ENOSPC" || facts.reason === "EDQUOT")
    throw new EnvironmentError("DISK_FULL", "no space is left for the image", facts, { cause: error });
  throw new EnvironmentError("IMAGE_WRITE", "the image's file cannot be written", facts, { cause: error });
}

const factsOf = (error: unknown) => ({ reason: (error as NodeJS.ErrnoException).code ?? String(error) });
