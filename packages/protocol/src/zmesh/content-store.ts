/**
 * Holds contents and answers Interests for them. Source: Z-Mesh transport layer, "Content Store"; profile 3, 5.
 *
 * A content is *published* here, with its key, and each message is made when it is asked for; or it is *opened* by its
 * numbers and then received, and the store has ciphertext only. Parity is made of ciphertext in both cases.
 */
import { equalBytes, toHex } from "../lib/bytes.ts";
import { Deadlines } from "../lib/deadlines.ts";
import { EnvironmentError, PeerError, UsageError } from "../lib/errors.ts";
import { CONTENT_TAG_BYTES, type EncType, kindOfSeq, tagBytesOf } from "./chunking.ts";
import type { ContentDisk } from "./content-disk.ts";
import { type ContentShape, repairNumberOf, repairPayload } from "./content-source.ts";
import type { Frame } from "./frame.ts";
import { decodeInterest } from "./interest.ts";
import { BEGIN_BYTES, END_BYTES, type RepairScheme } from "./messages.ts";
import type { PackedContent } from "./packed-content.ts";
import { PayloadCache } from "./payload-cache.ts";
import { Refusals } from "./refusals.ts";
import type { ReleaseLedger } from "./release-ledger.ts";
import { type RepairRows, repairRows } from "./repair-rows.ts";

/** How long a content is kept after it was published, opened or received last: 24 hours. */
export const DEFAULT_RETENTION_MS = 24 * 3_600_000;
/** Contents held at a time. */
export const DEFAULT_MAX_CONTENTS = 256;
/** Octets of payload that all opened contents together may take on disk. */
export const DEFAULT_MAX_DISK_BYTES = 1024 * 1024 * 1024;

/** A content that is going to be received. */
export interface OpenedContent extends ContentShape {
  readonly encType: EncType;
  readonly repairScheme: RepairScheme;
}

export interface ContentStoreOptions {
  readonly ledger: ReleaseLedger;
  readonly disk: ContentDisk;
  readonly maxCacheBytes?: number;
  readonly maxContents?: number;
  readonly maxDiskBytes?: number;
  readonly retentionMs?: number;
}

/** One message of a content. */
export interface ContentMessage {
  readonly name: Uint8Array;
  readonly seq: number;
  readonly payload: Uint8Array;
}

interface Held {
  readonly shape: OpenedContent;
  readonly rows: RepairRows;
  readonly source?: PackedContent;
}

export class ContentStore {
  /** What was refused of what came over the air. */
  readonly refusals = new Refusals();
  readonly #options: ContentStoreOptions;
  readonly #cache: PayloadCache;
  readonly #contents = new Map<string, Held>();
  readonly #expiries = new Deadlines<string>();
  /** Payloads on their way to the disk. */
  readonly #writing = new Map<string, Uint8Array>();

  constructor(options: ContentStoreOptions) {
    this.#options = options;
    this.#cache = new PayloadCache(options.maxCacheBytes);
  }

  /** When `expire` is due next; `undefined` while nothing is held. */
  get wakeAtMs(): number | undefined {
    return this.#expiries.earliestMs;
  }

  /** Octets of payload in memory. */
  get cacheBytes(): number {
    return this.#cache.sizeBytes;
  }

  /** Whether the content is held. */
  has(name: Uint8Array): boolean {
    return this.#contents.has(toHex(name));
  }

  /**
   * Takes a content with its key. The same one again only renews its time.
   *
   * @throws {UsageError} `NAME_COLLISION`, `NAME_PUBLISHED`, `KEYS_REUSED`: see `ReleaseLedger`. `NAME_OPENED` when a content
   *   of this name is being received.
   * @throws {EnvironmentError} `LEDGER_FULL`, `STORE_FULL`, and what the disk throws.
   */
  async publish(content: PackedContent, nowMs: number): Promise<void> {
    const { ledger, disk } = this.#options;
    const held = this.#contents.get(toHex(content.name));
    if (held && !held.source) throw new UsageError("NAME_OPENED", "a content of this name is being received");
    const claim = ledger.claim(content);
    try {
      if (!held) this.#assertRoom(0);
      // Nothing is sent under a name that a restart would forget.
      if (claim) await disk.keepClaim(claim);
    } catch (error) {
      if (claim) ledger.withdraw(claim);
      throw error;
    }
    const { name, dataCount, payloadBytes, encType, end } = content;
    this.#hold({ name, dataCount, payloadBytes, encType, repairScheme: end.repairScheme }, nowMs, content);
  }

  /**
   * Makes room for a content that is going to be received. The same one again only renews its time.
   *
   * @throws {UsageError} `NAME_OPENED` when this name is held with other numbers; `CHUNK_COUNT`.
   * @throws {EnvironmentError} `STORE_FULL`
   */
  open(shape: OpenedContent, nowMs: number): void {
    const held = this.#contents.get(toHex(shape.name));
    if (held && (held.source || !isSameShape(held.shape, shape)))
      throw new UsageError("NAME_OPENED", "this name is held already", { name: toHex(shape.name) });
    if (!held) this.#assertRoom(diskBytesOf(shape));
    this.#hold(shape, nowMs);
  }

  /**
   * Keeps a payload that was received, in memory and on disk. A payload that is there already changes nothing.
   *
   * @throws {PeerError} `CONTENT_UNKNOWN` · `SEQ_RANGE` · `SEQ_PAST_END` parity is made here and not kept ·
   *   `CONTENT_LENGTH` · `CONTENT_CONFLICT` another payload came first.
   */
  async receive({ name, seq, payload }: ContentMessage, nowMs: number): Promise<void> {
    try {
      const held = this.#contents.get(toHex(name));
      if (!held) throw new PeerError("CONTENT_UNKNOWN", "nobody opened this content", { name: toHex(name) });
      assertPayload(held.shape, seq, payload);
      const key = keyOf(name, seq);
      const stored = await this.#payloadOf(held, seq);
      if (this.#contents.get(toHex(name)) !== held)
        throw new PeerError("CONTENT_UNKNOWN", "its time was over meanwhile", { name: toHex(name) });
      // While the disk was asked, another receiver of the same message may have begun to write it, or be done with it.
      const earlier = stored ?? this.#writing.get(key) ?? this.#cache.get(key);
      if (earlier && !equalBytes(earlier, payload))
        throw new PeerError("CONTENT_CONFLICT", "another payload came first", { name: toHex(name), seq });
      this.#expiries.set(toHex(name), nowMs + this.#retentionMs);
      if (earlier) return;
      await this.#write({ name, seq, payload: payload.slice() }, key);
    } catch (error) {
      if (error instanceof PeerError) this.refusals.count(error.code);
      throw error;
    }
  }

  /**
   * The payload of a message; `undefined` when it is not here, or parity covers one that is not. Do not write into it.
   *
   * @throws {PeerError} `SEQ_RANGE`
   */
  async payloadOf(name: Uint8Array, seq: number): Promise<Uint8Array | undefined> {
    const held = this.#contents.get(toHex(name));
    return held && (await this.#payloadOf(held, seq));
  }

  /** What the store has of what an Interest asks for, in the order of SEQ. A malformed one is counted and gets nothing. */
  async answer({ name, fseq, payload }: Pick<Frame, "name" | "fseq" | "payload">): Promise<ContentMessage[]> {
    const held = this.#contents.get(toHex(name));
    const messages: ContentMessage[] = [];
    if (!held) return messages;
    for (const seq of this.refusals.guard(() => decodeInterest({ fseq, payload })) ?? []) {
      const found = await this.#payloadOf(held, seq);
      if (found) messages.push({ name: held.shape.name, seq, payload: found });
    }
    return messages;
  }

  /** Forgets the contents whose time is over, in memory and on disk; their names stay taken. @returns Those names. */
  async expire(nowMs: number): Promise<Uint8Array[]> {
    const names: Uint8Array[] = [];
    for (let key = this.#expiries.popDue(nowMs); key !== undefined; key = this.#expiries.popDue(nowMs)) {
      const held = this.#contents.get(key);
      this.#contents.delete(key);
      this.#cache.removeAll(`${key}/`);
      if (!held) continue;
      names.push(held.shape.name);
      if (!held.source) await this.#options.disk.remove(held.shape.name);
    }
    return names;
  }

  get #retentionMs(): number {
    return this.#options.retentionMs ?? DEFAULT_RETENTION_MS;
  }

  #assertRoom(neededBytes: number): void {
    const { maxContents = DEFAULT_MAX_CONTENTS, maxDiskBytes = DEFAULT_MAX_DISK_BYTES } = this.#options;
    let diskBytes = neededBytes;
    for (const { shape, source } of this.#contents.values()) if (!source) diskBytes += diskBytesOf(shape);
    if (this.#contents.size >= maxContents || diskBytes > maxDiskBytes)
      throw new EnvironmentError("STORE_FULL", "no room for another content", { diskBytes, maxDiskBytes, maxContents });
  }

  #hold(shape: OpenedContent, nowMs: number, source?: PackedContent): void {
    const key = toHex(shape.name);
    const rows = repairRows(shape.repairScheme, shape.dataCount);
    if (!this.#contents.has(key)) this.#contents.set(key, { shape, rows, ...(source && { source }) });
    this.#expiries.set(key, nowMs + this.#retentionMs);
  }

  async #write({ name, seq, payload }: ContentMessage, key: string): Promise<void> {
    this.#writing.set(key, payload);
    try {
      await this.#options.disk.write(name, seq, payload);
      this.#cache.set(key, payload);
    } finally {
      this.#writing.delete(key);
    }
  }

  async #payloadOf({ shape, rows, source }: Held, seq: number): Promise<Uint8Array | undefined> {
    const key = keyOf(shape.name, seq);
    const cached = this.#cache.get(key);
    if (cached) return cached;
    const found = source ? source.payloadAt(seq) : await this.#heard({ shape, rows }, seq);
    if (found) this.#cache.set(key, found);
    return found;
  }

  /** A payload that was received, or parity made of such. */
  async #heard(held: Held, seq: number): Promise<Uint8Array | undefined> {
    const { shape, rows } = held;
    const n = repairNumberOf(shape.dataCount, seq);
    if (n === undefined) return await this.#options.disk.read(shape.name, seq);
    return await repairPayload(shape, rows(n), (one) => this.#payloadOf(held, one));
  }
}

const keyOf = (name: Uint8Array, seq: number): string => `${toHex(name)}/${seq}`;

/** What all messages of an opened content can take. */
function diskBytesOf({ dataCount, payloadBytes }: ContentShape): number {
  return dataCount * payloadBytes + BEGIN_BYTES + END_BYTES + 2 * CONTENT_TAG_BYTES;
}

function isSameShape(a: OpenedContent, b: OpenedContent): boolean {
  const isSameCut = a.dataCount === b.dataCount && a.payloadBytes === b.payloadBytes;
  return isSameCut && a.encType === b.encType && a.repairScheme === b.repairScheme;
}

function assertPayload({ dataCount, payloadBytes, encType }: OpenedContent, seq: number, payload: Uint8Array): void {
  const tagBytes = tagBytesOf(encType);
  const kind = kindOfSeq(seq, dataCount);
  if (kind === "repair") throw new PeerError("SEQ_PAST_END", "there is no such message", { seq, dataCount });
  const expectedBytes = { begin: BEGIN_BYTES + tagBytes, data: payloadBytes, end: END_BYTES + tagBytes }[kind];
  if (payload.length !== expectedBytes)
    throw new PeerError("CONTENT_LENGTH", "no such message", { seq, sizeBytes: payload.length, expectedBytes });
}
