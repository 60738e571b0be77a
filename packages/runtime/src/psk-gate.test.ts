import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readKeyExchange } from "./psk-gate.ts";

const record = (type: number, content: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([type, 3, 3, content.length >> 8, content.length & 255]), content]);
const message = (type: number, body: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([type, 0, body.length >> 8, body.length & 255]), body]);
const keyExchange = (identity: string, rest = ""): Buffer => {
  const octets = Buffer.from(identity);
  return message(16, Buffer.concat([Buffer.from([0, octets.length]), octets, Buffer.from(rest, "hex")]));
};
const hello = message(1, new Uint8Array(200));
const change = record(20, Uint8Array.of(1));

test("RFC 4279 §2, RFC 5489 §2: the identity begins the key exchange, with and without a curve's point behind it", () => {
  for (const rest of ["", `41${"04".repeat(65)}`])
    assert.deepEqual(
      readKeyExchange(Buffer.concat([record(22, hello), record(22, keyExchange("pümp", rest)), change])),
      {
        identity: "pümp",
      },
    );
});

test("RFC 5246 §6.2.1: messages may share a record, and be cut between records", () => {
  const flight = Buffer.concat([hello, keyExchange("pump-7")]);
  assert.deepEqual(readKeyExchange(record(22, flight)), { identity: "pump-7" });
  for (const cut of [1, 5, 203, 206, 209])
    assert.deepEqual(
      readKeyExchange(Buffer.concat([record(22, flight.subarray(0, cut)), record(22, flight.subarray(cut))])),
      { identity: "pump-7" },
    );
});

test("as long as the key exchange may still come there is more to wait for, and never after the handshake's end", () => {
  const whole = Buffer.concat([record(22, hello), record(22, keyExchange("pump-7"))]);
  for (let length = 0; length < whole.length; length += 1)
    assert.equal(readKeyExchange(whole.subarray(0, length)), "more", String(length));
  assert.equal(readKeyExchange(Buffer.concat([record(22, hello), change])), "none");
});

test("the point of a curve, an identity that is too long, and no UTF-8 are no identities", () => {
  const point = message(16, Buffer.concat([Buffer.from([65, 4]), Buffer.alloc(64, 9)]));
  const long = message(16, Buffer.concat([Buffer.from([0, 129]), Buffer.alloc(129, 65)]));
  const octets = message(16, Buffer.from([0, 1, 0xff]));
  for (const exchange of [point, long, octets, message(16, new Uint8Array(1))])
    assert.equal(readKeyExchange(record(22, exchange)), "none");
});

test("octets of any kind never throw", () => {
  const part = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom<Uint8Array>(record(22, hello), record(22, keyExchange("a")), change, Buffer.from([22, 3, 3, 0])),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
      const read = readKeyExchange(Buffer.concat(parts));
      return read === "more" || read === "none" || typeof read.identity === "string";
    }),
    { numRuns: 2_000 },
  );
});
