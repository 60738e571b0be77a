/** Images packed for the air: once for each, with keys drawn for good, as files that gateways and devices read from. */
import { createHash, createPublicKey } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { GatewayContent } from "@airlift/protocol/api/gateway";
import type { Image } from "@airlift/protocol/api/schemas";
import { fromHex, toHex } from "@airlift/protocol/lib/bytes";
import { UsageError } from "@airlift/protocol/lib/errors";
import { kindOfSeq, repairOfSeq } from "@airlift/protocol/zmesh/chunking";
import { repairPayload } from "@airlift/protocol/zmesh/content-source";
import { NEVER } from "@airlift/protocol/zmesh/instant";
import type { PackedContent } from "@airlift/protocol/zmesh/packed-content";
import { drawKeys, packRelease } from "@airlift/protocol/zmesh/release";
import { repairRows } from "@airlift/protocol/zmesh/repair-rows";
import { NO_TRIAD, triadOf } from "@airlift/protocol/zmesh/version-triad";
import { writeFileAtomically } from "@airlift/runtime/atomic-file";
import { generateSigningKey, loadSigningKey } from "@airlift/runtime/crypto";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { PackedRelease, PackedShape } from "../mesh/packed-release.ts";
import { failWriting } from "../store/image-files.ts";
import type { Stores } from "../store/ports.ts";

/** A constrained device has no larger slot; and an image is held in memory while it is packed. */
const LARGEST_MESH_IMAGE_BYTES = 16 * 2 ** 20;
/** Announced: the time in which the slowest devices program a chunk, and then some. */
const DEFAULT_GAP_MS = 20;
const ENC_NAMES = ["none", "ctr", "ccm"] as const;

/** A content's octets: Begin, every Data payload, End, one after the other. */
export interface ContentFile {
  readonly content: GatewayContent;
  readonly sizeBytes: number;
  readonly uri: string;
  stream(start: number, end: number): Readable;
}

export class MeshReleases {
  readonly #stores: Pick<Stores, "images" | "mesh">;
  readonly #folder: string;
  readonly #packing = new Map<string, Promise<PackedRelease>>();

  /** @param folder Holds the files; made when it is missing. */
  constructor(stores: Pick<Stores, "images" | "mesh">, folder: string) {
    this.#stores = stores;
    this.#folder = folder;
  }

  /**
   * The image as it is sent; packed when it never was.
   *
   * @throws {UsageError} UNKNOWN_IMAGE (404) · MESH_VERSION: devices cannot tell its version · MESH_IMAGE_SIZE ·
   *   NAME_COLLISION: another image has its name on air. @throws {EnvironmentError} IMAGE_READ, IMAGE_WRITE, DISK_FULL
   */
  async ensure(imageId: string): Promise<PackedRelease> {
    const known = await this.#stores.mesh.releaseOf(imageId);
    if (known !== undefined && (await this.#isHere(known))) return known;
    const running = this.#packing.get(imageId) ?? this.#pack(imageId).finally(() => this.#packing.delete(imageId));
    this.#packing.set(imageId, running);
    return await running;
  }

  /** The content of a name, twelve hex digits. */
  async open(name: string): Promise<ContentFile | undefined> {
    const found = await this.#stores.mesh.releaseNamed(name);
    if (found === undefined) return undefined;
    // On another server's disk, or lost with a disk: the keys are on record, so the same octets come out again.
    const packed = await this.ensure(found.imageId);
    const shape = [packed.image, packed.manifest].find(({ content }) => content.name === name) as PackedShape;
    const file = this.#fileOf(name);
    return {
      content: shape.content,
      uri: shape.uri,
      sizeBytes: sizeOf(shape.content),
      stream: (start, end) => createReadStream(file, { start, end }),
    };
  }

  /** The payload of one packet as it travels, parity included. Undefined behind the end of what a name stands for. */
  async payloadAt(name: string, seq: number): Promise<Uint8Array | undefined> {
    const found = await this.open(name);
    if (found === undefined) return undefined;
    const { content } = found;
    const file = await open(this.#fileOf(name));
    try {
      const read = async (at: number): Promise<Uint8Array> => {
        const { offset, sizeBytes } = placeOf(content, at);
        return (await file.read(Buffer.alloc(sizeBytes), 0, sizeBytes, offset)).buffer;
      };
      if (kindOfSeq(seq, content.dataCount) !== "repair") return await read(seq);
      const n = repairOfSeq(content.dataCount, seq);
      const row = repairRows(content.repairScheme, content.dataCount)(n);
      const shape = {
        name: fromHex(name) as Uint8Array,
        dataCount: content.dataCount,
        payloadBytes: content.payloadBytes,
      };
      return await repairPayload(shape, row, read);
    } finally {
      await file.close();
    }
  }

  /** PEM of the key that devices are to trust. */
  async publicKeyPem(): Promise<string> {
    const pem = await this.#signingKey();
    return createPublicKey(pem).export({ type: "spki", format: "pem" }).toString();
  }

  async #pack(imageId: string): Promise<PackedRelease> {
    const image = await this.#stores.images.get(imageId);
    if (image === undefined) throw new UsageError("UNKNOWN_IMAGE", `there is no image ${imageId}`);
    const version = triadOf(image.version);
    if (version === undefined)
      throw new UsageError("MESH_VERSION", `the image's version is ${image.version}, and ${NO_TRIAD}`, {
        version: image.version,
      });
    if (image.sizeBytes > LARGEST_MESH_IMAGE_BYTES)
      throw new UsageError("MESH_IMAGE_SIZE", `an image of ${image.sizeBytes} bytes is too large to be broadcast`, {
        sizeBytes: image.sizeBytes,
      });
    const keys = await this.#stores.mesh.keysOf(imageId, () => drawKeys(zmeshCrypto));
    const bytes = await bytesOf(await this.#stores.images.stream(image, 0, image.sizeBytes - 1));
    const release = packRelease(
      {
        identity: { manufacturer: image.manufacturer, model: image.model, version: image.version },
        image: bytes,
        keys,
        signing: { ...signingOf(image), key: loadSigningKey(await this.#signingKey()) },
      },
      // Installing is decided for each device, long after the name has been given away for good.
      { applyAtMs: NEVER },
      zmeshCrypto,
    );
    const packed: PackedRelease = {
      image: await this.#write(release.image),
      manifest: await this.#write(release.manifest as PackedContent),
      gapMs: DEFAULT_GAP_MS,
      version,
    };
    await this.#keep(imageId, packed);
    return packed;
  }

  async #keep(imageId: string, packed: PackedRelease): Promise<void> {
    for (const { content } of [packed.image, packed.manifest]) {
      const other = await this.#stores.mesh.releaseNamed(content.name);
      if (other !== undefined && other.imageId !== imageId)
        throw new UsageError("NAME_COLLISION", "another image has this name on air: take another version", {
          name: content.name,
        });
    }
    await this.#stores.mesh.keepRelease(imageId, packed);
  }

  async #write(content: PackedContent): Promise<PackedShape> {
    const payloads = Array.from({ length: content.dataCount + 2 }, (_, seq) => content.payloadAt(seq));
    const octets = Buffer.concat(payloads);
    const name = toHex(content.name);
    await mkdir(this.#folder, { recursive: true })
      .then(() => writeFileAtomically(this.#fileOf(name), octets))
      .catch(failWriting);
    return {
      content: {
        name,
        encType: ENC_NAMES[content.encType],
        repairScheme: content.end.repairScheme,
        payloadBytes: content.payloadBytes,
        dataCount: content.dataCount,
        sha256: createHash("sha256").update(octets).digest("hex"),
      },
      uri: content.uri,
      mtuBytes: content.mtuBytes,
      chunkBytes: content.chunkBytes,
      lengthBytes: content.begin.lengthBytes,
    };
  }

  async #isHere({ image, manifest }: PackedRelease): Promise<boolean> {
    const files = [image, manifest].map(({ content }) => access(this.#fileOf(content.name)));
    return (await Promise.allSettled(files)).every(({ status }) => status === "fulfilled");
  }

  #signingKey(): Promise<string> {
    return this.#stores.mesh.signingKey(() => generateSigningKey("ed25519").privatePem);
  }

  #fileOf(name: string): string {
    return join(this.#folder, `${name}.content`);
  }
}

const signingOf = ({ hardware, securityCounter }: Image) => ({
  hardwareRevisions: hardware,
  securityCounter: securityCounter ?? 0,
  gapMs: DEFAULT_GAP_MS,
});

async function bytesOf(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const BEGIN_BYTES = 12;
const END_BYTES = 40;
const tagOf = ({ encType }: GatewayContent): number => (encType === "ccm" ? 8 : 0);

function placeOf(content: GatewayContent, seq: number): { readonly offset: number; readonly sizeBytes: number } {
  const beginBytes = BEGIN_BYTES + tagOf(content);
  if (seq === 0) return { offset: 0, sizeBytes: beginBytes };
  const offset = beginBytes + (seq - 1) * content.payloadBytes;
  return { offset, sizeBytes: seq <= content.dataCount ? content.payloadBytes : END_BYTES + tagOf(content) };
}

const sizeOf = (content: GatewayContent): number => {
  const { offset, sizeBytes } = placeOf(content, content.dataCount + 1);
  return offset + sizeBytes;
};
