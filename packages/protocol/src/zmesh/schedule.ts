/** When, where and how a device gets ready for an update. Source: Z-Mesh software update, "FOTA Scheduling message format". */
import { PeerError, UsageError } from "../lib/errors.ts";
import { type EncType, isEncType, isMtu } from "./chunking.ts";
import { NAME_BYTES } from "./content-name.ts";
import { KEY_BYTES } from "./crypto-port.ts";
import { assertLength, FieldReader, FieldWriter } from "./fields.ts";
import { INSTANT_BYTES } from "./instant.ts";

export const SCHEDULE_BYTES = 40;
/** Octets of Enc. IV. */
export const IV_BYTES = 9;

/** Octets are copies; the key is a secret. */
export interface Schedule {
  /** Unix milliseconds of the first Begin; `AT_ONCE` (0) = on request, `NEVER` = not scheduled. */
  readonly updateAtMs: number;
  /** Six octets: the content that is going to come. */
  readonly name: Uint8Array;
  /** Payload octets of a Data message. */
  readonly mtuBytes: number;
  readonly encType: EncType;
  /** Nine octets. */
  readonly iv: Uint8Array;
  /** Sixteen octets. */
  readonly key: Uint8Array;
}

/** 40 octets. @throws {UsageError} `ZMESH_FIELD`, `MTU_RANGE` */
export function encodeSchedule(schedule: Schedule): Uint8Array<ArrayBuffer> {
  const { mtuBytes, encType } = schedule;
  if (!isMtu(mtuBytes, encType)) throw new UsageError("MTU_RANGE", "no such MTU", { mtuBytes, encType });
  return new FieldWriter(SCHEDULE_BYTES)
    .uint("Update Time", schedule.updateAtMs, INSTANT_BYTES)
    .octets("Content Name", schedule.name, NAME_BYTES)
    .uint("MTU", mtuBytes, 2)
    .uint("Enc. Type", encType, 1)
    .octets("Enc. IV", schedule.iv, IV_BYTES)
    .octets("Enc. Key", schedule.key, KEY_BYTES).bytes;
}

/** @throws {PeerError} `SCHEDULE_LENGTH`; `ENC_TYPE` when it is not 0, 1 or 2; `MTU_RANGE` */
export function decodeSchedule(bytes: Uint8Array): Schedule {
  assertLength(bytes, SCHEDULE_BYTES, "SCHEDULE_LENGTH");
  const reader = new FieldReader(bytes);
  const updateAtMs = reader.uint(INSTANT_BYTES);
  const name = reader.octets(NAME_BYTES);
  const mtuBytes = reader.uint(2);
  const encType = reader.uint(1);
  if (!isEncType(encType)) throw new PeerError("ENC_TYPE", "no such encryption", { encType });
  if (!isMtu(mtuBytes, encType)) throw new PeerError("MTU_RANGE", "no such MTU", { mtuBytes, encType });
  return { updateAtMs, name, mtuBytes, encType, iv: reader.octets(IV_BYTES), key: reader.octets(KEY_BYTES) };
}
