/**
 * What a device says about an update: event 0x31, 18 octets. It speaks LwM2M: the State and the Update Result of object 5.
 *
 * Source: Z-Mesh device events, 0x3x; profile 1; OMA object 5, resources 3 and 5.
 */
import { PeerError } from "../lib/errors.ts";
import {
  FIRMWARE_RESULT_ON_WIRE,
  type FirmwareResult,
  type FirmwareState,
  STATE_ON_WIRE,
} from "../update/firmware-update.ts";
import { NAME_BYTES } from "./content-name.ts";
import { assertLength, FieldReader, FieldWriter } from "./fields.ts";
import type { VersionTriad } from "./version-triad.ts";

/** The id under which the event is listed; the 18 octets do not carry it. */
export const STATUS_EVENT_ID = 0x31;
export const STATUS_BYTES = 18;
/** A deficit that does not fit is sent as the largest that does. */
export const LARGEST_DEFICIT = 0xffff;
/** Battery: the device does not know. */
export const BATTERY_UNKNOWN = 255;

/** The low nibble of the phase: where within the State. */
export const DETAIL_ON_WIRE = {
  none: 0,
  scheduled: 1,
  waiting: 2,
  receiving: 3,
  repairing: 4,
  verified: 5,
  applying: 6,
  confirmed: 7,
  rolledBack: 8,
  suspended: 9,
} as const;

export type StatusDetail = keyof typeof DETAIL_ON_WIRE;

/** The State a device is in when it reports a detail. Others are understood too: a decoder does not argue with a device. */
export const STATE_OF_DETAIL = {
  none: "idle",
  scheduled: "idle",
  waiting: "idle",
  receiving: "downloading",
  repairing: "downloading",
  verified: "downloaded",
  applying: "updating",
  confirmed: "idle",
  rolledBack: "idle",
  suspended: "downloading",
} as const satisfies Record<StatusDetail, FirmwareState>;

export interface StatusEvent {
  /** The content it is about. */
  readonly name: Uint8Array;
  readonly state: FirmwareState;
  readonly detail: StatusDetail;
  readonly result: FirmwareResult;
  /** What runs. */
  readonly version: VersionTriad;
  /** Data messages received. */
  readonly receivedCount: number;
  /** Packets still missing, 0 … 65535. */
  readonly deficit: number;
  /** None has a meaning yet. */
  readonly flags: number;
  /** Percent, or `BATTERY_UNKNOWN`. */
  readonly batteryPercent: number;
}

/** 18 octets. @throws {UsageError} `ZMESH_FIELD` */
export function encodeStatus(status: StatusEvent): Uint8Array<ArrayBuffer> {
  const [major, minor, patch] = status.version;
  return new FieldWriter(STATUS_BYTES)
    .octets("name", status.name, NAME_BYTES)
    .uint("phase", (STATE_ON_WIRE[status.state] << 4) | DETAIL_ON_WIRE[status.detail], 1)
    .uint("result", FIRMWARE_RESULT_ON_WIRE[status.result], 1)
    .uint("major", major, 1)
    .uint("minor", minor, 1)
    .uint("patch", patch, 1)
    .uint("received", status.receivedCount, 3)
    .uint("deficit", status.deficit, 2)
    .uint("flags", status.flags, 1)
    .uint("battery", status.batteryPercent, 1).bytes;
}

/** @throws {PeerError} `STATUS_LENGTH`; `STATUS_PHASE`, `STATUS_RESULT` when nobody knows the value. */
export function decodeStatus(bytes: Uint8Array): StatusEvent {
  assertLength(bytes, STATUS_BYTES, "STATUS_LENGTH");
  const reader = new FieldReader(bytes);
  const name = reader.octets(NAME_BYTES);
  const phase = reader.uint(1);
  const state = STATES[phase >> 4];
  const detail = DETAILS[phase & 0x0f];
  if (state === undefined || detail === undefined) throw new PeerError("STATUS_PHASE", "no such phase", { phase });
  const code = reader.uint(1);
  const result = RESULTS[code];
  if (result === undefined) throw new PeerError("STATUS_RESULT", "no such Update Result", { result: code });
  return {
    name,
    state,
    detail,
    result,
    version: [reader.uint(1), reader.uint(1), reader.uint(1)],
    receivedCount: reader.uint(3),
    deficit: reader.uint(2),
    flags: reader.uint(1),
    batteryPercent: reader.uint(1),
  };
}

/** Names by their number on the wire. */
function byNumber<Name extends string>(onWire: Readonly<Record<Name, number>>): readonly Name[] {
  const names: Name[] = [];
  for (const name of Object.keys(onWire) as Name[]) names[onWire[name]] = name;
  return names;
}

const STATES = byNumber<FirmwareState>(STATE_ON_WIRE);
const DETAILS = byNumber<StatusDetail>(DETAIL_ON_WIRE);
const RESULTS = byNumber<FirmwareResult>(FIRMWARE_RESULT_ON_WIRE);
