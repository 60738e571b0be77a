/** One value in TLV: network byte order, integers as short as they fit (LwM2M Core 1.2 appendix C). */
import { decodeUtf8, encodeUtf8 } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";
import { assertValueOf, narrowInteger, type ObjectLink, type ResourceType, type ResourceValue } from "./value.ts";

/** @throws {UsageError} VALUE_TYPE */
export function encodeTlvValue(type: ResourceType, value: ResourceValue): Uint8Array {
  assertValueOf(type, value);
  switch (type) {
    case "integer":
    case "time":
      return encodeInteger(BigInt(value as number | bigint), 1n);
    case "unsigned":
      return encodeInteger(BigInt(value as number | bigint), 0n);
    case "float":
      return encodeFloat(value as number);
    case "boolean":
      return Uint8Array.of(value === true ? 1 : 0);
    case "objlnk": {
      const { objectId, instanceId } = value as ObjectLink;
      return Uint8Array.of(objectId >> 8, objectId & 0xff, instanceId >> 8, instanceId & 0xff);
    }
    case "opaque":
      return value as Uint8Array;
    default:
      return encodeUtf8(value as string);
  }
}

/** Signed integers need one bit more than their magnitude. */
function encodeInteger(value: bigint, signBits: bigint): Uint8Array {
  const magnitude = value < 0n ? ~value : value;
  const size = [1, 2, 4].find((bytes) => magnitude >> (BigInt(8 * bytes) - signBits) === 0n) ?? 8;
  return Uint8Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * (size - 1 - i))) & 0xffn));
}

function encodeFloat(value: number): Uint8Array {
  const exactIn32 = Object.is(Math.fround(value), value);
  const bytes = new Uint8Array(exactIn32 ? 4 : 8);
  const view = new DataView(bytes.buffer);
  if (exactIn32) view.setFloat32(0, value);
  else view.setFloat64(0, value);
  return bytes;
}

/** The value of `bytes`; opaque is a view. @throws {PeerError} VALUE */
export function decodeTlvValue(type: ResourceType, bytes: Uint8Array): ResourceValue {
  switch (type) {
    case "integer":
    case "time":
      return decodeInteger(bytes, true);
    case "unsigned":
      return decodeInteger(bytes, false);
    case "float":
      return decodeFloat(bytes);
    case "boolean":
      if (bytes.length !== 1 || (bytes[0] ?? 2) > 1) throw invalid(type, bytes);
      return bytes[0] === 1;
    case "objlnk":
      if (bytes.length !== 4) throw invalid(type, bytes);
      return { objectId: viewOf(bytes).getUint16(0), instanceId: viewOf(bytes).getUint16(2) };
    case "opaque":
      return bytes;
    case "none":
      throw invalid(type, bytes);
    default: {
      const text = decodeUtf8(bytes);
      if (text === undefined) throw invalid(type, bytes);
      return text;
    }
  }
}

function decodeInteger(bytes: Uint8Array, signed: boolean): number | bigint {
  const view = viewOf(bytes);
  switch (bytes.length) {
    case 1:
      return signed ? view.getInt8(0) : view.getUint8(0);
    case 2:
      return signed ? view.getInt16(0) : view.getUint16(0);
    case 4:
      return signed ? view.getInt32(0) : view.getUint32(0);
    case 8:
      return narrowInteger(signed ? view.getBigInt64(0) : view.getBigUint64(0));
    default:
      throw invalid(signed ? "integer" : "unsigned", bytes);
  }
}

function decodeFloat(bytes: Uint8Array): number {
  if (bytes.length === 4) return viewOf(bytes).getFloat32(0);
  if (bytes.length === 8) return viewOf(bytes).getFloat64(0);
  throw invalid("float", bytes);
}

function invalid(type: ResourceType, bytes: Uint8Array): PeerError {
  return new PeerError("VALUE", `not a value of type ${type}`, { type, sizeBytes: bytes.length });
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
