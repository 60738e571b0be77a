/** Makes tests/vectors/zmesh.json: every Z-Mesh message with its inputs, for whoever writes a receiver. `node tools/zmesh-vectors.ts > tests/vectors/zmesh.json` */
import { concat, encodeUtf8, fromHex, toHex } from "@airlift/protocol/lib/bytes";
import { FIRMWARE_RESULT_ON_WIRE, STATE_ON_WIRE } from "@airlift/protocol/update/firmware-update";
import { chunkAt, kindOfSeq, seqOfRepair } from "@airlift/protocol/zmesh/chunking";
import { type DeviceCommand, encodeCommand } from "@airlift/protocol/zmesh/command";
import { type SealingChannel, sealCommand, sealStatus } from "@airlift/protocol/zmesh/command-channel";
import { ContentCipher } from "@airlift/protocol/zmesh/content-cipher";
import { contentUri, type FirmwareIdentity, nameOf } from "@airlift/protocol/zmesh/content-name";
import { verifySign1 } from "@airlift/protocol/zmesh/cose";
import { crc32 } from "@airlift/protocol/zmesh/crc32";
import { encodeFrame, type Frame } from "@airlift/protocol/zmesh/frame";
import { encodeInterest, encodeRangeInterest } from "@airlift/protocol/zmesh/interest";
import { decodeManifest } from "@airlift/protocol/zmesh/manifest";
import { encodeBegin, encodeEnd, REPAIR_SCHEME } from "@airlift/protocol/zmesh/messages";
import type { ContentOptions, PackedContent } from "@airlift/protocol/zmesh/packed-content";
import { packRelease } from "@airlift/protocol/zmesh/release";
import { encodeSchedule } from "@airlift/protocol/zmesh/schedule";
import { DETAIL_ON_WIRE, encodeStatus, type StatusEvent } from "@airlift/protocol/zmesh/status-event";
import { imageCrypto, loadPublicKey, loadSigningKey } from "@airlift/runtime/crypto";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";

const IDENTITY: FirmwareIdentity = { manufacturer: "ACME", model: "TH-100", version: "1.2.3" };
const UPDATE_AT_MS = 1_767_225_600_000;
const counting = (from: number, count: number): Uint8Array => Uint8Array.from({ length: count }, (_, i) => from + i);
const KEYS = { key: counting(0x10, 16), iv: counting(0, 9) };
/** The seed of RFC 8032 §7.1, test 1, in PKCS #8: a key that everybody has. */
const SIGNING_PEM = `-----BEGIN PRIVATE KEY-----\n${Buffer.from(
  "302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
  "hex",
).toString("base64")}\n-----END PRIVATE KEY-----\n`;
const SIGNING = { key: loadSigningKey(SIGNING_PEM), hardwareRevisions: ["A", "B2"], securityCounter: 7, gapMs: 40 };

/** All vectors, as plain JSON. Octets are hex. */
export function makeVectors() {
  return {
    about:
      "Z-Mesh software update. All octets are hex, all integers on the wire big-endian. How to read them: docs/guide/zmesh.md. Image 'counting' is bytes 00 01 02 …, wrapping at ff.",
    names: names(),
    crc32: ["123456789", ""].map((text) => ({
      bytes: toHex(encodeUtf8(text)),
      crc32: toHex(u32(crc32(encodeUtf8(text)))),
    })),
    contents: [
      content("CTR, MTU 48", { imageBytes: 100, options: { repairCount: 2 } }),
      content("CTR, MTU 56 cut in double words", { imageBytes: 100, options: { mtuBytes: 56, alignment: 8 } }),
      content("CCM, MTU 48", { imageBytes: 100, options: { encType: 2, repairCount: 2 } }),
      content("not encrypted, MTU 40", { imageBytes: 64, options: { encType: 0, mtuBytes: 40, isPlainAllowed: true } }),
      content("CTR, parity of the LoRaWAN TS004 matrix", {
        imageBytes: 480,
        options: { repairCount: 3, repairScheme: REPAIR_SCHEME.lorawanTs004 },
      }),
    ],
    manifest: manifest(),
    commands: commands(),
    status: statuses(),
    interests: interests(),
    frames: frames(),
    refused: REFUSED,
  };
}

function names() {
  const identities = [
    IDENTITY,
    { manufacturer: "Möller & Co", model: "50 %", version: "2.0~rc_1" },
    { manufacturer: "A", model: "e\u0301", version: "1" },
  ];
  return identities.map((identity) => {
    const uri = contentUri(identity);
    return {
      ...identity,
      uri,
      name: toHex(nameOf(uri, zmeshCrypto)),
      sha256_48: toHex(nameOf(uri, zmeshCrypto, "sha256-48")),
    };
  });
}

function content(what: string, { imageBytes, options }: { imageBytes: number; options: ContentOptions }) {
  const image = counting(0, imageBytes);
  return {
    what,
    image: toHex(image),
    ...described(packRelease({ identity: IDENTITY, image, keys: KEYS }, options, zmeshCrypto).image, image),
  };
}

/** A content's numbers and all of its messages, plain and as they travel. */
function described(packed: PackedContent, bytes: Uint8Array) {
  const { uri, name, mtuBytes, encType, chunkBytes, dataCount, keys, end, digest } = packed;
  const lastSeq = seqOfRepair(dataCount, end.repairCount);
  return {
    uri,
    name: toHex(name),
    key: toHex(keys.key),
    iv: toHex(keys.iv),
    mtu: mtuBytes,
    encType,
    chunk: chunkBytes,
    dataCount,
    sha256: toHex(digest),
    repairScheme: end.repairScheme,
    updateAtMs: UPDATE_AT_MS,
    schedule: toHex(encodeSchedule(packed.scheduleAt(UPDATE_AT_MS))),
    messages: Array.from({ length: lastSeq + 1 }, (_, seq) => {
      const kind = kindOfSeq(seq, dataCount);
      const plain = {
        begin: () => encodeBegin(packed.begin),
        data: () => chunkAt(bytes, chunkBytes, seq),
        end: () => encodeEnd(end),
        repair: () => undefined,
      }[kind]();
      return { seq, kind, ...(plain && { plain: toHex(plain) }), payload: toHex(packed.payloadAt(seq)) };
    }),
  };
}

function manifest() {
  const image = counting(0, 6000);
  const release = packRelease({ identity: IDENTITY, image, keys: KEYS, signing: SIGNING }, {}, zmeshCrypto);
  if (!release.manifest) throw new Error("a signed release has a manifest");
  const signed = plainBytes(release.manifest);
  const { payload } = verifySign1(signed, { keys: [loadPublicKey(SIGNING_PEM)], crypto: imageCrypto });
  const { imageDigest, blockDigests, ...fields } = decodeManifest(payload);
  return {
    what: "of the image 'counting' with 6000 bytes, CTR, MTU 48; signed with the key of RFC 8032 §7.1, test 1",
    imageSizeBytes: image.length,
    publicKeySpki: toHex(loadPublicKey(SIGNING_PEM).spki),
    fields: { ...fields, imageDigest: toHex(imageDigest), blockDigests: toHex(blockDigests) },
    payload: toHex(payload),
    signed: toHex(signed),
    content: described(release.manifest, signed),
  };
}

/** What a content's Data messages say together. */
function plainBytes(packed: PackedContent): Uint8Array {
  const cipher = new ContentCipher({ encType: packed.encType, name: packed.name, ...packed.keys }, zmeshCrypto);
  const chunks = Array.from({ length: packed.dataCount }, (_, i) => cipher.open(i + 1, packed.payloadAt(i + 1)));
  return concat(chunks).subarray(0, packed.begin.lengthBytes);
}

const DEVICE: SealingChannel = {
  name: counting(0x41, 6),
  key: counting(0x20, 16),
  iv: counting(0x40, 9),
  crypto: zmeshCrypto,
};
const GROUP: SealingChannel = {
  name: counting(0x61, 6),
  key: counting(0x30, 16),
  iv: counting(0x50, 9),
  crypto: zmeshCrypto,
};
const channelOf = ({ name, key, iv }: SealingChannel) => ({ name: toHex(name), key: toHex(key), iv: toHex(iv) });

function commands() {
  const { image } = packRelease({ identity: IDENTITY, image: counting(0, 100), keys: KEYS }, {}, zmeshCrypto);
  const { name } = image;
  const schedule: DeviceCommand = { kind: "schedule", schedule: image.scheduleAt(UPDATE_AT_MS) };
  const poll = { name, lastRepair: 120, slotCount: 500, slotMs: 20, leastDeficit: 3 };
  const all: [to: string, SealingChannel, fseq: number, DeviceCommand][] = [
    ["device", DEVICE, 7, schedule],
    ["group", GROUP, 0x010203, schedule],
    ["device", DEVICE, 8, { kind: "cancel", cancel: { updateAtMs: UPDATE_AT_MS, name } }],
    ["group", GROUP, 0x010204, { kind: "apply", apply: { name } }],
    ["group", GROUP, 0x010205, { kind: "poll", poll }],
  ];
  return all.map(([to, channel, fseq, command]) => ({
    to,
    channel: channelOf(channel),
    fseq,
    kind: command.kind,
    ...(command.kind === "poll" && { fields: { ...poll, name: toHex(name) } }),
    plain: toHex(encodeCommand(command)),
    payload: toHex(sealCommand(channel, fseq, command)),
  }));
}

function statuses() {
  const status: StatusEvent = {
    name: fromHex("fefa89093e11") ?? new Uint8Array(0),
    state: "downloading",
    detail: "repairing",
    result: "initial",
    version: [1, 2, 2],
    receivedCount: 1990,
    deficit: 10,
    flags: 0,
    batteryPercent: 87,
  };
  const failed = { ...status, state: "idle", detail: "none", result: "integrityFailed", batteryPercent: 255 } as const;
  return {
    states: STATE_ON_WIRE,
    details: DETAIL_ON_WIRE,
    results: FIRMWARE_RESULT_ON_WIRE,
    channel: channelOf(DEVICE),
    events: [status, failed].map((fields, i) => ({
      fseq: 3 + i,
      fields: { ...fields, name: toHex(fields.name) },
      plain: toHex(encodeStatus(fields)),
      payload: toHex(sealStatus(DEVICE, 3 + i, fields)),
    })),
  };
}

function interests() {
  const single = { seqs: [77], ...encodeInterest(77) };
  const ranges = [[1000, 1001, 1009], [5], [0, 255], [2 ** 24 - 1]].map((seqs, i) => ({
    seqs,
    ...encodeRangeInterest(seqs, 40 + i),
  }));
  return [single, ...ranges].map(({ seqs, fseq, payload }) => ({ seqs, fseq, payload: toHex(payload) }));
}

const NETWORK_KEY = counting(0xa0, 16);

function frames() {
  const name = fromHex("fefa89093e11") ?? new Uint8Array(0);
  const plain = { ttl: 0, isProxied: false, name, payload: new Uint8Array(0) };
  const all: Frame[] = [
    { ...plain, kind: "content", ttl: 3, fseq: 1, payload: counting(0, 48) },
    {
      ...plain,
      kind: "content",
      ttl: 7,
      netId: counting(0xc0, 4),
      isProxied: true,
      fseq: 0xabcdef,
      payload: counting(0, 12),
    },
    { ...plain, kind: "interest", fseq: 77 },
    {
      ...plain,
      kind: "command",
      name: DEVICE.name,
      fseq: 7,
      payload: sealCommand(DEVICE, 7, { kind: "apply", apply: { name } }),
    },
    { ...plain, kind: "event", name: DEVICE.name, fseq: 3, payload: counting(0, 24) },
  ];
  return all.map((frame) => {
    const { netId, name: frameName, payload, ...fields } = frame;
    const octets = { name: toHex(frameName), payload: toHex(payload), ...(netId && { netId: toHex(netId) }) };
    return {
      networkKey: toHex(NETWORK_KEY),
      ...fields,
      ...octets,
      frame: toHex(encodeFrame(frame, { networkKey: NETWORK_KEY, crypto: zmeshCrypto })),
    };
  });
}

/** What a decoder has to refuse, and with which code this implementation does. */
const REFUSED = [
  { message: "schedule", code: "SCHEDULE_LENGTH", bytes: "00".repeat(39), why: "39 bytes" },
  {
    message: "schedule",
    code: "ENC_TYPE",
    bytes: "019b76daa800fefa89093e11003003000102030405060708101112131415161718191a1b1c1d1e1f",
    why: "Enc. Type 3",
  },
  {
    message: "schedule",
    code: "MTU_RANGE",
    bytes: "019b76daa800fefa89093e11002701000102030405060708101112131415161718191a1b1c1d1e1f",
    why: "MTU 39",
  },
  {
    message: "schedule",
    code: "MTU_RANGE",
    bytes: "019b76daa800fefa89093e11002f02000102030405060708101112131415161718191a1b1c1d1e1f",
    why: "MTU 47 with Enc. Type 2",
  },
  { message: "begin", code: "BEGIN_LENGTH", bytes: "00".repeat(13), why: "13 bytes" },
  { message: "begin", code: "NUM_PACKETS", bytes: "0000006458c932f500000000", why: "no packets" },
  { message: "begin", code: "NUM_PACKETS", bytes: "ffffffff58c932f500fffffe", why: "more packets than SEQ can number" },
  { message: "end", code: "END_LENGTH", bytes: "00".repeat(41), why: "41 bytes" },
  {
    message: "end",
    code: "REPAIR_SCHEME",
    bytes: `0000006458c932f500000003${"000000"}${"09"}${"00".repeat(24)}`,
    why: "repair scheme 9",
  },
  { message: "command", code: "COMMAND_ID", bytes: "36fefa89093e11", why: "command 0x36" },
  { message: "command", code: "COMMAND_LENGTH", bytes: "33fefa89093e1100", why: "one byte too many" },
  { message: "command", code: "COMMAND_FIELD", bytes: "34fefa89093e11000078000000140003", why: "a poll without slots" },
  { message: "status", code: "STATUS_LENGTH", bytes: "00".repeat(17), why: "17 bytes" },
  { message: "status", code: "STATUS_PHASE", bytes: `fefa89093e11${"40"}${"00".repeat(11)}`, why: "State 4" },
  { message: "status", code: "STATUS_PHASE", bytes: `fefa89093e11${"0a"}${"00".repeat(11)}`, why: "detail 10" },
  {
    message: "status",
    code: "STATUS_RESULT",
    bytes: `fefa89093e11${"00"}${"0c"}${"00".repeat(10)}`,
    why: "Update Result 12",
  },
  { message: "interest", code: "INTEREST_LENGTH", bytes: "000001", why: "a range without bitmap" },
  { message: "interest", code: "INTEREST_EMPTY", bytes: "00000100", why: "no bit set" },
  { message: "interest", code: "SEQ_RANGE", bytes: "ffffff40", why: "SEQ 2^24" },
  { message: "frame", code: "FRAME_LENGTH", bytes: "00".repeat(14), why: "14 bytes" },
  { message: "frame", code: "FRAME_VERSION", bytes: `40${"00".repeat(20)}`, why: "version 1" },
  {
    message: "frame",
    code: "FRAME_MAC",
    bytes: `00fefa89093e1100000001${"00000000"}`,
    why: "no MAC of the network key",
  },
];

function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(makeVectors(), undefined, 1)}\n`);
