/** Whether an image may go into a slot, and whether one in a slot is still what it was. */
import { hashOf, type ImageCrypto } from "@airlift/protocol/image/crypto-port";
import type { McubootImage } from "@airlift/protocol/image/mcuboot";
import { HEADER_FLAG } from "@airlift/protocol/image/mcuboot-header";
import { type ImageFile, walk } from "@airlift/protocol/image/reader";
import { type Trust, verifyImage } from "@airlift/protocol/image/verify";
import { compareMcubootVersions, formatMcubootVersion, type McubootVersion } from "@airlift/protocol/image/version";
import { toHex } from "@airlift/protocol/lib/bytes";
import { PeerError } from "@airlift/protocol/lib/errors";
import { HandlerError, type SlotFiles } from "../ports.ts";
import { imageName } from "./slot-download.ts";
import type { SlotContent, SlotName } from "./slot-record.ts";

/** Name and version that a raw file has by its own conventions. */
export interface ImageDescription {
  readonly name?: string;
  readonly version?: string;
}

export interface AdmissionRules {
  readonly trust: Trust;
  readonly crypto: ImageCrypto;
  /** No image with a lower security counter gets in; a raw file and an image without a counter have 0. */
  readonly securityCounter: number;
  /** Versions of the other images of this device by their number, for an image that depends on them. */
  readonly otherImages: ReadonlyMap<number, McubootVersion>;
  /** Reads what a raw file says of itself. */
  readonly describe?: (file: ImageFile) => Promise<ImageDescription>;
}

/** Images that are sound but not for this device to judge. */
const UNSUPPORTED: ReadonlySet<string> = new Set(["IMAGE_EMPTY", "IMAGE_ENCRYPTED", "IMAGE_PURE_SIZE"]);

/**
 * Verifies a downloaded image.
 *
 * @throws {HandlerError} integrityFailed: not whole, or nobody we trust signed it. unsupportedPackage: empty, encrypted,
 *   not bootable, depends on what is not here, or its security counter is too low.
 */
export async function admitImage(file: ImageFile, rules: AdmissionRules): Promise<SlotContent> {
  const { image } = await verifyImage(file, rules.trust, rules.crypto).catch((cause) => {
    if (!(cause instanceof PeerError)) throw cause;
    const result = UNSUPPORTED.has(cause.code) ? "unsupportedPackage" : "integrityFailed";
    throw new HandlerError(result, cause.message, { cause });
  });
  const securityCounter = image.format === "mcuboot" ? (image.securityCounter ?? 0) : 0;
  if (securityCounter < rules.securityCounter) {
    const limit = rules.securityCounter;
    throw new HandlerError("unsupportedPackage", `security counter ${securityCounter} is lower than ${limit}`);
  }
  if (image.format === "mcuboot") refuseUnfit(image, rules.otherImages);
  const described = (await rules.describe?.(file)) ?? {};
  return {
    sizeBytes: file.sizeBytes,
    sha256: await digestOf(file, rules.crypto),
    securityCounter,
    ...described,
    ...(image.format === "mcuboot" && { version: formatMcubootVersion(image.version) }),
  };
}

/** Whether the image in a slot is octet for octet the one that was verified. */
export async function isIntact(
  files: SlotFiles,
  { slot, content }: { slot: SlotName; content: SlotContent },
  crypto: ImageCrypto,
): Promise<boolean> {
  const file = await files.open(imageName(slot), "read");
  if (!file) return false;
  try {
    const sizeBytes = await file.sizeBytes();
    return sizeBytes === content.sizeBytes && (await digestOf({ reader: file, sizeBytes }, crypto)) === content.sha256;
  } finally {
    await file.close();
  }
}

function refuseUnfit(image: McubootImage, otherImages: ReadonlyMap<number, McubootVersion>): void {
  if (image.flags & HEADER_FLAG.nonBootable) throw new HandlerError("unsupportedPackage", "the image does not boot");
  for (const { imageIndex, version } of image.dependencies) {
    const present = otherImages.get(imageIndex);
    if (!present || compareMcubootVersions(present, version) < 0) {
      const wanted = `image ${imageIndex} in version ${formatMcubootVersion(version)} or later`;
      throw new HandlerError("unsupportedPackage", `the image depends on ${wanted}`);
    }
  }
}

async function digestOf({ reader, sizeBytes }: ImageFile, crypto: ImageCrypto): Promise<string> {
  if (sizeBytes === 0) return toHex(hashOf(crypto, "sha256", new Uint8Array(0)));
  const hash = crypto.createHash("sha256");
  await walk(reader, sizeBytes, (bytes) => hash.update(bytes));
  return toHex(hash.digest());
}
