/**
 * Packages that have to be decoded before they are an image. The package stays where it was downloaded until the image is
 * whole and verified beside it; then the record says so, and only then the image takes the package's place.
 */
import type { ImageFile } from "@airlift/protocol/image/reader";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { HEAD_BYTES, type ImageDecoder } from "../image-decoder.ts";
import { HandlerError, type SlotFile, type SlotFiles } from "../ports.ts";
import { onFlash } from "./download-file.ts";
import { decodedName, imageName } from "./slot-download.ts";
import { otherSlot, type SlotRecord } from "./slot-record.ts";

export interface SlotDecoding {
  readonly files: SlotFiles;
  readonly record: SlotRecord;
  readonly decoder: ImageDecoder;
  readonly maxImageBytes: number;
}

/** The decoder for a package, if it needs one. */
export async function decoderFor(
  { reader, sizeBytes }: ImageFile,
  decoders: readonly ImageDecoder[],
): Promise<ImageDecoder | undefined> {
  if (decoders.length === 0) return undefined;
  const head = Uint8Array.from(await reader.read(0, Math.min(HEAD_BYTES, sizeBytes)));
  return decoders.find((decoder) => decoder.recognises(head));
}

/** Decodes `packed` into a file of its own, makes that durable, and hands it to `verify`. */
export async function decodeBeside<T>(
  packed: ImageFile,
  { files, record, decoder, maxImageBytes }: SlotDecoding,
  verify: (image: ImageFile) => Promise<T>,
): Promise<T> {
  const target = decodedName(otherSlot(record.active));
  const base = await openBase(files, record);
  try {
    const image = await onFlash(() => files.open(target, "create"));
    if (!image) throw new EnvironmentError("FILE_SYSTEM", "a file could not be created", { name: target });
    try {
      const options = { base: base?.image, package: packed, maxImageBytes };
      const sizeBytes = await store(image, decoder.decode(options), maxImageBytes);
      await onFlash(async () => {
        await image.sync();
        await files.syncFolderOf(target);
      });
      return await verify({ reader: image, sizeBytes });
    } finally {
      await image.close();
    }
  } finally {
    await base?.file.close();
  }
}

/** Puts a decoded image where images boot from; what a power cut interrupted is done again by the next start. */
export async function moveDecoded(files: SlotFiles, { active, download }: SlotRecord): Promise<void> {
  if (!download?.isDecoded || !download.isComplete) return;
  const slot = otherSlot(active);
  const left = await files.open(decodedName(slot), "read");
  if (!left) return;
  await left.close();
  await files.rename(decodedName(slot), imageName(slot));
  await files.syncFolderOf(imageName(slot));
}

async function openBase(files: SlotFiles, { active, contents }: SlotRecord) {
  const content = contents[active];
  const file = content && (await files.open(imageName(active), "read"));
  if (!content || !file) return undefined;
  return { file, image: { reader: file, sizeBytes: content.sizeBytes, sha256: content.sha256 } };
}

async function store(file: SlotFile, pieces: AsyncIterable<Uint8Array>, maxImageBytes: number): Promise<number> {
  let sizeBytes = 0;
  for await (const piece of pieces) {
    if (sizeBytes + piece.length > maxImageBytes) {
      throw new HandlerError("noFlash", `the image is larger than ${maxImageBytes} octets`);
    }
    await onFlash(() => file.write(sizeBytes, piece));
    sizeBytes += piece.length;
  }
  return sizeBytes;
}
