import assert from "node:assert/strict";
import { test } from "node:test";
import coapPacket from "coap-packet";
import fc from "fast-check";
import { encodeUtf8, fromHex, toHex } from "../lib/bytes.ts";
import { CODE, METHOD } from "./codes.ts";
import {
  type CoapMessage,
  decodeMessage,
  encodeEmpty,
  encodeMessage,
  type MessageType,
  peekHeader,
} from "./message.ts";
import { OPTION, pathOptions } from "./options.ts";

const hex = (text: string): Uint8Array => fromHex(text.replaceAll(" ", "")) ?? assert.fail(`not hex: ${text}`);

/** RFC 7252 appendix A: the messages whose octets are drawn (figures 16 and 17). */
const APPENDIX_A: readonly (readonly [string, string, CoapMessage])[] = [
  ["figure 16, request", "40017d34 bb74656d7065726174757265", message(0, METHOD.get, 0x7d34, "", "/temperature")],
  ["figure 16, response", "60457d34 ff 32322e332043", message(2, CODE.content, 0x7d34, "", "", "22.3 C")],
  ["figure 17, request", "41017d35 20 bb74656d7065726174757265", message(0, METHOD.get, 0x7d35, "20", "/temperature")],
  ["figure 17, response", "61457d35 20 ff 32322e332043", message(2, CODE.content, 0x7d35, "20", "", "22.3 C")],
];

function message(type: MessageType, code: number, messageId: number, token: string, path = "", text = ""): CoapMessage {
  return { type, code, messageId, token: hex(token), options: pathOptions(path), payload: encodeUtf8(text) };
}

for (const [name, octets, value] of APPENDIX_A) {
  test(`RFC 7252 appendix A, ${name}`, () => {
    assert.equal(toHex(encodeMessage(value)), octets.replaceAll(" ", ""));
    assert.deepEqual(decodeMessage(hex(octets)), value);
  });
}

const optionArbitrary = fc
  .tuple(fc.nat(0xffff), fc.uint8Array({ maxLength: 300 }))
  .map(([number, value]) => ({ number, value }));
const messageArbitrary: fc.Arbitrary<CoapMessage> = fc
  .record({
    type: fc.constantFrom<MessageType>(0, 1, 2, 3),
    code: fc.integer({ min: 1, max: 255 }),
    messageId: fc.nat(0xffff),
    token: fc.uint8Array({ maxLength: 8 }),
    options: fc.array(optionArbitrary, { maxLength: 8 }),
    payload: fc.uint8Array({ maxLength: 100 }),
  })
  .map((value) => ({ ...value, options: value.options.toSorted((a, b) => a.number - b.number) }));

test("RFC 7252 §3: decode ∘ encode is the identity for any message whose options are in order", () => {
  fc.assert(fc.property(messageArbitrary, (value) => assert.deepEqual(decodeMessage(encodeMessage(value)), value)));
});

test("§3: another codec reads what this one writes, and the other way round", () => {
  const packetArbitrary = messageArbitrary.filter(({ code }) => [0, 2, 4, 5].includes(code >> 5));
  fc.assert(
    fc.property(packetArbitrary, (value) => {
      const parsed = coapPacket.parse(Buffer.from(encodeMessage(value)));
      assert.equal(parsed.messageId, value.messageId);
      assert.equal(parsed.code, `${value.code >> 5}.${String(value.code & 31).padStart(2, "0")}`);
      assert.deepEqual(
        [parsed.confirmable, parsed.ack, parsed.reset],
        [value.type === 0, value.type === 2, value.type === 3],
      );
      assert.equal(toHex(parsed.token ?? new Uint8Array()), toHex(value.token));
      assert.equal(toHex(parsed.payload ?? new Uint8Array()), toHex(value.payload));
      const values = (parsed.options ?? []).map((option) => toHex(option.value as Uint8Array));
      assert.deepEqual(
        values,
        value.options.map((option) => toHex(option.value)),
      );
      assert.equal(toHex(coapPacket.generate(parsed, 65_535)), toHex(encodeMessage(value)));
    }),
  );
});

test("§3.1: options are written in the order of their numbers; those of one number keep their order", () => {
  const [a, b] = pathOptions("/a/b");
  const query = { number: OPTION.uriQuery, value: encodeUtf8("x") };
  assert.ok(a && b);
  const { options } = decodeMessage(encodeMessage({ ...message(0, 1, 1, ""), options: [query, a, b] }));
  assert.deepEqual(options, [a, b, query]);
});

test("§3: no header of version 1 is COAP_HEADER, to be ignored; any other format error is COAP_FORMAT", () => {
  for (const octets of ["", "40", "400100", "00010001", "80010001", "c0010001"])
    assert.throws(() => decodeMessage(hex(octets)), { name: "PeerError", code: "COAP_HEADER" }, octets);
  for (const octets of [
    "49010001 000000000000000000", // token length 9
    "42010001 aa", // token cut off
    "40010001 ff", // marker without payload
    "40010001 b3 61", // value cut off
    "40010001 d0", // extended delta cut off
    "40010001 e0 01", // extended delta cut off
    "40010001 0e 01", // extended length cut off
    "40010001 f0", // reserved delta
    "40010001 0f", // reserved length
    "40010001 e0 ffff e0 ffff", // number above 65535
    "40000001 00", // Empty with something after the header
    "41000001 00", // Empty with a token
  ])
    assert.throws(() => decodeMessage(hex(octets)), { name: "PeerError", code: "COAP_FORMAT" }, octets);
  assert.deepEqual(peekHeader(hex("49010203")), { type: 0, messageId: 0x0203 });
});

test("§4.1: an Empty message is its header", () => {
  assert.equal(toHex(encodeEmpty(3, 0xabcd)), "7000abcd");
  assert.equal(decodeMessage(encodeEmpty(2, 7)).code, 0);
});

test("what cannot be encoded is the caller's mistake", () => {
  const base = message(0, 1, 1, "");
  assert.throws(() => encodeMessage({ ...base, token: new Uint8Array(9) }), { code: "COAP_TOKEN" });
  assert.throws(() => encodeMessage({ ...base, options: [{ number: 65_536, value: new Uint8Array() }] }), {
    code: "COAP_OPTION",
  });
  assert.throws(() => encodeMessage({ ...base, options: [{ number: -1, value: new Uint8Array() }] }), {
    code: "COAP_OPTION",
  });
});
