import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LinkedQueue, type QueueLinks } from "./linked-queue.ts";

interface Member extends QueueLinks<Member> {
  readonly name: number;
}

test("members leave in the order they came, whichever left or moved before", () => {
  const change = fc.tuple(fc.constantFrom("append", "remove", "moveToEnd"), fc.nat(6));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const members = Array.from({ length: 7 }, (_, name): Member => {
        return { name, before: undefined, after: undefined, isQueued: false };
      });
      const queue = new LinkedQueue<Member>();
      let model: number[] = [];
      for (const [what, name] of changes) {
        const member = members[name] as Member;
        if (what === "append" && member.isQueued) continue;
        if (what === "moveToEnd" && !member.isQueued) continue;
        queue[what as "append" | "remove" | "moveToEnd"](member);
        model = model.filter((other) => other !== name);
        if (what !== "remove") model.push(name);
        assert.deepEqual([queue.size, queue.first?.name], [model.length, model[0]]);
      }
      const left: number[] = [];
      for (let first = queue.first; first !== undefined; first = queue.first) {
        left.push(first.name);
        queue.remove(first);
      }
      assert.deepEqual(left, model);
    }),
  );
});
