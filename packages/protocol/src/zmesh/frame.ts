/**
 * The radio frame: FHDR 1 · NetID 0 or 4 · Name 6 · FCTRL 1 · FSEQ 3 · payload · MAC 4.
 *
 * FHDR: version 7:6, NetID present 5, proxy 4, reserved 3, TTL 2:0. FHDR and NetID are outside the MAC, because each hop
 * changes the TTL. Source: Z-Mesh transport layer, "Frame formats"; profile 1.
 */
import { PeerError, UsageError } from "../lib/errors.ts";
import { LARGEST_MTU_BYTES } from "./chunking.ts";
import { NAME_BYTES } from "./content-name.ts";
import type { ZmeshCrypto } from "./crypto-port.ts";
import { FieldReader, FieldWriter } from "./fields.ts";

export const NET_ID_BYTES = 4;
/** Octets of the network key's CMAC that a frame carries. */
export const MAC_BYTES = 4;
/** Octets of a frame without NetID and payload. */
export const FRAME_OVERHEAD_BYTES = 1 + NAME_BYTES + 1 + 3 + MAC_BYTES;
export const LARGEST_FRAME_BYTES = FRAME_OVERHEAD_BYTES + NET_ID_BYTES + LARGEST_MTU_BYTES;
/** The only version there is. */
export const FRAME_VERSION = 0;
export const LARGEST_TTL = 7;

/** The low nibble of FCTRL. */
export const FRAME_KIND_ON_WIRE = { content: 0, interest: 1, command: 2, event: 3 } as const;

export type FrameKind = keyof typeof FRAME_KIND_ON_WIRE;

export interface Frame {
  readonly kind: FrameKind;
  /** Hops it may still travel, 0 … 7. */
  readonly ttl: number;
  /** The sender sleeps: a neighbour answers for it. */
  readonly isProxied: boolean;
  /** Four octets; absent within the local network. */
  readonly netId?: Uint8Array;
  /** Six octets: of the content, or of the device or group that a command goes to or an event comes from. */
  readonly name: Uint8Array;
  /** 0 … 2²⁴ − 1: the SEQ of a content, the counter of a command or event. */
  readonly fseq: number;
  /** 0 … 1024 octets. */
  readonly payload: Uint8Array;
}

/** Of what a frame is made. */
export interface FrameKeys {
  /** Sixteen octets that all members of the network share. It filters, it proves no sender. */
  readonly networkKey: Uint8Array;
  readonly crypto: ZmeshCrypto;
}

/** @throws {UsageError} `ZMESH_FIELD`, `FRAME_PAYLOAD` above 1024 octets. */
export function encodeFrame(frame: Frame, keys: FrameKeys): Uint8Array<ArrayBuffer> {
  const { netId, payload } = frame;
  if (payload.length > LARGEST_MTU_BYTES)
    throw new UsageError("FRAME_PAYLOAD", "the payload is too long", { sizeBytes: payload.length });
  if (frame.ttl > LARGEST_TTL) throw new UsageError("ZMESH_FIELD", "TTL has 3 bits", { ttl: frame.ttl });
  const header = (FRAME_VERSION << 6) | (netId ? NET_ID_BIT : 0) | (frame.isProxied ? PROXY_BIT : 0);
  const writer = new FieldWriter(FRAME_OVERHEAD_BYTES + (netId ? NET_ID_BYTES : 0) + payload.length)
    .uint("FHDR", header + frame.ttl, 1)
    .octets("NetID", netId ?? NOTHING, netId ? NET_ID_BYTES : 0)
    .octets("Name", frame.name, NAME_BYTES)
    .uint("FCTRL", FRAME_KIND_ON_WIRE[frame.kind], 1)
    .uint("FSEQ", frame.fseq, 3)
    .octets("payload", payload, payload.length);
  return writer.octets("MAC", macOf(writer.bytes, keys), MAC_BYTES).bytes;
}

/**
 * Reads one frame; octets are copies. FHDR's reserved bit and FCTRL's high nibble are sent as 0 and not looked at.
 *
 * @throws {PeerError} `FRAME_LENGTH`; `FRAME_VERSION`; `FRAME_MAC` when it is of another network or was damaged;
 *   `FRAME_KIND` when FCTRL has no meaning.
 */
export function decodeFrame(bytes: Uint8Array, keys: FrameKeys): Frame {
  const { ttl, isProxied, hasNetId } = peekHeader(bytes);
  if (!keys.crypto.isSameTag(macOf(bytes, keys), bytes.subarray(bytes.length - MAC_BYTES)))
    throw new PeerError("FRAME_MAC", "the MAC is not the network key's", { sizeBytes: bytes.length });
  const reader = new FieldReader(bytes.subarray(1));
  const netId = hasNetId ? reader.octets(NET_ID_BYTES) : undefined;
  const name = reader.octets(NAME_BYTES);
  const kind = KINDS[reader.uint(1) & 0x0f];
  // Not before the MAC: what a stranger sends says nothing about our network.
  if (kind === undefined) throw new PeerError("FRAME_KIND", "no such kind of frame");
  const fseq = reader.uint(3);
  const payload = reader.octets(bytes.length - FRAME_OVERHEAD_BYTES - (hasNetId ? NET_ID_BYTES : 0));
  return { kind, ttl, isProxied, ...(netId && { netId }), name, fseq, payload };
}

/**
 * The frame as a relay sends it on: one hop less, all else as it was; `undefined` when it has no hop left.
 *
 * @throws {PeerError} `FRAME_LENGTH`, `FRAME_VERSION`
 */
export function relayFrame(bytes: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  const { ttl } = peekHeader(bytes);
  if (ttl === 0) return undefined;
  const relayed = new Uint8Array(bytes);
  relayed[0] = (relayed[0] ?? 0) - 1;
  return relayed;
}

const NET_ID_BIT = 0x20;
const PROXY_BIT = 0x10;
const NOTHING = new Uint8Array(0);
const KINDS = Object.keys(FRAME_KIND_ON_WIRE) as FrameKind[];

function peekHeader(bytes: Uint8Array): { ttl: number; isProxied: boolean; hasNetId: boolean } {
  const header = bytes[0] ?? 0;
  const hasNetId = (header & NET_ID_BIT) !== 0;
  const payloadBytes = bytes.length - FRAME_OVERHEAD_BYTES - (hasNetId ? NET_ID_BYTES : 0);
  if (payloadBytes < 0 || payloadBytes > LARGEST_MTU_BYTES)
    throw new PeerError("FRAME_LENGTH", "no frame has this length", { sizeBytes: bytes.length });
  if (header >> 6 !== FRAME_VERSION) throw new PeerError("FRAME_VERSION", "no such version", { version: header >> 6 });
  return { ttl: header & LARGEST_TTL, isProxied: (header & PROXY_BIT) !== 0, hasNetId };
}

/** Over Name … payload of a frame whose last four octets are, or are going to be, the MAC. */
function macOf(frame: Uint8Array, { networkKey, crypto }: FrameKeys): Uint8Array {
  const start = 1 + (((frame[0] ?? 0) & NET_ID_BIT) !== 0 ? NET_ID_BYTES : 0);
  return crypto.aes128Cmac(networkKey, frame.subarray(start, frame.length - MAC_BYTES)).subarray(0, MAC_BYTES);
}
