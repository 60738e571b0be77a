/**
 * COSE_Sign1 (RFC 9052 §4.2) with EdDSA or ES256, in the one deterministic form that this house writes and takes:
 * 18([<< {1: alg} >>, {}, payload, signature]).
 */
import { decode, encode, Tagged, Token, Tokenizer } from "cborg";
import type { ImageCrypto, PublicKey, SigningKey } from "../image/crypto-port.ts";
import { EMPTY, equalBytes } from "../lib/bytes.ts";
import { BugError, PeerError, UsageError } from "../lib/errors.ts";

/** Arrays, maps and tags that anything decoded here may have. */
const MAX_CONTAINERS = 8;
const SIGNATURE_BYTES = 64;
const SIGN1_TAG = 18;
/** @see RFC 9053 §2.1, §2.2 */
const ALGORITHM = { ed25519: -8, "ecdsa-p256": -7 } as const;

/** CBOR values that are used here. */
export type Item = number | string | Uint8Array | Tagged | readonly Item[] | ReadonlyMap<number, Item>;

/**
 * The signed message.
 *
 * @throws {UsageError} `KEY_KIND` when the key is neither Ed25519 nor on P-256.
 */
export function signSign1(payload: Uint8Array, key: SigningKey): Uint8Array {
  const { kind } = key.publicKey;
  if (kind !== "ed25519" && kind !== "ecdsa-p256")
    throw new UsageError("KEY_KIND", "manifests are signed with Ed25519 or ECDSA on P-256", { kind });
  const protectedHeader = encodeItem(new Map([[1, ALGORITHM[kind]]]));
  const signer = key.createSigner();
  signer.update(toBeSigned(protectedHeader, payload));
  const signature = kind === "ed25519" ? signer.sign() : rawSignature(signer.sign());
  return encodeItem(new Tagged(SIGN1_TAG, [protectedHeader, new Map(), payload, signature]));
}

/** A signed message whose signature has been found good. */
export interface VerifiedSign1 {
  readonly payload: Uint8Array;
  readonly signedBy: PublicKey;
}

/** Who may sign, and what checks it. */
export interface Sign1Trust {
  readonly keys: readonly PublicKey[];
  readonly crypto: ImageCrypto;
}

/**
 * The payload, if a trusted key signed it.
 *
 * @throws {PeerError} `COSE_FORMAT` when it is not that one form; `COSE_ALGORITHM`; `COSE_SIGNATURE` when no trusted key of
 *   that algorithm made the signature.
 */
export function verifySign1(bytes: Uint8Array, { keys, crypto }: Sign1Trust): VerifiedSign1 {
  const { protectedHeader, payload, signature } = decodeSign1(bytes);
  const kind = kindOf(protectedHeader);
  const message = toBeSigned(protectedHeader, payload);
  const signedBy = keys.find((key) => {
    if (key.kind !== kind) return false;
    const verifier = crypto.createVerifier(key);
    verifier.update(message);
    return verifier.verify(kind === "ed25519" ? signature : derSignature(signature));
  });
  if (!signedBy)
    throw new PeerError("COSE_SIGNATURE", "no trusted key has signed this", { kind, keyCount: keys.length });
  return { payload, signedBy };
}

/** One CBOR item in deterministic form (RFC 8949 §4.2.1). */
export function encodeItem(item: Item): Uint8Array {
  const bytes = encode(item, { mapSorter: byNumber });
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * One CBOR item, which has to be in deterministic form: it is encoded again and compared.
 *
 * @throws {PeerError} `code`
 */
export function decodeItem(bytes: Uint8Array, code: string): Item {
  try {
    const tags = { [SIGN1_TAG]: (content: () => unknown) => new Tagged(SIGN1_TAG, content()) };
    const rules = { strict: true, useMaps: true, rejectDuplicateMapKeys: true, allowIndefinite: false };
    const item: Item = decode(bytes, { ...rules, tags, tokenizer: new BoundedTokenizer(bytes, rules) });
    if (equalBytes(encodeItem(item), bytes)) return item;
  } catch (cause) {
    throw new PeerError(code, "not one CBOR item", { sizeBytes: bytes.length }, { cause });
  }
  throw new PeerError(code, "not in deterministic form", { sizeBytes: bytes.length });
}

type MapEntry = readonly (Token | readonly Token[])[];

/** The order of keys that are numbers. No map here has others, so what a stranger puts there may stay where it is. */
function byNumber([a]: MapEntry, [b]: MapEntry): number {
  const isNumbers = a instanceof Token && b instanceof Token && a.type.name === "uint" && b.type.name === "uint";
  return isNumbers ? Number(a.value) - Number(b.value) : 0;
}

/** Stops a bomb of containers before the library's recursion goes deep. */
class BoundedTokenizer extends Tokenizer {
  #containers = 0;

  override next(): Token {
    const token = super.next();
    const { name } = token.type;
    if (name === "array" || name === "map" || name === "tag") this.#containers += 1;
    if (this.#containers > MAX_CONTAINERS) throw new PeerError("CBOR", "too many containers");
    return token;
  }
}

interface Sign1 {
  readonly protectedHeader: Uint8Array;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

function decodeSign1(bytes: Uint8Array): Sign1 {
  const item = decodeItem(bytes, "COSE_FORMAT");
  const parts: readonly Item[] = item instanceof Tagged && Array.isArray(item.value) ? item.value : [];
  const [protectedHeader, unprotectedHeader, payload, signature] = parts;
  const isSign1 =
    parts.length === 4 &&
    protectedHeader instanceof Uint8Array &&
    unprotectedHeader instanceof Map &&
    payload instanceof Uint8Array &&
    signature instanceof Uint8Array;
  if (!isSign1 || unprotectedHeader.size > 0 || signature.length !== SIGNATURE_BYTES)
    throw new PeerError("COSE_FORMAT", "not a COSE_Sign1 as it is expected", { sizeBytes: bytes.length });
  return { protectedHeader, payload, signature };
}

function kindOf(protectedHeader: Uint8Array): keyof typeof ALGORITHM {
  for (const kind of ["ed25519", "ecdsa-p256"] as const) {
    if (equalBytes(protectedHeader, encodeItem(new Map([[1, ALGORITHM[kind]]])))) return kind;
  }
  throw new PeerError("COSE_ALGORITHM", "neither EdDSA nor ES256");
}

/** Sig_structure (RFC 9052 §4.4), without external data. */
function toBeSigned(protectedHeader: Uint8Array, payload: Uint8Array): Uint8Array {
  return encodeItem(["Signature1", protectedHeader, EMPTY, payload]);
}

/** r ‖ s, 32 octets each (RFC 9053 §2.1), of an ECDSA signature in DER. */
function rawSignature(der: Uint8Array): Uint8Array {
  const raw = new Uint8Array(SIGNATURE_BYTES);
  let at = 2;
  for (const end of [32, 64]) {
    const sizeBytes = der[at + 1] ?? 0;
    const digits = der.subarray(at + 2, at + 2 + sizeBytes);
    const significant = digits.subarray(Math.max(0, sizeBytes - 32));
    if (der[at] !== 0x02 || significant.length === 0) throw new BugError("DER", "not an ECDSA signature");
    raw.set(significant, end - significant.length);
    at += 2 + sizeBytes;
  }
  return raw;
}

/** The other way: SEQUENCE of two INTEGERs, each without needless zeros and never negative. */
function derSignature(raw: Uint8Array): Uint8Array {
  const integers = [raw.subarray(0, 32), raw.subarray(32)].flatMap((digits) => {
    const first = digits.findIndex((octet) => octet !== 0);
    const significant = first < 0 ? [0] : [...digits.subarray(first)];
    const octets = (significant[0] ?? 0) >= 0x80 ? [0, ...significant] : significant;
    return [0x02, octets.length, ...octets];
  });
  return Uint8Array.of(0x30, integers.length, ...integers);
}
