import assert from "node:assert/strict";
import { test } from "node:test";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import fc from "fast-check";
import { rememberingKeystreams } from "./keystreams.ts";

const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

test("remembered or not, the octets are those of AES-CTR, whatever keys alternate", () => {
  const [a, b] = [new Uint8Array(16), new Uint8Array(16).fill(1)];
  const message = fc.record({ isA: fc.boolean(), block: fc.nat(3), bytes: octets(24) });
  fc.assert(
    fc.property(fc.array(message), fc.nat(100), (messages, maxBytes) => {
      const crypto = rememberingKeystreams(zmeshCrypto, maxBytes);
      for (const { isA, block, bytes } of messages) {
        const counterBlock = new Uint8Array(16).fill(block);
        const key = isA ? a : b;
        assert.deepEqual(crypto.aes128Ctr(key, counterBlock, bytes), zmeshCrypto.aes128Ctr(key, counterBlock, bytes));
      }
    }),
  );
});
