/** The vectors that are given to others: this code writes them, and reads them back. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { imageCrypto } from "@airlift/runtime/crypto";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { makeVectors } from "../../../../tools/zmesh-vectors.ts";
import { equalBytes, fromHex, toHex } from "../lib/bytes.ts";
import { decodeCommand } from "./command.ts";
import { openCommand, openStatus, type SealingChannel } from "./command-channel.ts";
import { ContentAssembly } from "./content-assembly.ts";
import { ContentCipher } from "./content-cipher.ts";
import { nameOf, parseContentUri } from "./content-name.ts";
import { decodeFrame } from "./frame.ts";
import { decodeInterest } from "./interest.ts";
import { blockCountOf, verifyManifest } from "./manifest.ts";
import { decodeBegin, decodeEnd } from "./messages.ts";
import { decodeSchedule } from "./schedule.ts";
import { decodeStatus } from "./status-event.ts";

const file = new URL("../../../../tests/vectors/zmesh.json", import.meta.url);
const vectors: ReturnType<typeof makeVectors> = JSON.parse(readFileSync(file, "utf8"));
const bytes = (hex: string) => fromHex(hex) ?? assert.fail(hex);
const channelOf = ({ name, key, iv }: { name: string; key: string; iv: string }): SealingChannel => ({
  name: bytes(name),
  key: bytes(key),
  iv: bytes(iv),
  crypto: zmeshCrypto,
});

test("what is published is what this code writes: node tools/zmesh-vectors.ts > tests/vectors/zmesh.json", () => {
  assert.deepEqual(vectors, JSON.parse(JSON.stringify(makeVectors())));
});

test("names", () => {
  for (const { uri, name, sha256_48, manufacturer, model, version } of vectors.names) {
    assert.equal(toHex(nameOf(uri, zmeshCrypto)), name);
    assert.equal(toHex(nameOf(uri, zmeshCrypto, "sha256-48")), sha256_48);
    const texts = [manufacturer, model, version].map((text) => text.normalize("NFC"));
    assert.deepEqual(Object.values(parseContentUri(uri)), texts);
  }
});

test("contents: every message opens to its plain form, and all of them are the image", () => {
  for (const { image, schedule: wire, messages, what, mtu, encType, updateAtMs } of vectors.contents) {
    const schedule = decodeSchedule(bytes(wire));
    assert.deepEqual([schedule.mtuBytes, schedule.encType, schedule.updateAtMs], [mtu, encType, updateAtMs], what);
    const cipher = new ContentCipher(schedule, zmeshCrypto);
    for (const { seq, plain, payload } of messages)
      if (plain) assert.equal(toHex(cipher.open(seq, bytes(payload))), plain);
    const begin = decodeBegin(cipher.open(0, bytes(messages[0]?.payload ?? "")));
    const end = decodeEnd(cipher.open(begin.dataCount + 1, bytes(messages[begin.dataCount + 1]?.payload ?? "")));
    assert.equal(end.crc32, begin.crc32);
    const heard = messages.map(({ seq, payload, kind }) => ({ seq, payload: bytes(payload), isEnd: kind === "end" }));
    assert.equal(toHex(new ContentAssembly(schedule, zmeshCrypto).assemble(heard).bytes), image, what);
  }
});

test("manifest: verified, and it names the blocks of its image", () => {
  const { publicKeySpki, signed, fields, content } = vectors.manifest;
  const spki = bytes(publicKeySpki);
  const keys = [{ kind: "ed25519", spki, embedded: spki }] as const;
  const { imageDigest, blockDigests, ...rest } = verifyManifest(bytes(signed), { keys, crypto: imageCrypto });
  assert.deepEqual({ ...rest, imageDigest: toHex(imageDigest), blockDigests: toHex(blockDigests) }, fields);
  assert.equal(blockDigests.length, 16 * blockCountOf(rest.dataCount));
  const messages = content.messages.map(({ seq, payload, kind }) => ({
    seq,
    payload: bytes(payload),
    isEnd: kind === "end",
  }));
  const { bytes: found } = new ContentAssembly(decodeSchedule(bytes(content.schedule)), zmeshCrypto).assemble(messages);
  assert.equal(toHex(found), signed);
});

test("commands and status events open in their channel", () => {
  for (const { channel, fseq, plain, payload } of vectors.commands)
    assert.deepEqual(openCommand(channelOf(channel), fseq, bytes(payload)), decodeCommand(bytes(plain)));
  const { channel, events } = vectors.status;
  for (const { fseq, fields, plain, payload } of events) {
    const status = openStatus(channelOf(channel), fseq, bytes(payload));
    assert.deepEqual({ ...status, name: toHex(status.name) }, fields);
    assert.deepEqual(status, decodeStatus(bytes(plain)));
  }
});

test("interests and frames", () => {
  for (const { seqs, fseq, payload } of vectors.interests)
    assert.deepEqual(decodeInterest({ fseq, payload: bytes(payload) }), seqs);
  for (const { networkKey, frame, name, payload, netId, ...fields } of vectors.frames) {
    const found = decodeFrame(bytes(frame), { networkKey: bytes(networkKey), crypto: zmeshCrypto });
    const { name: foundName, payload: foundPayload, netId: foundNetId, ...rest } = found;
    assert.deepEqual(rest, fields);
    assert.ok(equalBytes(foundName, bytes(name)) && equalBytes(foundPayload, bytes(payload)));
    assert.equal(foundNetId && toHex(foundNetId), netId);
  }
});

test("what has to be refused is refused, with that code", () => {
  const decoders: Record<string, (message: Uint8Array) => unknown> = {
    schedule: decodeSchedule,
    begin: decodeBegin,
    end: decodeEnd,
    command: decodeCommand,
    status: decodeStatus,
    interest: (payload) => decodeInterest({ fseq: 0, payload }),
    frame: (frame) => decodeFrame(frame, { networkKey: new Uint8Array(16), crypto: zmeshCrypto }),
  };
  for (const { message, code, bytes: hex, why } of vectors.refused)
    assert.throws(() => decoders[message]?.(bytes(hex)), { name: "PeerError", code }, why);
});
