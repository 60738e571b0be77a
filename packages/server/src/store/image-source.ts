/**
 * Reads of images for block-wise transfers: thousands of devices each take a kilobyte at a time, mostly the next one.
 *
 * Files are read in pages, a bounded number of which stay in memory, least recently used first to go; the page after the
 * one in use is read ahead. A page is one open, read and close: at 64 KiB that is 320 a second for 20 MB/s, so no file
 * is kept open.
 */
import { open } from "node:fs/promises";
import { failReading, readFully } from "./image-files.ts";
import type { ImageSource } from "./ports.ts";

export interface PageCacheOptions {
  /** Default 64 KiB. */
  readonly pageBytes?: number;
  /** How much memory the pages may take. Default 128 MiB. */
  readonly capacityBytes?: number;
}

/** The file of one image. */
export interface ImageFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
}

export class PageCache {
  readonly #pageBytes: number;
  readonly #capacity: number;
  /** The order of the entries is that of use. */
  readonly #pages = new Map<string, Uint8Array>();
  readonly #loads = new Map<string, Promise<Uint8Array>>();

  constructor(options: PageCacheOptions = {}) {
    this.#pageBytes = options.pageBytes ?? 64 * 1024;
    this.#capacity = Math.max(2, Math.floor((options.capacityBytes ?? 128 * 1024 * 1024) / this.#pageBytes));
  }

  /** How many pages are in memory. */
  get pageCount(): number {
    return this.#pages.size;
  }

  sourceOf(file: ImageFile): ImageSource {
    return {
      sizeBytes: file.sizeBytes,
      etag: Uint8Array.from(Buffer.from(file.sha256.slice(0, 16), "hex")),
      read: (offset, length) => this.#read(file, offset, length),
    };
  }

  #read(file: ImageFile, offset: number, length: number): Uint8Array | Promise<Uint8Array> {
    const end = Math.min(offset + length, file.sizeBytes);
    if (end <= offset) return new Uint8Array(0);
    const first = Math.floor(offset / this.#pageBytes);
    const last = Math.floor((end - 1) / this.#pageBytes);
    if (first !== last) return this.#readAcross(file, offset, end);
    const start = first * this.#pageBytes;
    const page = this.#hit(file, first);
    if (page === undefined)
      return this.#load(file, first).then((loaded) => loaded.subarray(offset - start, end - start));
    if (end - start > this.#pageBytes / 2) this.#readAhead(file, first + 1);
    return page.subarray(offset - start, end - start);
  }

  async #readAcross(file: ImageFile, offset: number, end: number): Promise<Uint8Array> {
    const whole = new Uint8Array(end - offset);
    for (let at = offset; at < end; ) {
      const number = Math.floor(at / this.#pageBytes);
      const start = number * this.#pageBytes;
      const page = this.#hit(file, number) ?? (await this.#load(file, number));
      const part = page.subarray(at - start, end - start);
      whole.set(part, at - offset);
      at += part.length;
    }
    return whole;
  }

  #hit(file: ImageFile, number: number): Uint8Array | undefined {
    const key = `${file.sha256}/${number}`;
    const page = this.#pages.get(key);
    if (page === undefined) return undefined;
    this.#pages.delete(key);
    this.#pages.set(key, page);
    return page;
  }

  #readAhead(file: ImageFile, number: number): void {
    if (number * this.#pageBytes >= file.sizeBytes || this.#pages.has(`${file.sha256}/${number}`)) return;
    // The read that needs the page meets the failure itself.
    this.#load(file, number).catch(() => {});
  }

  #load(file: ImageFile, number: number): Promise<Uint8Array> {
    const key = `${file.sha256}/${number}`;
    const running = this.#loads.get(key);
    if (running !== undefined) return running;
    const load = this.#readPage(file, number)
      .then((page) => {
        this.#pages.set(key, page);
        for (const oldest of this.#pages.keys()) {
          if (this.#pages.size <= this.#capacity) break;
          this.#pages.delete(oldest);
        }
        return page;
      })
      .finally(() => this.#loads.delete(key));
    this.#loads.set(key, load);
    return load;
  }

  async #readPage(file: ImageFile, number: number): Promise<Uint8Array> {
    const start = number * this.#pageBytes;
    const length = Math.min(this.#pageBytes, file.sizeBytes - start);
    const handle = await open(file.path, "r").catch(failReading);
    try {
      const page = await readFully(handle, start, length);
      return page.length === length ? page : failReading(new Error("it is shorter than it was"));
    } finally {
      await handle.close();
    }
  }
}
