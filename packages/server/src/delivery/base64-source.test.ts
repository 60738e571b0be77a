import assert from "node:assert/strict";
import { test } from "node:test";
import { memorySource } from "@airlift/protocol/coap/body";
import fc from "fast-check";
import { base64Source } from "./base64-source.ts";

test("RFC 4648 §4: blocks of any size at any place are the blocks of the whole text", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 40 }), async (octets, blockBytes) => {
      const text = Buffer.from(octets).toString("base64");
      const source = base64Source(memorySource(octets));
      assert.equal(source.sizeBytes, text.length);
      let read = "";
      for (let offset = 0; offset < text.length; offset += blockBytes)
        read += Buffer.from(await source.read(offset, blockBytes)).toString();
      assert.equal(read, text);
    }),
  );
});
