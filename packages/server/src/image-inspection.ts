/** Looks into an image that is being added: what it is, whether it is whole, and whether a key we trust signed it. */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { PublicKey } from "@airlift/protocol/image/crypto-port";
import { inspectImage } from "@airlift/protocol/image/inspect";
import type { ImageFile } from "@airlift/protocol/image/reader";
import { verifyImage } from "@airlift/protocol/image/verify";
import { formatMcubootVersion } from "@airlift/protocol/image/version";
import { toHex } from "@airlift/protocol/lib/bytes";
import { AirliftError, PeerError, UsageError } from "@airlift/protocol/lib/errors";
import { imageCrypto, loadPublicKey } from "@airlift/runtime/crypto";
import type { ImageInspection, InspectImage } from "./store/ports.ts";

/** A public key whose signatures the server reports as verified. */
export interface TrustedKey {
  /** What the operator sees: the file's name without its ending. */
  readonly name: string;
  readonly key: PublicKey;
}

/** @throws {UsageError} TRUSTED_KEY naming every file that holds no usable key. */
export async function loadTrustedKeys(files: readonly string[]): Promise<TrustedKey[]> {
  const keys: TrustedKey[] = [];
  const problems: string[] = [];
  for (const file of files) {
    try {
      const key = loadPublicKey(await readFile(file, "utf8"));
      keys.push({ name: basename(file).replace(/(\.pub)?\.pem$/, ""), key });
    } catch (error) {
      problems.push(`${file}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (problems.length > 0) throw new UsageError("TRUSTED_KEY", problems.join("\n"), { problems });
  return keys;
}

/**
 * An inspection by these keys. An image that is unsigned, or signed by somebody else, is kept and said to be so: devices
 * decide for themselves. One that is damaged, or forges a key we know, is refused.
 */
export function inspectWith(trusted: readonly TrustedKey[]): InspectImage {
  return async (read, sizeBytes) => {
    const file: ImageFile = { reader: { read }, sizeBytes };
    const image = await inspectImage(file);
    if (image.format === "raw") return { format: "raw", signature: null, securityCounter: null };
    const verifiedBy = await verifier(file, trusted);
    const [first] = image.signatures;
    const signature: ImageInspection["signature"] = first
      ? { algorithm: first.scheme, keyHash: first.keyHash ? toHex(first.keyHash) : null, verifiedBy }
      : null;
    return {
      format: "mcuboot",
      signature,
      securityCounter: image.securityCounter ?? null,
      headerVersion: formatMcubootVersion(image.version),
    };
  };
}

/** Codes that say only that nobody we know vouches for the image. */
const UNKNOWN_SIGNER: ReadonlySet<string> = new Set(["IMAGE_UNSIGNED", "IMAGE_KEY_UNKNOWN", "IMAGE_ENCRYPTED"]);

async function verifier(file: ImageFile, trusted: readonly TrustedKey[]): Promise<string | null> {
  const keys = trusted.map(({ key }) => key);
  try {
    const { signedBy } = await verifyImage(file, keys, imageCrypto);
    return trusted.find(({ key }) => key === signedBy)?.name ?? null;
  } catch (error) {
    if (!(error instanceof PeerError && UNKNOWN_SIGNER.has(error.code))) throw error;
  }
  try {
    await verifyImage(file, "allow-unsigned", imageCrypto);
  } catch (error) {
    if (!(error instanceof AirliftError && error.code === "IMAGE_ENCRYPTED")) throw error;
  }
  return null;
}
