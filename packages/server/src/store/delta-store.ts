/** Differential images in the store: each is tried out before it is kept, and found by the image that it makes. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Delta, Image } from "@airlift/protocol/api/schemas";
import { DELTA_HEADER_BYTES, type DeltaHeader, decodeDeltaHeader, isDelta } from "@airlift/protocol/image/delta";
import { readExactly } from "@airlift/protocol/image/reader";
import { toHex } from "@airlift/protocol/lib/bytes";
import { UsageError } from "@airlift/protocol/lib/errors";
import { decodeZstdDelta } from "@airlift/runtime/zstd-delta";
import type { Kysely, Selectable } from "kysely";
import { failReading, type ImageFiles, type ReceivedFile, withReader } from "./image-files.ts";
import type { Journal } from "./journal.ts";
import type { ImageName } from "./ports.ts";
import type { DeltaTable, ImageTable, Tables } from "./tables.ts";

/** Deltas that may make one image: from so many versions. */
export const MOST_DELTAS = 64;

/** 64 MiB: a device takes no larger base into memory either. */
export const LARGEST_BASE_BYTES = 64 * 2 ** 20;

export interface DeltaStoreParts {
  readonly tables: Kysely<Tables>;
  readonly journal: Journal;
  readonly files: ImageFiles;
}

type ImageRow = Selectable<ImageTable>;

/** The two images of a delta. */
interface Pair {
  readonly base: ImageRow;
  readonly image: ImageRow;
}

export class DeltaStore {
  readonly #parts: DeltaStoreParts;
  /** One is tried out at a time: its base and the decoder's window are in memory. */
  #trial: Promise<unknown> = Promise.resolve();

  constructor(parts: DeltaStoreParts) {
    this.#parts = parts;
  }

  /** The header of a file that is a delta by its first octets; undefined for any other. */
  async headerOf({ path, sizeBytes }: ReceivedFile): Promise<DeltaHeader | undefined> {
    return await withReader(path, async (read) => {
      const head = await readExactly({ read }, 0, Math.min(DELTA_HEADER_BYTES, sizeBytes));
      return isDelta(head) ? decodeDeltaHeader(head) : undefined;
    });
  }

  /**
   * Keeps a delta under the name of the image that it makes; the same one again is the one that is there.
   *
   * @throws {UsageError} DELTA_IMAGE, DELTA_BASE: one of its images is not in the store. DELTA_LARGER: it saves nothing.
   *   DELTA_BASE_SIZE. DELTA_CONFLICT (409): another one makes that image from that base. DELTAS_FULL (409)
   * @throws {PeerError} DELTA_CONTENT when it does not make the image that it names
   */
  async add(name: ImageName, received: ReceivedFile, header: DeltaHeader) {
    const pair = await this.#pairOf(name, header);
    const { base, image } = pair;
    if (received.sizeBytes >= image.size_bytes)
      throw new UsageError("DELTA_LARGER", "the delta is not smaller than the image that it makes: send the image", {
        imageId: image.id,
      });
    const trial = this.#trial.then(() => this.#tryOut(base, received, header));
    this.#trial = trial.catch(() => undefined);
    await trial;
    const isNew = await this.#insert(pair, received);
    const delta = (await this.ofImages([image.id])).get(image.id)?.find(({ baseImageId }) => baseImageId === base.id);
    if (delta?.sha256 === received.sha256) return { imageId: image.id, delta, isNew };
    if (delta === undefined)
      throw new UsageError("DELTAS_FULL", `${MOST_DELTAS} deltas make that image already`, { imageId: image.id });
    throw new UsageError("DELTA_CONFLICT", `another delta makes that image from ${base.version} already`, {
      deltaId: delta.id,
    });
  }

  /** The deltas by the id of the image that they make, the newest first. */
  async ofImages(imageIds: readonly string[]): Promise<Map<string, Delta[]>> {
    if (imageIds.length === 0) return new Map();
    const rows = await this.#parts.tables
      .selectFrom("deltas")
      .innerJoin("images as base", "base.id", "deltas.base_id")
      .innerJoin("images as image", "image.id", "deltas.image_id")
      .selectAll("deltas")
      .select(["base.version as base_version", "image.size_bytes as image_bytes"])
      .where("deltas.image_id", "in", imageIds)
      .orderBy("deltas.seq", "desc")
      .execute();
    const found = new Map<string, Delta[]>();
    for (const row of rows) found.set(row.image_id, [...(found.get(row.image_id) ?? []), toDelta(row)]);
    return found;
  }

  /** Where the octets of a delta are; undefined when there is none of that id. */
  async fileOf(id: string): Promise<Pick<Image, "sha256" | "sizeBytes"> | undefined> {
    const row = await this.#parts.tables
      .selectFrom("deltas")
      .select(["sha256", "size_bytes"])
      .where("id", "=", id)
      .executeTakeFirst();
    return row && { sha256: row.sha256, sizeBytes: row.size_bytes };
  }

  async #pairOf({ manufacturer, model, version }: ImageName, header: DeltaHeader): Promise<Pair> {
    const of = (sha256: Uint8Array) =>
      this.#parts.tables
        .selectFrom("images")
        .selectAll()
        .where((is) => is.and({ manufacturer, model, sha256: toHex(sha256) }));
    const image = await of(header.imageSha256).where("version", "=", version).executeTakeFirst();
    if (image === undefined) {
      const text = `the image that this delta makes is not in the store as ${manufacturer} ${model} ${version}`;
      const sha256 = toHex(header.imageSha256);
      throw new UsageError("DELTA_IMAGE", `${text} (SHA-256 ${sha256}): add it first`, { sha256 });
    }
    const base = await of(header.baseSha256).where("id", "!=", image.id).orderBy("seq").executeTakeFirst();
    if (base === undefined) {
      const text = `the image that this delta is made from is not in the store for ${manufacturer} ${model}`;
      const sha256 = toHex(header.baseSha256);
      throw new UsageError("DELTA_BASE", `${text} (SHA-256 ${sha256}): add it first`, { sha256 });
    }
    return { base, image };
  }

  /** What comes out is the image of the store, octet for octet, and so it is signed as that one is. */
  async #tryOut({ size_bytes, sha256 }: ImageRow, { path, sizeBytes }: ReceivedFile, header: DeltaHeader) {
    if (size_bytes > LARGEST_BASE_BYTES)
      throw new UsageError("DELTA_BASE_SIZE", `a base may have ${LARGEST_BASE_BYTES} bytes`, { sizeBytes: size_bytes });
    const base = await readFile(this.#parts.files.pathOf(sha256)).catch(failReading);
    await withReader(path, async (read) => {
      for await (const _ of decodeZstdDelta(base, { reader: { read }, sizeBytes }, header));
    });
  }

  /** Whether it was not there. */
  async #insert({ base, image }: Pair, received: ReceivedFile): Promise<boolean> {
    const { files, journal } = this.#parts;
    const id = createHash("sha256").update([base.id, image.id, received.sha256].join("\0")).digest("hex").slice(0, 16);
    const { sizeBytes, sha256 } = received;
    const sentence = `delta from ${base.version} to ${image.manufacturer} ${image.model} ${image.version} added: ${sizeBytes} of ${image.size_bytes} bytes`;
    const { result } = await journal.write(async (transaction) => {
      // Two who add at once are counted one after the other.
      await transaction.selectFrom("images").select("id").where("id", "=", image.id).forUpdate().execute();
      const others = await transaction.selectFrom("deltas").select("id").where("image_id", "=", image.id).execute();
      if (others.length >= MOST_DELTAS) return { result: false, events: [] };
      const row = await transaction
        .insertInto("deltas")
        .values({ id, base_id: base.id, image_id: image.id, size_bytes: sizeBytes, sha256 })
        .onConflict((conflict) => conflict.doNothing())
        .returning("id")
        .executeTakeFirst();
      if (row === undefined) return { result: false, events: [] };
      // The file has its name before the row can be seen.
      await files.keep(received);
      const facts = { imageId: image.id, deltaId: id, baseImageId: base.id, sizeBytes };
      return { result: true, events: [{ kind: "image.added" as const, sentence, facts }] };
    });
    return result;
  }
}

interface DeltaRow extends Selectable<DeltaTable> {
  readonly base_version: string;
  readonly image_bytes: number;
}

const toDelta = (row: DeltaRow): Delta => ({
  id: row.id,
  baseImageId: row.base_id,
  baseVersion: row.base_version,
  sizeBytes: row.size_bytes,
  share: row.size_bytes / row.image_bytes,
  sha256: row.sha256,
  createdAt: row.created_at.toISOString(),
});
