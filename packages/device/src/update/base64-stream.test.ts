import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, encodeUtf8, toHex } from "@airlift/protocol/lib/bytes";
import fc from "fast-check";
import { Base64Stream } from "./base64-stream.ts";

test("RFC 4648 §4: any octets, cut into any pieces, come back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(90), (bytes, cut) => {
      const text = encodeUtf8(Buffer.from(bytes).toString("base64"));
      const stream = new Base64Stream();
      const parts = [stream.decode(text.subarray(0, cut), false), stream.decode(text.subarray(cut), true)];
      assert.equal(toHex(concat(parts.map((part) => part ?? new Uint8Array()))), toHex(bytes));
    }),
  );
});

test("what is not base64 is told apart", () => {
  for (const text of ["A", "AA=", "A===", "AA==AA==", "A*AA", "AA A", "====", "\0"]) {
    assert.equal(new Base64Stream().decode(encodeUtf8(text), true), undefined, text);
  }
});
