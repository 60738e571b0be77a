/** Commands of the network to a device: 0x31 Schedule, 0x32 Cancel, 0x33 Apply, 0x34 Poll, 0x35 Join. Source: Z-Mesh device commands, 0x3x; profile 1, 4. */
import { PeerError } from "../lib/errors.ts";
import { NAME_BYTES } from "./content-name.ts";
import { KEY_BYTES } from "./crypto-port.ts";
import { assertLength, FieldReader, FieldWriter } from "./fields.ts";
import { INSTANT_BYTES } from "./instant.ts";
import { decodeSchedule, encodeSchedule, IV_BYTES, SCHEDULE_BYTES, type Schedule } from "./schedule.ts";

/** The first octet of a command. */
export const COMMAND_ID = { schedule: 0x31, cancel: 0x32, apply: 0x33, poll: 0x34, join: 0x35 } as const;

/** Octets of each command with its id, before it is sealed. */
export const COMMAND_BYTES = {
  schedule: 1 + SCHEDULE_BYTES,
  cancel: 1 + INSTANT_BYTES + NAME_BYTES,
  apply: 1 + NAME_BYTES,
  poll: 1 + NAME_BYTES + 9,
  join: 1 + NAME_BYTES + KEY_BYTES + IV_BYTES + 3,
} as const;

/** Takes back one schedule, named by its Update Time and content. */
export interface Cancel {
  readonly updateAtMs: number;
  readonly name: Uint8Array;
}

/** Installs what waits verified. */
export interface Apply {
  readonly name: Uint8Array;
}

/** Asks who is not complete. A device answers in one slot of its choosing, if its deficit is at least the one asked for. */
export interface Poll {
  readonly name: Uint8Array;
  /** n of the last parity chunk that was sent; 0 = none. */
  readonly lastRepair: number;
  /** Slots to choose from, 1 … 65535. */
  readonly slotCount: number;
  readonly slotMs: number;
  readonly leastDeficit: number;
}

/** Makes the device a member of a group, by handing it the group's channel. It answers with a status event of the group's name. */
export interface Join {
  /** Six octets: the group's name. */
  readonly name: Uint8Array;
  /** Sixteen octets. */
  readonly key: Uint8Array;
  /** Nine octets. */
  readonly iv: Uint8Array;
  /** The group's last FSEQ so far; frames of the group count as fresh above it. */
  readonly lastFseq: number;
}

export type DeviceCommand =
  | { readonly kind: "schedule"; readonly schedule: Schedule }
  | { readonly kind: "cancel"; readonly cancel: Cancel }
  | { readonly kind: "apply"; readonly apply: Apply }
  | { readonly kind: "poll"; readonly poll: Poll }
  | { readonly kind: "join"; readonly join: Join };

/** Id ‖ fields. @throws {UsageError} `ZMESH_FIELD`, `MTU_RANGE` */
export function encodeCommand(command: DeviceCommand): Uint8Array<ArrayBuffer> {
  const writer = new FieldWriter(COMMAND_BYTES[command.kind]).uint("command id", COMMAND_ID[command.kind], 1);
  switch (command.kind) {
    case "schedule":
      return writer.octets("schedule", encodeSchedule(command.schedule), SCHEDULE_BYTES).bytes;
    case "cancel":
      return writer
        .uint("Update Time", command.cancel.updateAtMs, INSTANT_BYTES)
        .octets("name", command.cancel.name, NAME_BYTES).bytes;
    case "apply":
      return writer.octets("name", command.apply.name, NAME_BYTES).bytes;
    case "poll":
      return writePoll(writer, command.poll).bytes;
    case "join":
      return writer
        .octets("name", command.join.name, NAME_BYTES)
        .octets("key", command.join.key, KEY_BYTES)
        .octets("IV", command.join.iv, IV_BYTES)
        .uint("last FSEQ", command.join.lastFseq, 3).bytes;
  }
}

/**
 * @throws {PeerError} `COMMAND_ID` when nobody knows it; `COMMAND_LENGTH`; `COMMAND_FIELD` for a poll without slots; what
 *   `decodeSchedule` throws.
 */
export function decodeCommand(bytes: Uint8Array): DeviceCommand {
  const kind = kindOf(bytes[0]);
  assertLength(bytes, COMMAND_BYTES[kind], "COMMAND_LENGTH");
  const fields = bytes.subarray(1);
  const reader = new FieldReader(fields);
  switch (kind) {
    case "schedule":
      return { kind, schedule: decodeSchedule(fields) };
    case "cancel":
      return { kind, cancel: { updateAtMs: reader.uint(INSTANT_BYTES), name: reader.octets(NAME_BYTES) } };
    case "apply":
      return { kind, apply: { name: reader.octets(NAME_BYTES) } };
    case "poll":
      return { kind, poll: readPoll(reader) };
    case "join":
      return { kind, join: readJoin(reader) };
  }
}

function kindOf(id: number | undefined): DeviceCommand["kind"] {
  for (const kind of Object.keys(COMMAND_ID) as DeviceCommand["kind"][]) if (COMMAND_ID[kind] === id) return kind;
  throw new PeerError("COMMAND_ID", "no such command", { id });
}

function writePoll(writer: FieldWriter, { name, lastRepair, slotCount, slotMs, leastDeficit }: Poll): FieldWriter {
  return writer
    .octets("name", name, NAME_BYTES)
    .uint("last repair", lastRepair, 3)
    .uint("slots", slotCount, 2)
    .uint("slot ms", slotMs, 2)
    .uint("least deficit", leastDeficit, 2);
}

function readPoll(reader: FieldReader): Poll {
  const name = reader.octets(NAME_BYTES);
  const [lastRepair, slotCount] = [reader.uint(3), reader.uint(2)];
  if (slotCount === 0) throw new PeerError("COMMAND_FIELD", "a poll has at least one slot");
  return { name, lastRepair, slotCount, slotMs: reader.uint(2), leastDeficit: reader.uint(2) };
}

function readJoin(reader: FieldReader): Join {
  const name = reader.octets(NAME_BYTES);
  const key = reader.octets(KEY_BYTES);
  return { name, key, iv: reader.octets(IV_BYTES), lastFseq: reader.uint(3) };
}
