/**
 * Program files that say their version and by whom they are, in two comment lines at their end:
 *
 *   //# airlift-version=2.0.0
 *   //# airlift-signature=<base64 of the signature over the SHA-256 of all octets before this line>
 *
 * To JavaScript they are comments; what else a program may be has to bear octets at its end.
 */
import type { PublicKey, SigningKey } from "@airlift/protocol/image/crypto-port";
import { type ImageFile, readExactly, walk } from "@airlift/protocol/image/reader";
import type { Trust } from "@airlift/protocol/image/verify";
import { concat, decodeUtf8, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { UsageError } from "@airlift/protocol/lib/errors";
import { imageCrypto } from "@airlift/runtime/crypto";
import { HandlerError } from "../ports.ts";

/** Both lines with the largest signature there is have 700 octets. */
const LONGEST_TRAILER_BYTES = 1_024;
const VERSION = /^[0-9A-Za-z][0-9A-Za-z._+-]{0,63}$/;
const SIGNATURE_LINE = /\/\/# airlift-signature=([0-9A-Za-z+/]+={0,2})\n$/;
const VERSION_LINE = /(?:^|\n)\/\/# airlift-version=([^\n]+)\n$/;

/**
 * `program` with both lines behind it.
 *
 * @throws {UsageError} PROGRAM_VERSION when `version` is no single word of letters, digits and `._+-`.
 */
export function signProgram(program: Uint8Array, version: string, key: SigningKey): Uint8Array<ArrayBuffer> {
  if (!VERSION.test(version)) throw new UsageError("PROGRAM_VERSION", "not a version", { version });
  const signed = concat([program, encodeUtf8(`\n//# airlift-version=${version}\n`)]);
  const hash = imageCrypto.createHash("sha256");
  hash.update(signed);
  const signer = key.createSigner();
  signer.update(hash.digest());
  const signature = Buffer.from(signer.sign()).toString("base64");
  return concat([signed, encodeUtf8(`//# airlift-signature=${signature}\n`)]);
}

/**
 * Checks who signed a program file and tells its version. With `allow-unsigned` both lines may be missing.
 *
 * @throws {HandlerError} integrityFailed: not signed, or by nobody we trust.
 */
export async function verifyProgram(file: ImageFile, trust: Trust): Promise<{ readonly version?: string }> {
  const text = await tailOf(file);
  const found = SIGNATURE_LINE.exec(text);
  const version = VERSION_LINE.exec(found ? text.slice(0, found.index) : text)?.[1];
  const described = version !== undefined && VERSION.test(version) ? { version } : {};
  if (trust === "allow-unsigned") return described;
  if (!found || !described.version) throw new HandlerError("integrityFailed", "the program is not signed");
  const signedSizeBytes = file.sizeBytes - (text.length - found.index);
  const hash = imageCrypto.createHash("sha256");
  await walk(file.reader, signedSizeBytes, (bytes) => hash.update(bytes));
  const digest = hash.digest();
  const signature = Buffer.from(found[1] ?? "", "base64");
  const isTrusted = trust.some((key) => isSignedBy(key, digest, signature));
  if (!isTrusted) throw new HandlerError("integrityFailed", "nobody we trust has signed the program");
  return described;
}

function isSignedBy(key: PublicKey, digest: Uint8Array, signature: Uint8Array): boolean {
  const verifier = imageCrypto.createVerifier(key);
  verifier.update(digest);
  return verifier.verify(signature);
}

/** The end of a file, as far as it is text of one octet a character. */
async function tailOf({ reader, sizeBytes }: ImageFile): Promise<string> {
  const length = Math.min(sizeBytes, LONGEST_TRAILER_BYTES);
  const bytes = await readExactly(reader, sizeBytes - length, length);
  const begin = bytes.findLastIndex((byte) => byte > 0x7f) + 1;
  return decodeUtf8(bytes.subarray(begin)) ?? "";
}
