/** What firmware is called: a URI for people and six octets on air. Source: Z-Mesh software update, "Content Name"; naming profile 1. */
import { encodeUtf8, equalBytes, toHex } from "../lib/bytes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";
import type { ZmeshCrypto } from "./crypto-port.ts";
import { uintBytes } from "./fields.ts";

/** Octets of a name on air. */
export const NAME_BYTES = 6;
/** The first octet of every name of device management in the profile `base254`. */
export const MANAGEMENT_NAME = 0xfe;
/** The longest URI that is published; far above any real name, far below what would trouble a device. */
export const LARGEST_URI_BYTES = 512;

/**
 * How a URI becomes six octets. `base254` (the default) keeps clear of the octets a network reserves; `sha256-48` is the
 * plain truncated hash, for networks that reserve none.
 */
export const NAME_PROFILES = ["base254", "sha256-48"] as const;

export type NameProfile = (typeof NAME_PROFILES)[number];

/** Which firmware, in the words of who makes it. Any text, compared after Unicode normalization form C. */
export interface FirmwareIdentity {
  readonly manufacturer: string;
  readonly model: string;
  readonly version: string;
}

/**
 * `zdm/sw/<MANUFACTURER>-<MODEL>-<VERSION>`; a hyphen within a part is `%2D`, so that the three can be told apart.
 *
 * @throws {UsageError} `NAME_PART` when a part is empty or no well-formed text; `NAME_LENGTH` above `LARGEST_URI_BYTES`.
 */
export function contentUri(identity: FirmwareIdentity): string {
  const uri = spell(identity);
  if (uri.length > LARGEST_URI_BYTES)
    throw new UsageError("NAME_LENGTH", "the name is too long", { sizeBytes: uri.length });
  return uri;
}

/** The URI of the content that carries the signed manifest of `uri`. */
export const manifestUri = (uri: string): string => `${uri}/manifest`;

/** The full name of one packet. @param seq 0 … 2²⁴ − 1. */
export const packetUri = (uri: string, seq: number): string => `${uri}/${seq}`;

/**
 * The three parts of a content URI, normalized.
 *
 * @throws {PeerError} `NAME_URI` when it is not exactly what `contentUri` writes.
 */
export function parseContentUri(uri: string): FirmwareIdentity {
  const [, manufacturer, model, version] = URI.exec(uri)?.map(decodePart) ?? [];
  if (manufacturer === undefined || model === undefined || version === undefined) throw notAUri(uri);
  const identity = { manufacturer, model, version };
  // Two spellings of one name would have two hashes.
  if (uri.length > LARGEST_URI_BYTES || spell(identity) !== uri) throw notAUri(uri);
  return identity;
}

/**
 * The name on air of a content URI, a manifest's URI or any other.
 *
 * `base254`: 0xFE ‖ five digits of SHA-256(URI) mod 254⁵ to the base 254, most significant first, each + 1.
 *
 * @returns Six octets.
 */
export function nameOf(uri: string, crypto: ZmeshCrypto, profile: NameProfile = "base254"): Uint8Array<ArrayBuffer> {
  const digest = crypto.sha256(encodeUtf8(uri));
  if (profile === "sha256-48") return new Uint8Array(digest.subarray(0, NAME_BYTES));
  const name = new Uint8Array(NAME_BYTES);
  name[0] = MANAGEMENT_NAME;
  let rest = Number(BigInt(`0x${toHex(digest)}`) % DIGITS);
  for (let place = NAME_BYTES - 1; place > 0; place -= 1) {
    name[place] = 1 + (rest % 254);
    rest = Math.floor(rest / 254);
  }
  return name;
}

/** Whether these octets may be a name in the profile: length, and in `base254` no octet that a network reserves. */
export function isName(bytes: Uint8Array, profile: NameProfile = "base254"): boolean {
  if (bytes.length !== NAME_BYTES) return false;
  return profile === "sha256-48" || (bytes[0] === MANAGEMENT_NAME && !bytes.includes(0x00) && !bytes.includes(0xff));
}

/** AAD of a packet: name(6) ‖ SEQ(3). */
export function nameAndSeq(name: Uint8Array, seq: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(NAME_BYTES + 3);
  bytes.set(name);
  bytes.set(uintBytes("SEQ", seq, 3), NAME_BYTES);
  return bytes;
}

/** Whether two names are the same. */
export const isSameName = equalBytes;

const PREFIX = "zdm/sw/";
const PART = "([A-Za-z0-9._~%]+)";
const URI = new RegExp(`^${PREFIX}${PART}-${PART}-${PART}$`);
const DIGITS = 254n ** 5n;
const LONE_SURROGATE = /\p{Surrogate}/u;

function spell({ manufacturer, model, version }: FirmwareIdentity): string {
  return PREFIX + [manufacturer, model, version].map(encodePart).join("-");
}

function encodePart(part: string): string {
  if (part === "" || LONE_SURROGATE.test(part))
    throw new UsageError("NAME_PART", "manufacturer, model and version are texts that are not empty", { part });
  let text = "";
  for (const byte of encodeUtf8(part.normalize("NFC"))) {
    const char = String.fromCharCode(byte);
    text += /[A-Za-z0-9._~]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}

function decodePart(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

function notAUri(uri: string): PeerError {
  return new PeerError("NAME_URI", "not the URI of a software update", { uri: uri.slice(0, 80) });
}
