/** One CBOR data item (RFC 8949) with bounds, for the three formats built on it. */
import { decode, encode, type TagDecoder, Tagged, Token, Tokenizer, Type } from "cborg";
import { concat, decodeUtf8, EMPTY } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";

export interface CborBounds {
  /** Containers and tags inside each other. */
  readonly maxDepth: number;
  /** Data items in all. */
  readonly maxItems: number;
}

/** What `decodeItem` yields: maps as `Map`, integers beyond 2⁵³ as bigint, epoch times as `Tagged`. */
export type CborValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | Uint8Array
  | Tagged
  | readonly CborValue[]
  | ReadonlyMap<CborValue, CborValue>;

/**
 * The one item in `payload`. Understood tags are epoch time (1) and decimal fraction (4); others are refused.
 *
 * @throws {PeerError} CBOR when it is not exactly one well-formed item within `bounds`.
 */
export function decodeItem(payload: Uint8Array, bounds: CborBounds): CborValue {
  try {
    const options = { useMaps: true, rejectDuplicateMapKeys: true, tags: TAGS };
    return decode(payload, { ...options, tokenizer: new BoundedTokenizer(payload, bounds) }) as CborValue;
  } catch (cause) {
    if (cause instanceof PeerError) throw cause;
    throw new PeerError("CBOR", "not one well-formed CBOR item", { sizeBytes: payload.length }, { cause });
  }
}

const TAGS: Record<number, TagDecoder> = {
  1: (content) => {
    const seconds = content();
    if (typeof seconds !== "number" && typeof seconds !== "bigint")
      throw new PeerError("CBOR", "an epoch time is a number");
    return new Tagged(1, seconds);
  },
  4: (content) => {
    const fraction = content();
    const [exponent, mantissa] = Array.isArray(fraction) && fraction.length === 2 ? fraction : [];
    const value = isInteger(exponent) && isInteger(mantissa) ? Number(`${mantissa}e${exponent}`) : Number.NaN;
    if (!Number.isFinite(value)) throw new PeerError("CBOR", "not a decimal fraction");
    return value;
  },
};

function isInteger(item: unknown): item is number | bigint {
  return typeof item === "bigint" || Number.isInteger(item);
}

/**
 * Stops before the library's recursion goes deeper, or its work longer, than the format can need; reads strings in
 * chunks, which the library does not; and takes text as strictly as RFC 8949 §3.1 asks.
 */
class BoundedTokenizer extends Tokenizer {
  readonly #bounds: CborBounds;
  /** Items still missing in each open container; `Infinity` until its break. */
  readonly #missing: number[] = [];
  #items = 0;

  constructor(payload: Uint8Array, bounds: CborBounds) {
    super(plain(payload), { allowIndefinite: true, allowUndefined: true, allowBigInt: true, retainStringBytes: true });
    this.#bounds = bounds;
  }

  override next(): Token {
    const head = this.data[this._pos];
    const isChunked = head === CHUNKED_BYTES || head === CHUNKED_TEXT;
    const token = isChunked ? this.#joinChunks(head === CHUNKED_BYTES ? Type.bytes : Type.string) : this.#one();
    this.#count(token);
    if (this.#missing.length > this.#bounds.maxDepth) throw new PeerError("CBOR", "too deep", { ...this.#bounds });
    return token;
  }

  #one(): Token {
    const token = super.next();
    this.#items += 1;
    if (this.#items > this.#bounds.maxItems) throw new PeerError("CBOR", "too many items", { ...this.#bounds });
    if (token.byteValue !== undefined) token.value = strictText(token.byteValue);
    return token;
  }

  /** A string of definite strings up to a break, as one (RFC 8949 §3.2.3). */
  #joinChunks(type: Type): Token {
    const chunks: Uint8Array[] = [];
    this._pos += 1;
    for (let chunk = this.#one(); !Type.equals(chunk.type, Type.break); chunk = this.#one()) {
      if (!Type.equals(chunk.type, type)) throw new PeerError("CBOR", "chunks of another type");
      chunks.push(type === Type.bytes ? (chunk.value as Uint8Array) : (chunk.byteValue ?? EMPTY));
    }
    const whole = concat(chunks);
    return new Token(type, type === Type.bytes ? whole : strictText(whole), 0);
  }

  #count({ type, value }: Token): void {
    this.#closeFull();
    if (type.name === "break") this.#missing.pop();
    else this.#fill();
    if (type.name === "array") this.#open(value as number);
    else if (type.name === "map") this.#open(2 * (value as number));
    else if (type.name === "tag") this.#open(1);
  }

  #open(items: number): void {
    if (items > 0) this.#missing.push(items);
  }

  #closeFull(): void {
    while (this.#missing.at(-1) === 0) this.#missing.pop();
  }

  #fill(): void {
    const innermost = this.#missing.length - 1;
    if (innermost >= 0) this.#missing[innermost] = (this.#missing[innermost] ?? 0) - 1;
  }
}

const CHUNKED_BYTES = 0x5f;
const CHUNKED_TEXT = 0x7f;

function strictText(bytes: Uint8Array): string {
  const text = decodeUtf8(bytes);
  if (text === undefined) throw new PeerError("CBOR", "not UTF-8", { sizeBytes: bytes.length });
  return text;
}

/** `value` in preferred serialization, map entries in their own order, floats as short as they are exact. */
export function encodeItem(value: CborValue): Uint8Array {
  // Base fields come first, as in the published examples: a stable sort that finds all keys equal keeps their order.
  return plain(encode(value, { mapSorter: () => 0 }));
}

/** The same octets as a Uint8Array and nothing more: subclasses of a runtime slice differently. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A time as CBOR carries it: tag 1 around whole seconds since 1970. */
export function epochTime(seconds: number | bigint): CborValue {
  return new Tagged(1, seconds);
}

/** The seconds of an epoch time, or `undefined` when `item` is none. */
export function secondsOf(item: CborValue): number | bigint | undefined {
  return item instanceof Tagged ? (item.value as number | bigint) : undefined;
}
