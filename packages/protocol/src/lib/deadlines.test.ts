import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Deadlines } from "./deadlines.ts";

test("keys come out in the order of their deadlines, whatever was set, moved and removed before", () => {
  const change = fc.tuple(fc.constantFrom("set", "delete"), fc.nat(20), fc.nat(1000));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
      const deadlines = new Deadlines<number>();
      const model = new Map<number, number>();
      for (const [what, key, atMs] of changes) {
        if (what === "set") {
          deadlines.set(key, atMs);
          model.set(key, atMs);
        } else assert.equal(deadlines.delete(key), model.delete(key));
        assert.equal(deadlines.earliestMs, model.size ? Math.min(...model.values()) : undefined);
      }
      const popped: number[] = [];
      for (let key = deadlines.popDue(500); key !== undefined; key = deadlines.popDue(500)) {
        popped.push(model.get(key) ?? Number.NaN);
      }
      assert.deepEqual(
        popped,
        [...model.values()].filter((atMs) => atMs <= 500).sort((a, b) => a - b),
      );
      assert.equal(deadlines.size, model.size - popped.length);
    }),
  );
});
