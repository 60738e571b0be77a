/** The images: their bytes in files, what is known of them in a table. */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import type { Delta, Image } from "@airlift/protocol/api/schemas";
import type { DeltaHeader } from "@airlift/protocol/image/delta";
import { BugError, UsageError } from "@airlift/protocol/lib/errors";
import type { Kysely, Selectable } from "kysely";
import { decodeNumberCursor, toPage } from "./cursor.ts";
import { storableText } from "./database.ts";
import { DeltaStore } from "./delta-store.ts";
import { failReading, type ImageFiles, type ReceivedFile, withReader } from "./image-files.ts";
import type { PageCache } from "./image-source.ts";
import type { Journal } from "./journal.ts";
import type {
  ImageInspection,
  ImageName,
  ImageSource,
  ImageStore,
  InspectImage,
  NewEvent,
  Page,
  PageRequest,
} from "./ports.ts";
import type { ImageTable, Tables } from "./tables.ts";

export interface ImageStoreParts {
  readonly tables: Kysely<Tables>;
  readonly journal: Journal;
  readonly files: ImageFiles;
  readonly pages: PageCache;
  readonly inspect: InspectImage;
  readonly maxImageBytes: number;
}

/** Sources remembered by image id; each is some hundred octets. */
const MOST_SOURCES = 1000;

export class PostgresImageStore implements ImageStore {
  readonly #parts: ImageStoreParts;
  readonly #deltas: DeltaStore;
  readonly #sources = new Map<string, ImageSource>();

  constructor(parts: ImageStoreParts) {
    this.#parts = parts;
    this.#deltas = new DeltaStore(parts);
  }

  async add(content: Readable, name: ImageName): ReturnType<ImageStore["add"]> {
    const { files, inspect, maxImageBytes } = this.#parts;
    const received = await files.receive(content, maxImageBytes);
    try {
      const header = await this.#deltas.headerOf(received);
      if (header !== undefined) return await this.#addDelta(name, received, header);
      const same = await this.get(imageIdOf(name, received.sha256));
      const inspection = await withReader(received.path, (read) => inspect(read, received.sizeBytes));
      const told = inspection.headerVersion ? { headerVersion: inspection.headerVersion } : {};
      if (same !== undefined) return { image: same, isNew: false, ...told };
      return { ...(await this.#insert(name, received, inspection)), ...told };
    } finally {
      await files.discard(received);
    }
  }

  async get(id: string): Promise<Image | undefined> {
    const row = await this.#parts.tables
      .selectFrom("images")
      .selectAll()
      .where("id", "=", storableText(id))
      .executeTakeFirst();
    return row && toImage(row, (await this.#deltas.ofImages([row.id])).get(row.id));
  }

  async list(page: PageRequest): Promise<Page<Image>> {
    let query = this.#parts.tables.selectFrom("images").selectAll();
    if (page.cursor !== undefined) query = query.where("seq", "<", decodeNumberCursor(page.cursor));
    const rows = await query
      .orderBy("seq", "desc")
      .limit(page.limit + 1)
      .execute();
    const deltas = await this.#deltas.ofImages(rows.map((row) => row.id));
    return toPage(rows, page.limit, { item: (row) => toImage(row, deltas.get(row.id)), position: (row) => row.seq });
  }

  async openSource(id: string): Promise<ImageSource | undefined> {
    const known = this.#sources.get(id);
    if (known !== undefined) return known;
    const file = await this.fileOf(id);
    if (file === undefined) return undefined;
    const { files, pages } = this.#parts;
    const { sha256, sizeBytes } = file;
    const source = pages.sourceOf({ path: files.pathOf(sha256), sizeBytes, sha256 });
    const [oldest] = this.#sources.keys();
    if (this.#sources.size >= MOST_SOURCES && oldest !== undefined) this.#sources.delete(oldest);
    this.#sources.set(id, source);
    return source;
  }

  async fileOf(id: string): ReturnType<ImageStore["fileOf"]> {
    const row = await this.#parts.tables
      .selectFrom("images")
      .select(["sha256", "size_bytes"])
      .where("id", "=", storableText(id))
      .executeTakeFirst();
    return row ? { sha256: row.sha256, sizeBytes: row.size_bytes } : await this.#deltas.fileOf(storableText(id));
  }

  async stream({ sha256 }: Pick<Image, "sha256">, start: number, end: number): Promise<Readable> {
    const file = await open(this.#parts.files.pathOf(sha256), "r").catch(failReading);
    return file.createReadStream({ start, end, highWaterMark: 256 * 1024 });
  }

  async #addDelta(name: ImageName, received: ReceivedFile, header: DeltaHeader): ReturnType<ImageStore["add"]> {
    const { imageId, delta, isNew } = await this.#deltas.add(name, received, header);
    const image = await this.get(imageId);
    if (image === undefined) throw new BugError("NO_IMAGE", "the image of a delta is gone", { imageId });
    return { image, isNew, delta };
  }

  async #insert(name: ImageName, received: ReceivedFile, inspection: ImageInspection) {
    const { files, journal } = this.#parts;
    const id = imageIdOf(name, received.sha256);
    const { result } = await journal.write(async (transaction) => {
      const row = await transaction
        .insertInto("images")
        .values(toRow({ id, name, received, inspection }))
        .onConflict((conflict) => conflict.doNothing())
        .returningAll()
        .executeTakeFirst();
      // The file has its name before the row can be seen.
      if (row !== undefined) await files.keep(received);
      return { result: row, events: row === undefined ? [] : [addedEvent(toImage(row))] };
    });
    if (result !== undefined) return { image: toImage(result), isNew: true };
    const same = await this.get(id);
    if (same !== undefined) return { image: same, isNew: false };
    throw await this.#conflict(name);
  }

  async #conflict({ manufacturer, model, version }: ImageName): Promise<UsageError> {
    const { tables } = this.#parts;
    const other = await tables
      .selectFrom("images")
      .select("id")
      .where((is) => is.and({ manufacturer, model, version }))
      .executeTakeFirst();
    return new UsageError(
      "IMAGE_CONFLICT",
      `${manufacturer} ${model} ${version} exists with other bytes: an image never changes, give the new one another version`,
      { imageId: other?.id },
    );
  }
}

/** The first 16 hex digits of the SHA-256 of name and bytes: the same image has the same id everywhere. */
export function imageIdOf({ manufacturer, model, version }: ImageName, sha256: string): string {
  return createHash("sha256").update([manufacturer, model, version, sha256].join("\0")).digest("hex").slice(0, 16);
}

const addedEvent = (image: Image): NewEvent => ({
  kind: "image.added",
  sentence: `image ${image.manufacturer} ${image.model} ${image.version} added`,
  facts: { imageId: image.id, sizeBytes: image.sizeBytes },
});

interface Addition {
  readonly id: string;
  readonly name: ImageName;
  readonly received: ReceivedFile;
  readonly inspection: ImageInspection;
}

const toRow = ({ id, name, received, inspection }: Addition) => ({
  id,
  manufacturer: name.manufacturer,
  model: name.model,
  version: name.version,
  hardware: JSON.stringify(name.hardware),
  size_bytes: received.sizeBytes,
  sha256: received.sha256,
  format: inspection.format,
  signature: inspection.signature && JSON.stringify(inspection.signature),
  security_counter: inspection.securityCounter,
});

function toImage(row: Selectable<ImageTable>, deltas: Delta[] = []): Image {
  return {
    id: row.id,
    manufacturer: row.manufacturer,
    model: row.model,
    version: row.version,
    hardware: row.hardware,
    sizeBytes: row.size_bytes,
    sha256: row.sha256,
    format: row.format,
    signature: row.signature,
    securityCounter: row.security_counter,
    deltas,
    createdAt: row.created_at.toISOString(),
  };
}
