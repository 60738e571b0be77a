/**
 * The wrap around commands and events: AES-128-CCM with a tag of 6 octets under a device's management key or a group's key.
 *
 * AAD = the channel's name(6) ‖ FSEQ(3); nonce = the channel's IV(9) ‖ direction(1) ‖ FSEQ(3). Source: profile 4, 9.
 */
import { concat } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";
import { COMMAND_BYTES, type DeviceCommand, decodeCommand, encodeCommand } from "./command.ts";
import { nameAndSeq } from "./content-name.ts";
import type { CcmParameters, ZmeshCrypto } from "./crypto-port.ts";
import { uintBytes } from "./fields.ts";
import { decodeStatus, encodeStatus, STATUS_BYTES, type StatusEvent } from "./status-event.ts";

/** Octets by which a command or an event grows. */
export const COMMAND_TAG_BYTES = 6;

/** Payload octets of the longest command's frame. */
export const LONGEST_COMMAND_BYTES = Math.max(...Object.values(COMMAND_BYTES)) + COMMAND_TAG_BYTES;

/** The one octet of the nonce that lets both ways share a key. */
export const DIRECTION = { toDevice: 0, fromDevice: 1 } as const;

/**
 * What a device and its network share since onboarding, or a group since each member was given it. Who holds a group's
 * channel can speak in it, so it proves membership and no sender.
 */
export interface CommandChannel {
  /** Six octets: the name of the frames, a device's or a group's. */
  readonly name: Uint8Array;
  /** Sixteen octets: the device-management key, or the group's. */
  readonly key: Uint8Array;
  /** Nine octets, from onboarding. */
  readonly iv: Uint8Array;
}

/**
 * The payload of a command frame; a schedule has 47 octets.
 *
 * @param fseq Of the frame; the next one the network has not used in this channel.
 * @throws {UsageError} What `encodeCommand` throws.
 */
export function sealCommand(channel: SealingChannel, fseq: number, command: DeviceCommand): Uint8Array {
  return seal(channel, parameters(channel, DIRECTION.toDevice, fseq), encodeCommand(command));
}

/**
 * The command in a frame's payload. Whether it is fresh, `CommandGate` says.
 *
 * @throws {PeerError} `COMMAND_LENGTH` when no command has this length; `COMMAND_TAG` when it was not made for this channel
 *   and this FSEQ; what `decodeCommand` throws.
 */
export function openCommand(channel: SealingChannel, fseq: number, payload: Uint8Array): DeviceCommand {
  if (!SEALED_COMMAND_BYTES.has(payload.length))
    throw new PeerError("COMMAND_LENGTH", "no command has this length", { sizeBytes: payload.length });
  return decodeCommand(open(channel, parameters(channel, DIRECTION.toDevice, fseq), payload));
}

/** The payload of a status event's frame, 24 octets. @throws {UsageError} `ZMESH_FIELD` */
export function sealStatus(channel: SealingChannel, fseq: number, status: StatusEvent): Uint8Array {
  return seal(channel, parameters(channel, DIRECTION.fromDevice, fseq), encodeStatus(status));
}

/** @throws {PeerError} `STATUS_LENGTH`; `COMMAND_TAG`; what `decodeStatus` throws. */
export function openStatus(channel: SealingChannel, fseq: number, payload: Uint8Array): StatusEvent {
  if (payload.length !== STATUS_BYTES + COMMAND_TAG_BYTES)
    throw new PeerError("STATUS_LENGTH", "no status has this length", { sizeBytes: payload.length });
  return decodeStatus(open(channel, parameters(channel, DIRECTION.fromDevice, fseq), payload));
}

/** A channel and what seals it. */
export interface SealingChannel extends CommandChannel {
  readonly crypto: ZmeshCrypto;
}

const SEALED_COMMAND_BYTES: ReadonlySet<number> = new Set(
  Object.values(COMMAND_BYTES).map((sizeBytes) => sizeBytes + COMMAND_TAG_BYTES),
);

function parameters({ name, key, iv }: CommandChannel, direction: number, fseq: number): CcmParameters {
  const nonce = concat([iv, Uint8Array.of(direction), uintBytes("FSEQ", fseq, 3)]);
  return { key, nonce, aad: nameAndSeq(name, fseq), tagBytes: COMMAND_TAG_BYTES };
}

function seal({ crypto }: SealingChannel, ccm: CcmParameters, plain: Uint8Array): Uint8Array {
  return crypto.aes128CcmSeal(ccm, plain);
}

function open({ crypto }: SealingChannel, ccm: CcmParameters, payload: Uint8Array): Uint8Array {
  const plain = crypto.aes128CcmOpen(ccm, payload);
  if (plain === undefined) throw new PeerError("COMMAND_TAG", "not made for this channel and this FSEQ");
  return plain;
}
