/** Records as they lie in a datagram (RFC 6347 §4.1), with and without a Connection ID (RFC 9146 §4). */
import { EMPTY } from "../lib/bytes.ts";
import { readUint, writeUint } from "./octets.ts";

/** @see RFC 5246 §6.2.1, RFC 9146 §4 */
export const CONTENT_TYPE = {
  changeCipherSpec: 20,
  alert: 21,
  handshake: 22,
  applicationData: 23,
  connectionId: 25,
} as const;

export const VERSION_1_0 = 0xfeff;
export const VERSION_1_2 = 0xfefd;

/** Type, version, epoch, sequence number and length; the Connection ID comes on top. */
export const RECORD_HEADER_BYTES = 13;

/** Longest fragment: 2¹⁴ octets of content and what protection adds. @see RFC 5246 §6.2.3 */
const MAX_FRAGMENT_BYTES = 2 ** 14 + 2048;

export interface DtlsRecord {
  /** See `CONTENT_TYPE`. For `connectionId` the true type is inside. */
  readonly type: number;
  readonly version: number;
  /** 0 = not protected. */
  readonly epoch: number;
  /** 48 bits. */
  readonly sequence: number;
  /** Empty without the type `connectionId`. */
  readonly connectionId: Uint8Array;
  readonly fragment: Uint8Array;
}

/**
 * The records of one datagram up to the first that is malformed: the rest cannot be found after that.
 * Fragments and Connection IDs are views.
 *
 * @param connectionIdBytes Length of the Connection IDs that we gave out.
 * @see RFC 6347 §4.1.2.7 (invalid records are discarded without a word)
 */
export function decodeRecords(datagram: Uint8Array, connectionIdBytes: number): DtlsRecord[] {
  const records: DtlsRecord[] = [];
  for (let at = 0; at < datagram.length; ) {
    const type = datagram[at] as number;
    const idBytes = type === CONTENT_TYPE.connectionId ? connectionIdBytes : 0;
    const start = at + RECORD_HEADER_BYTES + idBytes;
    if (start > datagram.length || !isContentType(type)) break;
    const version = readUint(datagram, at + 1, 2);
    const length = readUint(datagram, start - 2, 2);
    const end = start + length;
    if (version >> 8 !== 0xfe || length > MAX_FRAGMENT_BYTES || end > datagram.length) break;
    records.push({
      type,
      version,
      epoch: readUint(datagram, at + 3, 2),
      sequence: readUint(datagram, at + 5, 6),
      connectionId: idBytes === 0 ? EMPTY : datagram.subarray(at + 11, at + 11 + idBytes),
      fragment: datagram.subarray(start, end),
    });
    at = end;
  }
  return records;
}

const isContentType = (type: number): boolean =>
  (type >= CONTENT_TYPE.changeCipherSpec && type <= CONTENT_TYPE.applicationData) || type === CONTENT_TYPE.connectionId;

/** Where a record stands. */
export interface RecordPlace {
  readonly epoch: number;
  readonly sequence: number;
}

/** Writes the header of a record at the beginning of `target`; returns its length. */
export function writeRecordHeader(
  target: Uint8Array,
  head: RecordPlace & { readonly type: number; readonly connectionId: Uint8Array; readonly length: number },
): number {
  const { connectionId } = head;
  target[0] = head.type;
  writeUint(target, 1, VERSION_1_2, 2);
  writeUint(target, 3, head.epoch, 2);
  writeUint(target, 5, head.sequence, 6);
  for (let i = 0; i < connectionId.length; i += 1) target[11 + i] = connectionId[i] as number;
  writeUint(target, 11 + connectionId.length, head.length, 2);
  return RECORD_HEADER_BYTES + connectionId.length;
}

/** A record of epoch 0. */
export function encodePlainRecord(type: number, sequence: number, fragment: Uint8Array): Uint8Array {
  const record = new Uint8Array(RECORD_HEADER_BYTES + fragment.length);
  const at = writeRecordHeader(record, { type, epoch: 0, sequence, connectionId: EMPTY, length: fragment.length });
  record.set(fragment, at);
  return record;
}
