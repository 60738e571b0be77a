import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "@airlift/protocol/lib/errors";
import { FormatMemory } from "./format-memory.ts";
import { LastValues } from "./last-values.ts";
import { Turns } from "./turns.ts";

test("refused formats are remembered by device and use, the oldest forgotten first", () => {
  const memory = new FormatMemory({ deviceLimit: 2 });
  memory.remember("a", "read", 112);
  memory.remember("a", "read", 110);
  assert.deepEqual([...memory.refusedBy("a", "read")], [112, 110]);
  assert.equal(memory.refusedBy("a", "write").size, 0);
  memory.remember("b", "read", 1);
  memory.remember("c", "read", 1);
  assert.deepEqual([memory.size, memory.refusedBy("a", "read").size], [2, 0]);
});

test("the newest value of each path is kept, up to the limits", () => {
  const values = new LastValues<{ path: string; value: number }>({ deviceLimit: 2, valueLimit: 3 });
  values.keep(
    "a",
    [1, 2, 3, 4].map((value) => ({ path: `/3/0/${value}`, value })),
  );
  values.keep("a", [{ path: "/3/0/2", value: 9 }]);
  assert.deepEqual(
    values.of("a").map(({ value }) => value),
    [3, 4, 9],
  );
  values.keep("b", []);
  values.keep("c", []);
  assert.deepEqual(values.of("a"), []);
});

test("requests to one device wait for each other, those to another do not, and one too many is refused", async () => {
  const turns = new Turns({ waitingLimit: 1 });
  const done: string[] = [];
  const first = Promise.withResolvers<void>();
  const one = turns.take("a", async () => {
    await first.promise;
    done.push("one");
  });
  const two = turns.take("a", async () => void done.push("two"));
  await turns.take("b", async () => void done.push("other"));
  await assert.rejects(
    turns.take("a", async () => {}),
    (error) => error instanceof UsageError && error.code === "DEVICE_BUSY",
  );
  first.resolve();
  await Promise.all([one, two]);
  assert.deepEqual(done, ["other", "one", "two"]);
});

test("a turn that fails leaves the next one its own", async () => {
  const turns = new Turns();
  const failing = turns.take("a", async () => Promise.reject(new Error("refused")));
  const next = turns.take("a", async () => "answered");
  await assert.rejects(failing);
  assert.equal(await next, "answered");
});
