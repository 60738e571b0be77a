/** The one door to the codecs: values into a payload and back, by the number of the content format. */
import { PeerError, UsageError } from "../lib/errors.ts";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { CONTENT_FORMATS, LEGACY_FORMATS } from "./content-formats.ts";
import type { Context, Entry } from "./entry.ts";
import { decodeLwm2mCbor, encodeLwm2mCbor } from "./lwm2m-cbor.ts";
import { decodeLwm2mJson, encodeLwm2mJson } from "./lwm2m-json.ts";
import { decodeSenmlCbor, encodeSenmlCbor } from "./senml-cbor.ts";
import { decodeSenmlJson, encodeSenmlJson } from "./senml-json.ts";
import { decodeOpaque, decodeText, encodeOpaque, encodeText } from "./text.ts";
import { decodeTlv, encodeTlv } from "./tlv.ts";

interface Codec {
  encode(entries: readonly Entry[], context: Context): Uint8Array;
  decode(payload: Uint8Array, context: Context): Entry[];
}

const CODECS: ReadonlyMap<number, Codec> = new Map([
  [CONTENT_FORMATS.text, { encode: encodeText, decode: decodeText }],
  [CONTENT_FORMATS.opaque, { encode: encodeOpaque, decode: decodeOpaque }],
  [CONTENT_FORMATS.cbor, { encode: encodeCbor, decode: decodeCbor }],
  [CONTENT_FORMATS.senmlJson, { encode: encodeSenmlJson, decode: decodeSenmlJson }],
  [CONTENT_FORMATS.senmlCbor, { encode: encodeSenmlCbor, decode: decodeSenmlCbor }],
  [CONTENT_FORMATS.tlv, { encode: encodeTlv, decode: decodeTlv }],
  [CONTENT_FORMATS.lwm2mJson, { encode: encodeLwm2mJson, decode: decodeLwm2mJson }],
  [CONTENT_FORMATS.lwm2mCbor, { encode: encodeLwm2mCbor, decode: decodeLwm2mCbor }],
]);

/** Whether values can travel in content format `format`. */
export function isPayloadFormat(format: number): boolean {
  return CODECS.has(LEGACY_FORMATS.get(format) ?? format);
}

/**
 * `entries`, all at or below `context.base`, in content format `format`. Text, opaque and CBOR hold exactly one value,
 * at the base itself. Numbers of resources that no model knows are written as integers where they are whole.
 *
 * @throws {UsageError} CONTENT_FORMAT, PATH, VALUE_TYPE, VALUE
 */
export function encodePayload(format: number, entries: readonly Entry[], context: Context): Uint8Array {
  const codec = CODECS.get(LEGACY_FORMATS.get(format) ?? format);
  if (codec === undefined) throw new UsageError("CONTENT_FORMAT", "no format for values", { format });
  return codec.encode(entries, context);
}

/**
 * The values of a payload, all at or below `context.base`. Opaque values may be views of the payload.
 * Resources that no model knows: TLV gives octets, text gives strings, the others what the format itself says.
 *
 * @throws {PeerError} CONTENT_FORMAT (4.15) for a format we do not read.
 * @throws {PeerError} TLV, TEXT, CBOR, SENML, JSON, VALUE, PATH, DUPLICATE, TOO_MANY (4.00)
 */
export function decodePayload(format: number, payload: Uint8Array, context: Context): Entry[] {
  const codec = CODECS.get(LEGACY_FORMATS.get(format) ?? format);
  if (codec === undefined) throw new PeerError("CONTENT_FORMAT", "no format for values", { format });
  return codec.decode(payload, context);
}
