import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { accept, createReplayWindow, isFresh } from "./replay-window.ts";

test("RFC 6347 §4.1.2.6: the window agrees with a list of everything seen", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(400), { maxLength: 300 }), (sequences) => {
      const window = createReplayWindow();
      const seen = new Set<number>();
      let newest = -1;
      for (const sequence of sequences) {
        const expected = sequence > newest || (newest - sequence < 64 && !seen.has(sequence));
        assert.equal(isFresh(window, sequence), expected);
        if (!expected) continue;
        assert.equal(accept(window, sequence), sequence > newest);
        seen.add(sequence);
        newest = Math.max(newest, sequence);
      }
    }),
  );
});

test("sequence numbers of 48 bits, far apart", () => {
  const window = createReplayWindow();
  for (const sequence of [0, 2 ** 31, 2 ** 32 + 1, 2 ** 48 - 2, 2 ** 48 - 1]) assert.ok(accept(window, sequence));
  assert.ok(!isFresh(window, 2 ** 48 - 2));
  assert.ok(isFresh(window, 2 ** 48 - 3));
  assert.ok(!isFresh(window, 2 ** 32 + 1));
});
