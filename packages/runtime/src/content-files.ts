/**
 * The disk of a Z-Mesh content store: one file a content, to which payloads are appended, and one for the names that are taken.
 *
 * A record is SEQ(3) ‖ length(2) ‖ payload ‖ CRC32(4). A power cut leaves at most a torn end, which is cut off at the next start.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { fromHex, toHex } from "@airlift/protocol/lib/bytes";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { ContentDisk } from "@airlift/protocol/zmesh/content-disk";
import type { Claim } from "@airlift/protocol/zmesh/release-ledger";
import { syncFolder } from "./atomic-file.ts";

const HEAD_BYTES = 5;
const CRC_BYTES = 4;
const CLAIMS_FILE = "claims.jsonl";
const CONTENT_FILE = /^([0-9a-f]{12})\.content$/;

/** A file that only grows. */
interface Log {
  readonly file: FileHandle;
  endOffset: number;
  /** Appends wait for each other. */
  last: Promise<unknown>;
}

/** One content's file and where each payload lies in it. */
interface Stored {
  readonly log: Log;
  readonly places: Map<number, { readonly offset: number; readonly sizeBytes: number }>;
}

export class ContentFiles implements ContentDisk {
  /** The names that were taken before this start, for a `ReleaseLedger`. */
  readonly claims: readonly Claim[];
  readonly #folder: string;
  readonly #contents: Map<string, Promise<Stored>>;
  readonly #claims: Log;

  private constructor(folder: string, contents: Map<string, Promise<Stored>>, claims: OpenedClaims) {
    this.#folder = folder;
    this.#contents = contents;
    this.claims = claims.claims;
    this.#claims = claims.log;
  }

  /** Opens a folder, making it if need be; one process at a time. @throws {EnvironmentError} `CLAIMS_DAMAGED`; node:fs throws its own. */
  static async open(folder: string): Promise<ContentFiles> {
    await mkdir(folder, { recursive: true });
    const contents = new Map<string, Promise<Stored>>();
    for (const name of await readdir(folder)) {
      const [, key] = CONTENT_FILE.exec(name) ?? [];
      if (key !== undefined) contents.set(key, Promise.resolve(await openContent(join(folder, name))));
    }
    const claims = await openClaims(join(folder, CLAIMS_FILE));
    await syncFolder(folder);
    return new ContentFiles(folder, contents, claims);
  }

  /** The names of the contents of which something is here. */
  get names(): Uint8Array[] {
    return [...this.#contents.keys()].map((key) => fromHex(key) ?? new Uint8Array(0));
  }

  async write(name: Uint8Array, seq: number, payload: Uint8Array): Promise<void> {
    const stored = await this.#content(name);
    const offset = await appendTo(stored.log, encodeRecord(seq, payload));
    note(stored, { seq, offset, sizeBytes: payload.length });
  }

  async read(name: Uint8Array, seq: number): Promise<Uint8Array | undefined> {
    const stored = await this.#contents.get(toHex(name));
    const place = stored?.places.get(seq);
    if (!stored || !place) return undefined;
    const payload = new Uint8Array(place.sizeBytes);
    await stored.log.file.read(payload, 0, place.sizeBytes, place.offset);
    return payload;
  }

  async remove(name: Uint8Array): Promise<void> {
    const stored = await this.#contents.get(toHex(name));
    if (!stored) return;
    this.#contents.delete(toHex(name));
    await stored.log.last.catch(() => undefined);
    await stored.log.file.close();
    await rm(this.#path(name), { force: true });
  }

  async keepClaim(claim: Claim): Promise<void> {
    await appendTo(this.#claims, Buffer.from(`${JSON.stringify(claim)}\n`));
  }

  /** Closes all files. Nothing may be called after it. */
  async close(): Promise<void> {
    for (const { log } of [{ log: this.#claims }, ...(await Promise.all(this.#contents.values()))]) {
      await log.last.catch(() => undefined);
      await log.file.close();
    }
  }

  #content(name: Uint8Array): Promise<Stored> {
    const key = toHex(name);
    const known = this.#contents.get(key);
    if (known) return known;
    const opened = openContent(this.#path(name)).then(async (stored) => {
      await syncFolder(this.#folder);
      return stored;
    });
    this.#contents.set(key, opened);
    // What could not be opened now may be opened later.
    opened.catch(() => this.#contents.delete(key));
    return opened;
  }

  #path(name: Uint8Array): string {
    return join(this.#folder, `${toHex(name)}.content`);
  }
}

async function openContent(path: string): Promise<Stored> {
  const file = await open(path, "a+", 0o600);
  const bytes = await file.readFile();
  const stored: Stored = { log: { file, endOffset: 0, last: Promise.resolve() }, places: new Map() };
  const { log } = stored;
  for (let record = recordAt(bytes, 0); record !== undefined; record = recordAt(bytes, log.endOffset)) {
    note(stored, { ...record, offset: log.endOffset });
    log.endOffset += HEAD_BYTES + record.sizeBytes + CRC_BYTES;
  }
  await file.truncate(log.endOffset);
  return stored;
}

/** The record at an offset, or `undefined` where there is none that is whole. */
function recordAt(bytes: Buffer, offset: number): { seq: number; sizeBytes: number } | undefined {
  if (offset + HEAD_BYTES > bytes.length) return undefined;
  const sizeBytes = bytes.readUInt16BE(offset + 3);
  const endOffset = offset + HEAD_BYTES + sizeBytes;
  if (endOffset + CRC_BYTES > bytes.length) return undefined;
  if (crc32(bytes.subarray(offset, endOffset)) !== bytes.readUInt32BE(endOffset)) return undefined;
  return { seq: bytes.readUIntBE(offset, 3), sizeBytes };
}

function encodeRecord(seq: number, payload: Uint8Array): Buffer {
  const record = Buffer.alloc(HEAD_BYTES + payload.length + CRC_BYTES);
  record.writeUIntBE(seq, 0, 3);
  record.writeUInt16BE(payload.length, 3);
  record.set(payload, HEAD_BYTES);
  const covered = record.subarray(0, HEAD_BYTES + payload.length);
  record.writeUInt32BE(crc32(covered), covered.length);
  return record;
}

/** Of two records with one SEQ the first one counts. @param offset Of the record. */
function note(
  { places }: Stored,
  { seq, offset, sizeBytes }: { seq: number; offset: number; sizeBytes: number },
): void {
  if (!places.has(seq)) places.set(seq, { offset: offset + HEAD_BYTES, sizeBytes });
}

/** Appends after all earlier appends, durably. @returns Where it begins. */
async function appendTo(log: Log, bytes: Uint8Array): Promise<number> {
  const appended = log.last
    .catch(() => undefined)
    .then(async () => {
      const offset = log.endOffset;
      try {
        await log.file.appendFile(bytes);
        await log.file.datasync();
      } catch (error) {
        // What was written of it would stand before the next one.
        await log.file.truncate(offset).catch(() => undefined);
        throw error;
      }
      log.endOffset += bytes.length;
      return offset;
    });
  log.last = appended;
  return await appended;
}

interface OpenedClaims {
  readonly log: Log;
  readonly claims: readonly Claim[];
}

async function openClaims(path: string): Promise<OpenedClaims> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  const endOffset = Buffer.byteLength(whole);
  const file = await open(path, "a", 0o600);
  await file.truncate(endOffset);
  const lines = whole.split("\n").filter((line) => line !== "");
  return { log: { file, endOffset, last: Promise.resolve() }, claims: lines.map(parseClaim) };
}

/** A name that is forgotten would be given away twice, so a damaged file is for an operator to look at. */
function parseClaim(line: string): Claim {
  try {
    return JSON.parse(line) as Claim;
  } catch (cause) {
    throw new EnvironmentError("CLAIMS_DAMAGED", `${CLAIMS_FILE} has a line that is no claim`, {}, { cause });
  }
}
