/** Images on their way in: what has arrived stays, so that an upload that breaks off goes on where it stopped. */

import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { constants, mkdir, open, readdir, readFile, rm, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import { writeFileAtomically } from "@airlift/runtime/atomic-file";
import { appendAll, failReading, failWriting } from "./image-files.ts";
import type { NewUpload, Upload, UploadStore } from "./ports.ts";

export interface UploadOptions {
  /** Largest image. */
  readonly maxImageBytes: number;
  /** Uploads at a time. Default 32. */
  readonly uploadCount?: number;
  /** An upload to which nothing came for so long is deleted. Default 24 h. */
  readonly keptMs?: number;
}

export const DEFAULT_UPLOAD_COUNT = 32;
export const DEFAULT_UPLOAD_KEPT_MS = 24 * 3_600_000;

const ID = /^[0-9a-f]{32}$/;

/** What is written beside the bytes. */
interface Words extends NewUpload {
  /** What came of it; the bytes are gone then. */
  readonly taken?: unknown;
}

export class UploadFiles implements UploadStore {
  readonly #folder: string;
  readonly #options: Required<UploadOptions>;
  /** To which something is being written. */
  readonly #busy = new Set<string>();

  private constructor(folder: string, options: UploadOptions) {
    this.#folder = folder;
    this.#options = { uploadCount: DEFAULT_UPLOAD_COUNT, keptMs: DEFAULT_UPLOAD_KEPT_MS, ...options };
  }

  static async open(folder: string, options: UploadOptions): Promise<UploadFiles> {
    await mkdir(folder, { recursive: true });
    return new UploadFiles(folder, options);
  }

  async begin(upload: NewUpload): Promise<Upload> {
    const { maxImageBytes, uploadCount } = this.#options;
    if (upload.sizeBytes > maxImageBytes)
      throw new UsageError("IMAGE_TOO_LARGE", `the image is larger than ${maxImageBytes} bytes`, {
        maxBytes: maxImageBytes,
      });
    if ((await this.#sweep()) >= uploadCount)
      throw new EnvironmentError("TOO_MANY_UPLOADS", `${uploadCount} uploads are under way; finish or delete one`);
    const id = randomBytes(16).toString("hex");
    try {
      await (await open(this.#bytesOf(id), "wx", 0o600)).close();
      // With this file the upload begins to be one.
      await writeFileAtomically(this.#wordsOf(id), JSON.stringify(upload));
    } catch (error) {
      failWriting(error);
    }
    return await this.get(id);
  }

  async get(id: string): Promise<Upload> {
    const { name, sizeBytes, taken } = await this.#read(id);
    const arrived = taken === undefined ? this.#bytesOf(id) : this.#wordsOf(id);
    const { size, mtimeMs } = await stat(arrived).catch(failUnknown);
    const offset = taken === undefined ? size : sizeBytes;
    return { name, sizeBytes, id, offset, expiresAtMs: Math.floor(mtimeMs + this.#options.keptMs) };
  }

  async append(id: string, offset: number, content: Readable): Promise<Upload> {
    return await this.#alone(id, async () => {
      const upload = await this.get(id);
      if (offset !== upload.offset)
        throw new UsageError("UPLOAD_OFFSET", `the upload goes on at ${upload.offset}, not at ${offset}`, {
          offset: upload.offset,
        });
      // Of one that was taken there are no bytes to write to.
      const file = await open(this.#bytesOf(id), constants.O_WRONLY | constants.O_APPEND).catch(failUnknown);
      try {
        await appendAll(file, content, upload.sizeBytes - offset);
      } finally {
        // What came before it broke off counts.
        await file.sync().catch(() => {});
        await file.close();
      }
      return await this.get(id);
    });
  }

  async take<Result>(id: string, use: (content: Readable, upload: Upload) => Promise<Result>): Promise<Result> {
    return await this.#alone(id, async () => {
      const words = await this.#read(id);
      if (words.taken !== undefined) return words.taken as Result;
      const upload = await this.get(id);
      if (upload.offset < upload.sizeBytes)
        throw new UsageError("UPLOAD_INCOMPLETE", `${upload.offset} of ${upload.sizeBytes} bytes have arrived`, {
          offset: upload.offset,
        });
      const content = createReadStream(this.#bytesOf(id), { highWaterMark: 256 * 1024 });
      content.on("error", failReadingQuietly);
      const taken = await use(content, upload);
      // Before the bytes go: whoever does not hear of it asks again.
      await writeFileAtomically(this.#wordsOf(id), JSON.stringify({ ...words, taken })).catch(failWriting);
      await rm(this.#bytesOf(id), { force: true });
      return taken;
    });
  }

  async delete(id: string): Promise<void> {
    await this.#alone(id, async () => {
      await this.get(id);
      await this.#delete(id);
    });
  }

  async #alone<Result>(id: string, act: () => Promise<Result>): Promise<Result> {
    if (this.#busy.has(id)) throw new UsageError("UPLOAD_BUSY", "this upload is being written to by another request");
    this.#busy.add(id);
    try {
      return await act();
    } finally {
      this.#busy.delete(id);
    }
  }

  async #read(id: string): Promise<Words> {
    if (!ID.test(id)) return failUnknown();
    return JSON.parse(await readFile(this.#wordsOf(id), "utf8").catch(failUnknown)) as Words;
  }

  /** Deletes what nobody goes on with or asks for any more; says how many are under way. */
  async #sweep(): Promise<number> {
    const names = await readdir(this.#folder).catch((error) => failReading(error));
    const oldestMs = Date.now() - this.#options.keptMs;
    let count = 0;
    for (const id of new Set(names.map((name) => name.replace(/\.(bytes|json)$/, "")))) {
      if (!ID.test(id)) continue;
      const bytes = await stat(this.#bytesOf(id)).catch(() => undefined);
      const found = bytes ?? (await stat(this.#wordsOf(id)).catch(() => undefined));
      if (found && found.mtimeMs < oldestMs && !this.#busy.has(id)) await this.#delete(id);
      else if (bytes) count += 1;
    }
    return count;
  }

  async #delete(id: string): Promise<void> {
    await unlink(this.#wordsOf(id)).catch(() => {});
    await rm(this.#bytesOf(id), { force: true });
  }

  readonly #bytesOf = (id: string): string => join(this.#folder, `${id}.bytes`);
  readonly #wordsOf = (id: string): string => join(this.#folder, `${id}.json`);
}

function failUnknown(): never {
  throw new UsageError("UNKNOWN_UPLOAD", "there is no such upload; it was deleted, or forgotten");
}

/** Whoever reads the stream is told; without a listener the process would end. */
const failReadingQuietly = (): void => {};
