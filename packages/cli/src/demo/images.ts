/** The firmware of the demo: one image that a stranger signed, and two that everybody trusts. */
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeMcubootImage } from "@airlift/protocol/image/make-mcuboot";
import { parseMcubootVersion } from "@airlift/protocol/image/version";
import { generateSigningKey, imageCrypto, loadSigningKey } from "@airlift/runtime/crypto";

/** Octets of the payload: what a connected microcontroller with a network stack has. */
export const FIRMWARE_BYTES = 1_050_000;

/** Small, since ten devices only take it to refuse it. */
const FORGED_BYTES = 60_000;

export const FIRST_VERSION = "1.0.0";
export const FORGED_VERSION = "1.0.9";
export const NEW_VERSION = "1.1.0";
/** That all get in one campaign, those behind the radio gateway too. */
export const JOINT_VERSION = "1.2.0";

/** At 50 packets a second the chunks take half a dozen seconds. */
const JOINT_BYTES = 12_000;

export interface DemoImages {
  /** File of the public key that all devices trust. */
  readonly trustFile: string;
  readonly good: Blob;
  readonly forged: Blob;
  readonly joint: Blob;
}

export async function makeImages(folder: string): Promise<DemoImages> {
  const ours = generateSigningKey();
  const stranger = generateSigningKey();
  const trustFile = join(folder, "release.pub.pem");
  await writeFile(trustFile, ours.publicPem);
  return {
    trustFile,
    good: signedImage(FIRMWARE_BYTES, NEW_VERSION, ours.privatePem),
    forged: signedImage(FORGED_BYTES, FORGED_VERSION, stranger.privatePem),
    joint: signedImage(JOINT_BYTES, JOINT_VERSION, ours.privatePem),
  };
}

function signedImage(sizeBytes: number, version: string, privatePem: string): Blob {
  const signing = { crypto: imageCrypto, key: loadSigningKey(privatePem) };
  const image = makeMcubootImage(randomBytes(sizeBytes), { version: parseMcubootVersion(version) }, signing);
  return new Blob([new Uint8Array(image)]);
}
