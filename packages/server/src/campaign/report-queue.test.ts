import assert from "node:assert/strict";
import { test } from "node:test";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { type Report, ReportQueue } from "./report-queue.ts";

const report = (endpoint: string, sentence = ""): Report => ({
  endpoint,
  news: { attempt: 1, state: "transferring", failure: null, sentence },
  utcMs: 0,
});

/** Writes nothing until `open` is called; remembers what was to be written together. */
function gated(fail: (reports: readonly Report[]) => unknown = () => undefined) {
  const batches: string[][] = [];
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const queue = new ReportQueue(
    async (_, reports) => {
      batches.push(reports.map(({ endpoint, news }) => `${endpoint}${news.sentence}`));
      await gate;
      const failure = fail(reports);
      if (failure) throw failure;
      return {} as never;
    },
    { batchSize: 3, mostWaiting: 5 },
  );
  return { queue, batches, open };
}

test("what comes while one report is being written is written together, in order and up to a batch", async () => {
  const { queue, batches, open } = gated();
  const all = ["a", "b", "c", "d", "e"].map((endpoint) => queue.put("c1", report(endpoint)));
  open();
  await Promise.all(all);
  assert.deepEqual(batches, [["a"], ["b", "c", "d"], ["e"]]);
});

test("the second report of a device is another transaction: both of its sentences are told", async () => {
  const { queue, batches, open } = gated();
  const all = [report("x"), report("a", "1"), report("b"), report("a", "2")].map((one) => queue.put("c1", one));
  open();
  await Promise.all(all);
  assert.deepEqual(batches, [["x"], ["a1", "b"], ["a2"]]);
});

test("campaigns do not wait for each other", async () => {
  const { queue, batches, open } = gated();
  const all = [queue.put("c1", report("a")), queue.put("c2", report("b"))];
  await Promise.resolve();
  assert.deepEqual(batches, [["a"], ["b"]]);
  open();
  await Promise.all(all);
});

test("a report that cannot be written takes no other with it", async () => {
  const { queue, open } = gated((reports) => (reports.some(({ endpoint }) => endpoint === "b") ? new Error("b") : 0));
  const all = ["x", "a", "b", "c"].map((endpoint) => queue.put("c1", report(endpoint)));
  open();
  const outcomes = await Promise.allSettled(all);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ["fulfilled", "fulfilled", "rejected", "fulfilled"],
  );
});

test("a database that is away fails all that wait for the same transaction, once", async () => {
  const { queue, batches, open } = gated(() => new EnvironmentError("DATABASE_AWAY", "away"));
  const all = ["x", "a", "b"].map((endpoint) => queue.put("c1", report(endpoint)));
  open();
  const outcomes = await Promise.allSettled(all);
  assert.ok(outcomes.every(({ status }) => status === "rejected"));
  assert.deepEqual(batches, [["x"], ["a", "b"]]);
});

test("more than may wait are refused", async () => {
  const { queue, open } = gated();
  const taken = ["x", "a", "b", "c", "d", "e"].map((endpoint) => queue.put("c1", report(endpoint)));
  await assert.rejects(queue.put("c1", report("f")), { code: "STORE_BUSY" });
  open();
  await Promise.all(taken);
});
