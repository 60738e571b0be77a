/** Fuzz targets: what comes over a Z-Mesh radio. Decoders throw nothing but PeerError, and what they accept is written back alike. */
import { decodeUtf8, encodeUtf8, equalBytes, toHex } from "@airlift/protocol/lib/bytes";
import { PeerError } from "@airlift/protocol/lib/errors";
import { decodeCommand, encodeCommand } from "@airlift/protocol/zmesh/command";
import {
  openCommand,
  openStatus,
  type SealingChannel,
  sealCommand,
  sealStatus,
} from "@airlift/protocol/zmesh/command-channel";
import { contentUri, parseContentUri } from "@airlift/protocol/zmesh/content-name";
import { decodeFrame, encodeFrame, relayFrame } from "@airlift/protocol/zmesh/frame";
import { decodeInterest, encodeInterest, encodeRangeInterest } from "@airlift/protocol/zmesh/interest";
import { decodeBegin, decodeEnd, encodeBegin, encodeEnd } from "@airlift/protocol/zmesh/messages";
import { decodeSchedule, encodeSchedule } from "@airlift/protocol/zmesh/schedule";
import { decodeStatus, encodeStatus, type StatusEvent } from "@airlift/protocol/zmesh/status-event";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { FuzzTarget } from "../target.ts";

const name = Uint8Array.of(0xfe, 1, 2, 3, 4, 5);
const begin = { lengthBytes: 100, crc32: 0x58c932f5, dataCount: 3 };
const end = {
  ...begin,
  repairCount: 5,
  repairScheme: 2,
  applyAtMs: 0,
  flags: 0,
  imageDigest: new Uint8Array(16),
} as const;
const schedule = {
  updateAtMs: 1767225600000,
  name,
  mtuBytes: 48,
  encType: 1,
  iv: new Uint8Array(9),
  key: new Uint8Array(16),
} as const;
const poll = { name, lastRepair: 1, slotCount: 2, slotMs: 3, leastDeficit: 4 };
const status: StatusEvent = {
  name,
  state: "downloading",
  detail: "repairing",
  result: "initial",
  version: [1, 2, 3],
  receivedCount: 9,
  deficit: 1,
  flags: 0,
  batteryPercent: 255,
};
const channel: SealingChannel = { name, key: new Uint8Array(16), iv: new Uint8Array(9), crypto: zmeshCrypto };
const keys = { networkKey: new Uint8Array(16), crypto: zmeshCrypto };
const FSEQ = 7;

/** A target for one decoder whose encoder writes the same octets again. */
function codec<Value>(
  what: string,
  {
    decode,
    encode,
    corpus,
  }: { decode(bytes: Uint8Array): Value; encode?(value: Value): Uint8Array; corpus: Uint8Array[] },
): FuzzTarget {
  return {
    name: `zmesh-${what}`,
    corpus,
    run(bytes) {
      let value: Value;
      try {
        value = decode(bytes);
      } catch (error) {
        if (error instanceof PeerError) return;
        throw error;
      }
      if (encode && !equalBytes(encode(value), bytes)) throw new Error(`is written back as ${toHex(encode(value))}`);
    },
  };
}

const commands = [
  encodeCommand({ kind: "schedule", schedule }),
  encodeCommand({ kind: "cancel", cancel: schedule }),
  encodeCommand({ kind: "apply", apply: { name } }),
];

export const zmeshBegin = codec("begin", { decode: decodeBegin, encode: encodeBegin, corpus: [encodeBegin(begin)] });
export const zmeshEnd = codec("end", { decode: decodeEnd, encode: encodeEnd, corpus: [encodeEnd(end)] });
export const zmeshSchedule = codec("schedule", {
  decode: decodeSchedule,
  encode: encodeSchedule,
  corpus: [encodeSchedule(schedule)],
});
export const zmeshCommand = codec("command", {
  decode: decodeCommand,
  encode: encodeCommand,
  corpus: [...commands, encodeCommand({ kind: "poll", poll })],
});
export const zmeshStatus = codec("status", {
  decode: decodeStatus,
  encode: encodeStatus,
  corpus: [encodeStatus(status)],
});

export const zmeshSealedCommand = codec("sealed-command", {
  decode: (bytes) => openCommand(channel, FSEQ, bytes),
  corpus: [
    sealCommand(channel, FSEQ, { kind: "schedule", schedule }),
    sealCommand(channel, FSEQ, { kind: "poll", poll }),
  ],
});
export const zmeshSealedStatus = codec("sealed-status", {
  decode: (bytes) => openStatus(channel, FSEQ, bytes),
  corpus: [sealStatus(channel, FSEQ, status)],
});

export const zmeshInterest = codec("interest", {
  decode: (payload) => decodeInterest({ fseq: FSEQ, payload }),
  corpus: [encodeInterest(3).payload, encodeRangeInterest([1, 5, 256], 1).payload],
});

export const zmeshUri = codec("uri", {
  decode: (bytes) => parseContentUri(decodeUtf8(bytes) ?? ""),
  encode: (identity) => encodeUtf8(contentUri(identity)),
  corpus: ["zdm/sw/ACME-TH%2D100-1.2.3", "zdm/sw/%C3%A9-a~b-%E0%A5%98"].map(encodeUtf8),
});

/** Half of the inputs get a MAC that fits, or none would ever come past it. */
export const zmeshFrame: FuzzTarget = {
  name: "zmesh-frame",
  corpus: [
    encodeFrame({ kind: "content", ttl: 3, isProxied: false, name, fseq: 1, payload: new Uint8Array(48) }, keys),
    encodeFrame(
      {
        kind: "interest",
        ttl: 0,
        isProxied: true,
        netId: new Uint8Array(4),
        name,
        fseq: 1,
        payload: new Uint8Array(0),
      },
      keys,
    ),
  ],
  run(bytes) {
    const start = ((bytes[0] ?? 0) & 0x20) === 0 ? 1 : 5;
    const genuine = bytes.slice();
    if (bytes.length >= start + 4)
      genuine.set(
        zmeshCrypto.aes128Cmac(keys.networkKey, genuine.subarray(start, -4)).subarray(0, 4),
        genuine.length - 4,
      );
    for (const one of [bytes, genuine]) {
      try {
        relayFrame(one);
        const frame = decodeFrame(one, keys);
        const again = decodeFrame(encodeFrame(frame, keys), keys);
        if (toHex(again.payload) !== toHex(frame.payload)) throw new Error("is written back otherwise");
      } catch (error) {
        if (!(error instanceof PeerError)) throw error;
      }
    }
  },
};
