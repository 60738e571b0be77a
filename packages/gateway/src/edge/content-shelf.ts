/** Contents as ciphertext files that were fetched from the server, as a disk of the content store and as what a transmitter sends. */
import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { GatewayContent } from "@airlift/protocol/api/gateway";
import { fromHex, toHex } from "@airlift/protocol/lib/bytes";
import { PeerError } from "@airlift/protocol/lib/errors";
import { ENC_TYPE, kindOfSeq, repairOfSeq, tagBytesOf } from "@airlift/protocol/zmesh/chunking";
import type { ContentDisk } from "@airlift/protocol/zmesh/content-disk";
import type { OpenedContent } from "@airlift/protocol/zmesh/content-store";
import { BEGIN_BYTES, END_BYTES } from "@airlift/protocol/zmesh/messages";
import { RepairEncoder } from "@airlift/protocol/zmesh/repair-encoder";
import { repairRows } from "@airlift/protocol/zmesh/repair-rows";
import type { BroadcastContent } from "@airlift/protocol/zmesh/transmitter-types";

/** The largest content that is fetched: 64 MiB. */
export const DEFAULT_MAX_CONTENT_BYTES = 64 * 1024 * 1024;

/** A content's numbers as the store has them. */
export function shapeOf(content: GatewayContent): OpenedContent {
  const { name, dataCount, payloadBytes, encType, repairScheme } = content;
  return {
    name: fromHex(name) ?? new Uint8Array(6),
    dataCount,
    payloadBytes,
    encType: ENC_TYPE[encType],
    repairScheme,
  };
}

/** Octets of the whole file. */
export function fileBytesOf(content: GatewayContent): number {
  const tagBytes = tagBytesOf(ENC_TYPE[content.encType]);
  return BEGIN_BYTES + END_BYTES + 2 * tagBytes + content.dataCount * content.payloadBytes;
}

export class ContentShelf implements ContentDisk {
  readonly #folder: string;
  readonly #contents = new Map<string, { readonly content: GatewayContent; readonly bytes: Uint8Array }>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  has(content: GatewayContent): boolean {
    return this.#contents.get(content.name)?.content.sha256 === content.sha256;
  }

  /** Takes a content from the disk if it is there and whole. */
  async load(content: GatewayContent): Promise<boolean> {
    if (this.has(content)) return true;
    const bytes = await readFile(this.#path(content.name)).catch(() => undefined);
    if (!bytes || !isWhole(content, bytes)) return false;
    this.#contents.set(content.name, { content, bytes: new Uint8Array(bytes) });
    return true;
  }

  /** @throws {PeerError} `CONTENT_DIGEST` when it is not what was announced. */
  async put(content: GatewayContent, bytes: Uint8Array): Promise<void> {
    if (!isWhole(content, bytes))
      throw new PeerError("CONTENT_DIGEST", "the content is not the one that was announced", { name: content.name });
    await mkdir(this.#folder, { recursive: true });
    const draft = `${this.#path(content.name)}.new`;
    const file = await open(draft, "w", 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, this.#path(content.name));
    this.#contents.set(content.name, { content, bytes });
  }

  /** Forgets and deletes all contents but these. @param names Hex. */
  async keepOnly(names: ReadonlySet<string>): Promise<void> {
    for (const name of this.#contents.keys()) if (!names.has(name)) this.#contents.delete(name);
    for (const file of await readdir(this.#folder).catch(() => [])) {
      const [name = ""] = file.split(".");
      if (!names.has(name)) await rm(join(this.#folder, file), { force: true });
    }
  }

  /** As a transmitter sends it. The content has been loaded or put. */
  broadcastOf(content: GatewayContent): BroadcastContent {
    const { name, dataCount, payloadBytes, repairScheme } = shapeOf(content);
    const payloadAt = (seq: number): Uint8Array => this.#payloadAt(content.name, seq) ?? new Uint8Array(0);
    let encoder: RepairEncoder | undefined;
    return {
      name,
      dataCount,
      payloadBytes,
      payloadAt: (seq) => {
        if (kindOfSeq(seq, dataCount) !== "repair") return payloadAt(seq);
        encoder ??= new RepairEncoder(
          repairRows(repairScheme, dataCount),
          Array.from({ length: dataCount }, (_, i) => payloadAt(i + 1)),
        );
        return encoder.parity(repairOfSeq(dataCount, seq));
      },
    };
  }

  // ContentDisk

  async read(name: Uint8Array, seq: number): Promise<Uint8Array | undefined> {
    return this.#payloadAt(toHex(name), seq);
  }

  /** What is here came whole; nothing is added message by message. */
  async write(): Promise<void> {}

  async remove(): Promise<void> {}

  async keepClaim(): Promise<void> {}

  /** Begin, Data or End. */
  #payloadAt(name: string, seq: number): Uint8Array | undefined {
    const found = this.#contents.get(name);
    if (!found) return undefined;
    const { content, bytes } = found;
    const beginBytes = BEGIN_BYTES + tagBytesOf(ENC_TYPE[content.encType]);
    if (seq === 0) return bytes.slice(0, beginBytes);
    const at = beginBytes + (seq - 1) * content.payloadBytes;
    return seq > content.dataCount ? bytes.slice(at) : bytes.slice(at, at + content.payloadBytes);
  }

  #path(name: string): string {
    return join(this.#folder, `${name}.content`);
  }
}

function isWhole(content: GatewayContent, bytes: Uint8Array): boolean {
  return bytes.length === fileBytesOf(content) && createHash("sha256").update(bytes).digest("hex") === content.sha256;
}
