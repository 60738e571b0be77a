import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EMPTY, fromHex, toHex } from "../lib/bytes.ts";
import { CODE, METHOD } from "./codes.ts";
import { pathOptions } from "./options.ts";
import { TcpDecoder } from "./tcp-decoder.ts";
import { decodeTcpMessage, encodeTcpMessage, peekTcpLength, type TcpMessage, tcpMessageLength } from "./tcp-message.ts";

const message = (changes: Partial<TcpMessage> = {}): TcpMessage => ({
  code: CODE.content,
  token: EMPTY,
  options: [],
  payload: EMPTY,
  ...changes,
});
const hex = (text: string): Uint8Array => fromHex(text.replaceAll(" ", "")) ?? assert.fail("hex");

test("RFC 8323 §3.2: length and token length share the first octet, then code, token, options and payload", () => {
  assert.equal(toHex(encodeTcpMessage(message())), "0045");
  const get = message({ code: METHOD.get, token: Uint8Array.of(7), options: pathOptions("/a") });
  assert.equal(toHex(encodeTcpMessage(get)), "210107b161");
  assert.equal(toHex(encodeTcpMessage(message({ payload: Uint8Array.of(1, 2) }))), "3045ff0102");
});

test("§3.2: from 13, 269 and 65805 octets on, the length takes 1, 2 and 4 octets of its own", () => {
  const headerOf = (length: number): string => {
    const bytes = encodeTcpMessage(message({ payload: new Uint8Array(length - 1) }));
    assert.equal(bytes.length, tcpMessageLength(message({ payload: new Uint8Array(length - 1) })));
    assert.equal(peekTcpLength(bytes, 0, bytes.length), bytes.length);
    return toHex(bytes.subarray(0, bytes.indexOf(CODE.content) + 1));
  };
  assert.equal(headerOf(12), "c045");
  assert.equal(headerOf(13), "d00045");
  assert.equal(headerOf(268), "d0ff45");
  assert.equal(headerOf(269), "e0000045");
  assert.equal(headerOf(65_804), "e0ffff45");
  assert.equal(headerOf(65_805), "f00000000045");
  assert.equal(headerOf(65_805 + 300), "f00000012c45");
});

test("§3.2: the longest length that can be told is told right, and announced before the code has come", () => {
  assert.equal(peekTcpLength(hex("f8 ffffffff"), 0, 5), 2 ** 32 - 1 + 65_805 + 2 + 4 + 8);
  assert.equal(peekTcpLength(hex("f8 ffffff"), 0, 4), undefined);
  assert.equal(peekTcpLength(EMPTY, 0, 0), undefined);
});

test("§3.2: reserved token lengths, a marker without payload and cut options are format errors", () => {
  for (const bad of ["09 45", "0f 45", "10 45 ff", "20 45 b5 61", "11 45 07 d0"])
    assert.throws(() => decodeTcpMessage(hex(bad)), { code: "COAP_FORMAT" }, bad);
  assert.throws(() => encodeTcpMessage(message({ token: new Uint8Array(9) })), { code: "COAP_TOKEN" });
});

const octets = (maxLength: number) => fc.uint8Array({ maxLength });
const plain = { noNullPrototype: true };
/** Payloads are told by their length, so that a counterexample can be read. */
const anyShape = fc.record(
  {
    code: fc.integer({ min: 0, max: 255 }),
    token: octets(8),
    options: fc
      .array(fc.record({ number: fc.integer({ min: 0, max: 0xffff }), value: octets(300) }, plain), { maxLength: 5 })
      .map((options) => options.sort((a, b) => a.number - b.number)),
    payloadBytes: fc.oneof(
      fc.integer({ min: 0, max: 20 }),
      fc.integer({ min: 200, max: 400 }),
      fc.integer({ min: 65_000, max: 67_000 }),
    ),
  },
  plain,
);
const messageOf = ({
  payloadBytes,
  ...rest
}: typeof anyShape extends fc.Arbitrary<infer T> ? T : never): TcpMessage => ({
  ...rest,
  payload: new Uint8Array(payloadBytes).fill(0xa5),
});

test("decoding is the inverse of encoding", () => {
  fc.assert(
    fc.property(anyShape, (shape) => {
      const one = messageOf(shape);
      assert.deepEqual(decodeTcpMessage(encodeTcpMessage(one)), one);
    }),
    { numRuns: 200 },
  );
});

const cut = (bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] => {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i += 1) {
    const length = Math.max(1, lengths[i % Math.max(1, lengths.length)] ?? 1);
    pieces.push(bytes.slice(at, at + length));
    at += length;
  }
  return pieces;
};

const readAll = (decoder: TcpDecoder): TcpMessage[] => {
  const found: TcpMessage[] = [];
  for (let next = decoder.next(); next; next = decoder.next()) found.push(next);
  return found;
};

test("§3.2: however the stream is cut, the same messages come out, and nothing stays behind", () => {
  const lengths = fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 70_000 })), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(fc.array(anyShape, { maxLength: 6 }), lengths, (shapes, pieces) => {
      const messages = shapes.map(messageOf);
      const stream = Buffer.concat(messages.map(encodeTcpMessage));
      const decoder = new TcpDecoder(200_000);
      const found: TcpMessage[] = [];
      for (const piece of cut(new Uint8Array(stream), pieces)) {
        decoder.push(piece);
        found.push(...readAll(decoder));
      }
      assert.deepEqual(found, messages);
      assert.deepEqual([decoder.heldBytes, decoder.isPartial], [0, false]);
    }),
    { numRuns: 40 },
  );
});

test("§5.3.1: a message that announces itself too long is refused at once; memory follows what came, not what was announced", () => {
  const decoder = new TcpDecoder(66_000);
  decoder.push(hex("f0 7fffffff"));
  assert.throws(() => decoder.next(), { code: "COAP_TOO_LARGE" });
  const patient = new TcpDecoder(66_000);
  patient.push(hex("e0 ff00"));
  assert.equal(patient.next(), undefined);
  for (let i = 0; i < 1_000; i += 1) {
    patient.push(Uint8Array.of(1));
    assert.equal(patient.next(), undefined);
    assert.ok(patient.heldBytes <= 2 * (i + 4) + 6, `${patient.heldBytes} octets held for ${i + 4}`);
  }
});

test("what is pushed before the rest was read is not lost", () => {
  const decoder = new TcpDecoder(1_000);
  const one = encodeTcpMessage(message({ payload: Uint8Array.of(9, 9, 9) }));
  decoder.push(Uint8Array.from([...one, ...one.subarray(0, 2)]));
  decoder.push(one.slice(2));
  assert.equal(readAll(decoder).length, 2);
});
