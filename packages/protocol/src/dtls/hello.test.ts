import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat, fromHex, toHex } from "../lib/bytes.ts";
import { decodeExtensions } from "./extensions.ts";
import {
  decodeClientHello,
  decodeHelloVerify,
  decodeServerHello,
  encodeClientHello,
  encodeHelloVerify,
} from "./hello.ts";

const octets = (hex: string): Uint8Array => fromHex(hex.replaceAll(" ", "")) ?? new Uint8Array();
const random = "00".repeat(32);
const FORMAT = { name: "PeerError", code: "DTLS_FORMAT" };

test("RFC 6347 §4.2.1: the fields of a ClientHello in their order, the cookie after the session id", () => {
  const hello = decodeClientHello(octets(`fefd ${random} 02 aabb 01 cc 0004 c0a8 00ff 01 00 0004 0017 0000`));
  assert.deepEqual([toHex(hello.sessionId), toHex(hello.cookie), hello.suites], ["aabb", "cc", [0xc0a8, 0xff]]);
  assert.equal(hello.extensions.extendedMasterSecret, true);
});

test("RFC 5246 §7.4.1.2: a hello without extensions; no null compression, a session id of 33 octets, a cut list: refused", () => {
  assert.deepEqual(decodeClientHello(octets(`fefd ${random} 00 00 0002 c0a8 01 00`)).extensions, {});
  for (const hex of [
    `fefd ${random} 00 00 0002 c0a8 01 01`,
    `fefd ${random} 21 ${"00".repeat(33)} 00 0002 c0a8 01 00`,
    `fefd ${random} 00 00 0003 c0a800 01 00`,
    `fefd ${random} 00 00 0002 c0a8 01 00 0001`,
    `fefd ${random}`,
  ])
    assert.throws(() => decodeClientHello(octets(hex)), FORMAT);
  assert.throws(() => decodeServerHello(octets(`fefd ${random} 00 c0a8 01`)), FORMAT);
});

test("RFC 5246 §7.4.1.4: an extension that is there twice is refused, an unknown one ignored", () => {
  assert.deepEqual(decodeExtensions(octets("0005 7777 0001 00"), "client").groups, undefined);
  assert.throws(() => decodeExtensions(octets("0008 0017 0000 0017 0000"), "client"), FORMAT);
});

test("RFC 7250 §3: certificate types are a list in the client's hello, one value in the server's", () => {
  const list = octets("0007 0013 0003 02 02 00");
  assert.deepEqual(decodeExtensions(list, "client").clientCertificateTypes, [2, 0]);
  assert.throws(() => decodeExtensions(list, "server"), FORMAT);
  assert.deepEqual(decodeExtensions(octets("0005 0014 0001 02"), "server").serverCertificateTypes, [2]);
});

test("RFC 9146 §3: the extension 54 with a Connection ID of no or some octets", () => {
  assert.deepEqual(decodeExtensions(octets("0005 0036 0001 00"), "client").connectionId, new Uint8Array());
  assert.deepEqual(
    toHex(decodeExtensions(octets("0007 0036 0003 02 abcd"), "server").connectionId ?? new Uint8Array()),
    "abcd",
  );
});

test("RFC 6347 §4.2.1: a cookie of up to 255 octets comes back as it went", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 255 }), (cookie) => {
      assert.deepEqual(decodeHelloVerify(encodeHelloVerify(cookie)), cookie);
      const hello = {
        version: 0xfefd,
        random: new Uint8Array(32),
        sessionId: new Uint8Array(),
        cookie,
        suites: [1],
        extensions: {},
      };
      assert.deepEqual(decodeClientHello(encodeClientHello(hello)).cookie, cookie);
    }),
  );
  assert.throws(() => decodeHelloVerify(concat([Uint8Array.of(3, 3, 0)])), FORMAT);
});
