import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { QueuedRequest, RequestContent } from "./queued-request.ts";
import { RequestQueue, type RequestQueueOutput } from "./request-queue.ts";

let count = 0;

function request(
  operation: RequestContent["operation"],
  path: string,
  changes: Partial<QueuedRequest> = {},
): QueuedRequest {
  count += 1;
  const times = { submittedAtMs: 0, expiresAtMs: 1_000_000 };
  return {
    id: `q${count}`,
    endpoint: "a",
    content: { operation, path },
    state: "waiting",
    attempts: 0,
    place: count,
    ...times,
    ...changes,
  };
}

const asleep = () => new RequestQueue(() => false);
const submit = (queue: RequestQueue, one: QueuedRequest) => queue.step({ kind: "submit", request: one, utcMs: 0 }, 0);
const wakeUp = (queue: RequestQueue) => queue.step({ kind: "reachable", endpoint: "a", isReachable: true }, 0);
const summary = (outputs: readonly RequestQueueOutput[]) =>
  outputs.map((output) => {
    if (output.kind === "joined") return `joined ${output.id} to ${output.other.id}`;
    return `${output.kind} ${output.request.id}${output.kind === "finish" ? ` ${output.outcome}` : ""}`;
  });

test("requests to a sleeping device wait, and go out one after the other in the awake window", () => {
  const queue = asleep();
  const [first, second] = [request("read", "/3/0"), request("execute", "/3/0/4")];
  assert.deepEqual([...submit(queue, first), ...submit(queue, second)], []);
  assert.deepEqual(summary(wakeUp(queue)), [`send ${first.id}`]);
  assert.deepEqual(summary(queue.step({ kind: "ended", id: first.id, how: "answered" }, 0)), [
    `finish ${first.id} answered`,
    `send ${second.id}`,
  ]);
  assert.deepEqual(summary(queue.step({ kind: "ended", id: second.id, how: "answered" }, 0)), [
    `finish ${second.id} answered`,
  ]);
  assert.equal(queue.size, 0);
});

test("a newer write to a path replaces an older one, unless what lies between could see the older", () => {
  const queue = asleep();
  const [older, elsewhere, newer] = [
    request("write", "/1/0/1"),
    request("write", "/3/0/14"),
    request("write", "/1/0/1"),
  ];
  submit(queue, older);
  submit(queue, elsewhere);
  assert.deepEqual(summary(submit(queue, newer)), [`finish ${older.id} replaced`]);
  for (const between of [request("read", "/1/0"), request("execute", "/3/0/4"), request("delete", "/1/0")]) {
    const other = asleep();
    submit(other, older);
    submit(other, between);
    assert.deepEqual(submit(other, request("write", "/1/0/1")), []);
    assert.equal(other.size, 3);
  }
});

test("an update of an instance never replaces another: it may name other resources", () => {
  const queue = asleep();
  submit(queue, request("update", "/1/0"));
  assert.deepEqual(submit(queue, request("update", "/1/0")), []);
});

test("a repeated read joins the one that waits and lives as long as the longer of both", () => {
  const queue = asleep();
  const [older, newer] = [request("read", "/3/0/3"), request("read", "/3/0/3", { expiresAtMs: 2_000_000 })];
  submit(queue, older);
  assert.deepEqual(summary(submit(queue, newer)), [`joined ${newer.id} to ${older.id}`]);
  assert.deepEqual(queue.step({ kind: "wake" }, 1_500_000), []);
  assert.deepEqual(summary(queue.step({ kind: "wake" }, 2_000_000)), [`finish ${older.id} expired`]);
});

test("a read without an answer waits for the next window; an Execute is not sent again", () => {
  const queue = asleep();
  const read = request("read", "/3/0/3");
  submit(queue, read);
  wakeUp(queue);
  assert.deepEqual(summary(queue.step({ kind: "ended", id: read.id, how: "unanswered" }, 0)), [`save ${read.id}`]);
  assert.deepEqual(summary(wakeUp(queue)), [`send ${read.id}`]);
  queue.step({ kind: "ended", id: read.id, how: "answered" }, 0);
  for (const operation of ["execute", "create"] as const) {
    const once = request(operation, "/3/0/4");
    submit(queue, once);
    wakeUp(queue);
    assert.deepEqual(summary(queue.step({ kind: "ended", id: once.id, how: "unanswered" }, 0)), [
      `finish ${once.id} unknown`,
    ]);
  }
});

test("an Execute that never left waits on", () => {
  const queue = asleep();
  const once = request("execute", "/3/0/4");
  submit(queue, once);
  wakeUp(queue);
  assert.deepEqual(summary(queue.step({ kind: "ended", id: once.id, how: "notSent" }, 0)), [`save ${once.id}`]);
  assert.equal(queue.of("a")[0]?.attempts, 0);
});

test("what is on its way does not expire", () => {
  const queue = asleep();
  const read = request("read", "/3/0/3");
  submit(queue, read);
  wakeUp(queue);
  assert.deepEqual(queue.step({ kind: "wake" }, 1_000_000), []);
});

test("what is let go goes out no more, and makes way for the next one", () => {
  const queue = asleep();
  const [first, second] = [request("execute", "/3/0/4"), request("read", "/3/0/3")];
  submit(queue, first);
  submit(queue, second);
  assert.deepEqual(queue.step({ kind: "letGo", id: "other" }, 0), []);
  wakeUp(queue);
  assert.deepEqual(summary(queue.step({ kind: "letGo", id: first.id }, 0)), [`send ${second.id}`]);
  assert.deepEqual(queue.step({ kind: "ended", id: first.id, how: "answered" }, 0), []);
  assert.deepEqual(queue.step({ kind: "letGo", id: second.id }, 0), []);
  assert.equal(queue.size, 0);
});

test("what another server had takes its place by its submission, and what is here already stays as it is", () => {
  const queue = asleep();
  const [older, newer, sent] = [request("read", "/3/0"), request("read", "/3/1"), request("execute", "/3/0/4")];
  submit(queue, newer);
  const requests = [older, { ...newer, state: "sending" as const }, { ...sent, state: "sending" as const }];
  assert.deepEqual(summary(queue.step({ kind: "restore", requests, utcMs: 0 }, 0)), [`finish ${sent.id} unknown`]);
  assert.deepEqual(
    queue.of("a").map(({ id, state }) => [id, state]),
    [
      [older.id, "waiting"],
      [newer.id, "waiting"],
    ],
  );
});

test("a read that was on its way when its server ended waits again, on record too", () => {
  const queue = asleep();
  const read = request("read", "/3/0/3", { state: "sending", attempts: 1 });
  const outputs = queue.step({ kind: "restore", requests: [read], utcMs: 0 }, 0);
  assert.deepEqual(outputs, [{ kind: "save", request: { ...read, state: "waiting" } }]);
  assert.deepEqual(summary(wakeUp(queue)), [`send ${read.id}`]);
});

test("the queue is bounded for each device, in all, and in octets", () => {
  const queue = new RequestQueue(() => false, { perDevice: 2, total: 3, totalPayload: 10 });
  queue.assertRoom("a", 10);
  assert.throws(() => queue.assertRoom("a", 11), { code: "QUEUE_FULL" });
  submit(queue, request("execute", "/3/0/4"));
  submit(queue, request("execute", "/3/0/4"));
  assert.throws(() => queue.assertRoom("a", 0), { code: "QUEUE_FULL" });
  submit(queue, request("execute", "/3/0/4", { endpoint: "b" }));
  assert.throws(() => queue.assertRoom("c", 0), { code: "QUEUE_FULL" });
});

/** What a run does, step by step; `crash` forgets everything but the record, `lost` is an answer that did not come. */
const step = fc.oneof(
  fc.record({
    kind: fc.constant("submit" as const),
    operation: fc.constantFrom("read", "write", "execute", "create"),
    path: fc.constantFrom("/1/0", "/1/0/1", "/3/0/4"),
    lifeMs: fc.integer({ min: 1, max: 500 }),
  }),
  fc.record({ kind: fc.constantFrom("awake", "asleep", "answer", "lost", "crash", "later") }),
);

test("model: whatever happens, nothing that changes more than once goes out twice, order is kept, nothing is lost or late", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let nowMs = 0;
      let isReachable = false;
      let queue = new RequestQueue(() => isReachable);
      /** What the database holds, in the order of submission. */
      const record = new Map<string, QueuedRequest>();
      const finished = new Map<string, string>();
      const sentCount = new Map<string, number>();
      const sentOrder: QueuedRequest[] = [];
      let onItsWay: QueuedRequest | undefined;
      let submitted = 0;

      const perform = (outputs: readonly RequestQueueOutput[]) => {
        for (const output of outputs) {
          if (output.kind === "joined") {
            record.set(output.other.id, output.other);
            record.delete(output.id);
            finished.set(output.id, "joined");
            continue;
          }
          const { request: one } = output;
          if (output.kind === "finish") {
            assert.equal(finished.has(one.id), false);
            finished.set(one.id, output.outcome);
            record.delete(one.id);
          } else record.set(one.id, one);
          if (output.kind !== "send") continue;
          assert.equal(onItsWay, undefined, "one at a time");
          assert.ok(isReachable);
          onItsWay = one;
          sentCount.set(one.id, (sentCount.get(one.id) ?? 0) + 1);
          sentOrder.push(one);
        }
      };
      for (const one of steps) {
        perform(queue.step({ kind: "wake" }, nowMs));
        if (one.kind === "submit" && "operation" in one) {
          submitted += 1;
          const content = { operation: one.operation as RequestContent["operation"], path: one.path };
          const added = request("read", "/", { content, submittedAtMs: nowMs, expiresAtMs: nowMs + one.lifeMs });
          record.set(added.id, added);
          perform(queue.step({ kind: "submit", request: added, utcMs: nowMs }, nowMs));
        } else if (one.kind === "later") nowMs += 100;
        else if (one.kind === "crash") {
          onItsWay = undefined;
          isReachable = false;
          queue = new RequestQueue(() => isReachable);
          perform(queue.step({ kind: "restore", requests: [...record.values()], utcMs: nowMs }, nowMs));
        } else if (one.kind === "awake" || one.kind === "asleep") {
          isReachable = one.kind === "awake";
          perform(queue.step({ kind: "reachable", endpoint: "a", isReachable }, nowMs));
        } else if (onItsWay !== undefined) {
          const { id } = onItsWay;
          onItsWay = undefined;
          perform(queue.step({ kind: "ended", id, how: one.kind === "answer" ? "answered" : "unanswered" }, nowMs));
        }
        assert.equal(record.size + finished.size, submitted, "each is on record or finished");
        assert.deepEqual(new Set(queue.of("a").map(({ id }) => id)), new Set(record.keys()));
      }
      for (const one of sentOrder) {
        const { operation } = one.content;
        if (operation === "execute" || operation === "create") assert.equal(sentCount.get(one.id), 1);
      }
      const firstSent = sentOrder.filter(({ id }, i) => sentOrder.findIndex((other) => other.id === id) === i);
      const numbers = firstSent.map(({ id }) => Number(id.slice(1)));
      assert.deepEqual(
        numbers,
        [...numbers].sort((a, b) => a - b),
        "in the order of submission",
      );
    }),
  );
});
