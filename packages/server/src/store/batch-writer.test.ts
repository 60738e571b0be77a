import assert from "node:assert/strict";
import { test } from "node:test";
import { BatchWriter } from "./batch-writer.ts";

const row = (key: string, n: number) => ({ key, n });
type Row = ReturnType<typeof row>;

test("the newest value of a key is written once, with the others in one batch", async () => {
  const batches: (readonly Row[])[] = [];
  const writer = new BatchWriter<Row>(async (rows) => void batches.push(rows));
  for (let n = 0; n < 10; n += 1) for (const key of ["a", "b"]) writer.put(key, row(key, n));
  await writer.flush();
  assert.deepEqual(batches, [[row("a", 9), row("b", 9)]]);
});

test("a batch has at most its number of rows, and a full one does not wait", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sizes: number[] = [];
  const writer = new BatchWriter<Row>(async (rows) => void sizes.push(rows.length), { batchRows: 3 });
  for (let n = 0; n < 7; n += 1) writer.put(`${n}`, row(`${n}`, n));
  t.mock.timers.tick(0);
  assert.deepEqual(sizes, [3]);
  await writer.flush();
  assert.deepEqual(sizes, [3, 3, 1]);
});

test("a flush ends with what waited when it began, however fast new rows come", async () => {
  const written: string[] = [];
  const writer = new BatchWriter<Row>(
    async (rows) => {
      written.push(...rows.map(({ key }) => key));
      for (const { key } of rows) if (written.length < 100) writer.put(`${key}'`, row(`${key}'`, 1));
    },
    { batchRows: 2 },
  );
  for (const key of ["a", "b", "c"]) writer.put(key, row(key, 1));
  await writer.flush();
  assert.deepEqual(written, ["a", "b", "c", "a'"]);
  await writer.close();
});

test("whoever asks for a flush waits for its own rows, also when another's flush has taken them along", async () => {
  const written: string[] = [];
  const gates: (() => void)[] = [];
  const writer = new BatchWriter<Row>(async (rows) => {
    await new Promise<void>((resolve) => gates.push(resolve));
    written.push(...rows.map(({ key }) => key));
  });
  const settle = async () => {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  };
  writer.put("a", row("a", 1));
  const first = writer.flush();
  await settle();
  for (const key of ["b", "c"]) writer.put(key, row(key, 1));
  const asked = ["b", "c"].map((key) => writer.flush().then(() => assert.ok(written.includes(key), key)));
  for (let write = 0; write < 2; write += 1) {
    gates[write]?.();
    await settle();
  }
  await Promise.all([first, ...asked]);
  assert.deepEqual(written, ["a", "b", "c"]);
});

test("while writes fail the rows wait, newer values win, the pause doubles up to its limit, and all is written in the end", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const written: Row[] = [];
  const failures: number[] = [];
  let isAway = true;
  let attempts = 0;
  const writer = new BatchWriter<Row>(
    async (rows) => {
      attempts += 1;
      if (isAway) throw new Error("away");
      written.push(...rows);
    },
    { flushAfterMs: 10, retryMs: [100, 300], onFailure: (_, waiting) => failures.push(waiting) },
  );
  const settle = async () => {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  };
  writer.put("a", row("a", 1));
  for (const [afterMs, expected] of [
    [10, 1],
    [99, 1],
    [1, 2],
    [199, 2],
    [1, 3],
    [299, 3],
    [1, 4],
    [299, 4],
  ] as const) {
    t.mock.timers.tick(afterMs);
    await settle();
    assert.equal(attempts, expected);
  }
  writer.put("a", row("a", 2));
  writer.put("b", row("b", 1));
  isAway = false;
  t.mock.timers.tick(1);
  await settle();
  assert.deepEqual(written, [row("a", 2), row("b", 1)]);
  assert.deepEqual(failures, [1, 1, 1, 1]);
});

test("a value that comes while an older one fails to be written is the one that is written next", async () => {
  const written: Row[] = [];
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let isFirst = true;
  const writer = new BatchWriter<Row>(async (rows) => {
    if (isFirst) {
      isFirst = false;
      begun.resolve();
      return await gate.promise;
    }
    written.push(...rows);
  });
  writer.put("a", row("a", 1));
  const failing = writer.flush();
  await begun.promise;
  writer.put("a", row("a", 2));
  gate.reject(new Error("away"));
  await assert.rejects(failing);
  await writer.close();
  assert.deepEqual(written, [row("a", 2)]);
});

test("memory is bounded: a new key is refused when the limit is reached, a waiting one is still replaced", async () => {
  const written: Row[] = [];
  const writer = new BatchWriter<Row>(async (rows) => void written.push(...rows), { capacityRows: 2 });
  assert.deepEqual(
    ["a", "b", "c", "a"].map((key, n) => writer.put(key, row(key, n))),
    [true, true, false, true],
  );
  await writer.close();
  assert.deepEqual(written, [row("a", 3), row("b", 1)]);
  assert.equal(writer.put("d", row("d", 1)), false);
});

test("a row that can never be written is dropped and reported; those beside it are written", async () => {
  const written: string[] = [];
  const failures: unknown[] = [];
  const writer = new BatchWriter<Row>(
    async (rows) => {
      if (rows.some(({ key }) => key === "poison")) throw new RangeError("never");
      written.push(...rows.map(({ key }) => key));
    },
    { isPermanent: (error) => error instanceof RangeError, onFailure: (error) => failures.push(error) },
  );
  for (const key of ["a", "b", "poison", "c", "d"]) writer.put(key, row(key, 1));
  await writer.flush();
  assert.deepEqual(written, ["a", "b", "c", "d"]);
  assert.equal(failures.length, 1);
});
