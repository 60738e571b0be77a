import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Event } from "@airlift/protocol/api/schemas";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { NewEvent } from "./ports.ts";
import { Remarks, type RemarksOptions } from "./remarks.ts";
import { openScratchStores, type ScratchStores } from "./scratch-stores.ts";

let scratch: ScratchStores;
before(async () => {
  scratch = await openScratchStores();
});
after(() => scratch.close());

const remark = (sentence: string): NewEvent => ({ kind: "update.note", sentence });

/** Remarks on a log that fails with what `failWith` gives. */
function remarks(failWith: (sentences: readonly string[]) => unknown, options: RemarksOptions = {}) {
  const stored: string[][] = [];
  const told: unknown[] = [];
  const settled: string[] = [];
  const appendAll = async (events: readonly NewEvent[]): Promise<Event[]> => {
    await nextTurn();
    const sentences = events.map(({ sentence }) => sentence);
    const error = failWith(sentences);
    if (error !== undefined) throw error;
    stored.push(sentences);
    return [];
  };
  const kept = new Remarks(
    { appendAll },
    {
      retryMs: 1,
      onRefused: (_, { sentence }) => told.push(sentence),
      onLost: (lostCount) => told.push(lostCount),
      ...options,
    },
  );
  const putOne = (sentence: string): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    kept.put(remark(sentence), () => {
      settled.push(sentence);
      resolve();
    });
    return promise;
  };
  const put = async (...sentences: string[]): Promise<void> => void (await Promise.all(sentences.map(putOne)));
  return { kept, put, stored, told, settled };
}

const away = () => new EnvironmentError("DATABASE_AWAY", "away");
const rowFault = () => Object.assign(new Error("invalid byte sequence"), { code: "22021" });

test("what happens in one turn is one statement, and what comes meanwhile is the next", async () => {
  const { put, stored } = remarks(() => undefined);
  const first = put("a", "b");
  await nextTurn();
  await Promise.all([first, put("c")]);
  assert.deepEqual(stored, [["a", "b"], ["c"]]);
});

test("what the database cannot take waits, in its order and stored once, and is not settled until then", async () => {
  const failures = [away(), new EnvironmentError("STORE_BUSY", "busy"), away()];
  const failing: number[] = [];
  const settledBefore: string[] = [];
  const { put, stored, told, settled } = remarks(
    () => {
      const failure = failures.shift();
      if (failure !== undefined) settledBefore.push(...settled);
      return failure;
    },
    { onFailure: (_, count) => failing.push(count) },
  );
  await put("a", "b");
  await put("c");
  assert.deepEqual([stored.flat(), settled, told], [["a", "b", "c"], ["a", "b", "c"], []]);
  assert.deepEqual([failing, settledBefore], [[2, 2, 2], []]);
});

test("one that can never be stored is dropped alone, and one that only shared a transaction with such a change is not", async () => {
  let foreignFaultCount = 1;
  const { kept, put, stored, told } = remarks((sentences) => {
    if (sentences.includes("bad")) return rowFault();
    foreignFaultCount -= 1;
    return foreignFaultCount === 0 ? rowFault() : undefined;
  });
  await put("alone");
  await put("a", "bad", "b");
  await put("c", "d");
  assert.deepEqual(stored, [["alone"], ["a"], ["b"], ["c", "d"]]);
  assert.deepEqual([told, kept.lostCount], [["bad"], 1]);
});

test("when too many wait the oldest are lost, told once an outage, and none of those on their way", async () => {
  let isAway = true;
  const { kept, put, stored, told } = remarks(() => (isAway ? away() : undefined), { capacity: 2_500 });
  const sentences = Array.from({ length: 4_600 }, (_, n) => `${n}`);
  const all = put(...sentences);
  assert.deepEqual([kept.lostCount, told], [3_000, [1_000]]);
  isAway = false;
  await all;
  assert.deepEqual(stored.flat(), sentences.slice(3_000));
});

test("those on their way are stored, whatever comes behind them", async () => {
  const { promise: isBeingWritten, resolve } = Promise.withResolvers<void>();
  const { kept, put, stored } = remarks(() => void resolve(), { capacity: 2 });
  const first = put("a");
  await nextTurn();
  const others = put("b", "c", "d");
  await isBeingWritten;
  await Promise.all([first, others]);
  assert.deepEqual([stored, kept.lostCount], [[["a"], ["d"]], 2]);
});

test("the end writes what waits, and says what it could not", async () => {
  let isAway = true;
  const orderly = remarks(() => (isAway ? away() : undefined), { retryMs: 3_600_000 });
  const all = orderly.put("a", "b");
  await nextTurn();
  await nextTurn();
  isAway = false;
  await Promise.all([orderly.kept.close(), all]);
  assert.deepEqual([orderly.stored, orderly.told], [[["a", "b"]], []]);
  const without = remarks(away, { retryMs: 3_600_000 });
  const lost = without.put("a", "b");
  await Promise.all([without.kept.close(), lost]);
  assert.deepEqual([without.stored, without.told, without.kept.lostCount], [[], [2], 2]);
});

test("an outage of the database delays them: each is stored once, in its order, as of when it happened", async () => {
  const { stores, database } = scratch;
  const heard: Event[] = [];
  const { promise: isAllHeard, resolve } = Promise.withResolvers<void>();
  stores.events.subscribe((event) => {
    heard.push(event);
    if (event.sentence === "last") resolve();
  });
  await stores.events.append(remark("before"));
  await database.pause();
  stores.remarks.put(remark("first"));
  stores.remarks.put({ ...remark("second"), endpoint: "d" });
  await assert.rejects(stores.events.append(remark("who waits is told")), { code: "DATABASE_AWAY" });
  stores.remarks.put(remark("third"));
  await database.resume();
  await stores.events.append(remark("after"));
  stores.remarks.put(remark("last"));
  await isAllHeard;
  const onRecord = (await stores.events.after({}, 100)).map(({ id, at, sentence }) => ({ id, at, sentence }));
  const sentences = onRecord.map(({ sentence }) => sentence);
  assert.deepEqual(
    sentences.filter((sentence) => sentence !== "after"),
    ["before", "first", "second", "third", "last"],
  );
  assert.deepEqual(
    heard.map(({ id }) => id),
    onRecord.map(({ id }) => id),
  );
  const atMsOf = (sentence: string) => Date.parse(onRecord.find((event) => event.sentence === sentence)?.at ?? "");
  assert.ok(atMsOf("before") <= atMsOf("first"));
  for (const sentence of ["first", "second", "third"]) assert.ok(atMsOf(sentence) < atMsOf("after"), sentence);
});

test("an event is as old as it is when it is stored, whatever the transaction took", async () => {
  const happenedAtMs = performance.now() - 86_400_000;
  const { at } = await scratch.stores.events.append({ ...remark("a day ago"), happenedAtMs });
  const now = await scratch.stores.events.append(remark("now"));
  const dayMs = Date.parse(now.at) - Date.parse(at);
  assert.ok(dayMs >= 86_400_000, `${dayMs}`);
});
