import assert from "node:assert/strict";
import { test } from "node:test";
import { queryClient } from "./query-client.ts";
import { ApiError } from "./request.ts";
import { sessionQuery, signedIn } from "./session.ts";
import { WindowedList } from "./windowed-list.ts";

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A list of numbers on a server: pages of ten, the cursor is the last one of the page before. */
function listOf(numbers: number[], keptCount = 4) {
  const asked: (string | undefined)[] = [];
  let isAway = false;
  const list = new WindowedList<number>({
    keptCount,
    fetchPage: async (cursor) => {
      asked.push(cursor);
      if (isAway) throw new Error("away");
      const rest = numbers.filter((one) => cursor === undefined || one > Number(cursor));
      const items = rest.slice(0, 10);
      return { items, next: rest.length > 10 ? `${items.at(-1)}` : null };
    },
  });
  return { list, asked, goAway: (away: boolean) => (isAway = away) };
}
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

test("the first rows take one request, and the end is known only when it was seen", async () => {
  const { list, asked } = listOf(upTo(25));
  list.show(0, 5);
  await settled();
  assert.deepEqual(asked, [undefined]);
  assert.equal(list.rowAt(9), 9);
  assert.equal(list.rowAt(10), undefined);
  assert.equal(list.isComplete, false);
  list.show(18, 24);
  await settled();
  assert.equal(list.isComplete, true);
  assert.equal(list.knownCount, 25);
});

test("a far place is walked to; what is far from it is forgotten and fetched again by its cursor", async () => {
  const { list, asked } = listOf(upTo(1000));
  list.show(900, 905);
  await settled();
  assert.equal(list.rowAt(903), 903);
  assert.equal(list.rowAt(0), undefined);
  asked.length = 0;
  list.show(500, 505);
  await settled();
  assert.equal(list.rowAt(502), 502);
  assert.deepEqual(asked, ["499"]);
});

test("a refresh asks for what is seen alone; rows that came in between move the others", async () => {
  const numbers = upTo(100).map((one) => one * 2);
  const { list, asked } = listOf(numbers);
  list.show(0, 35);
  await settled();
  asked.length = 0;
  numbers.splice(1, 0, 1);
  list.show(0, 3);
  list.refresh();
  await settled();
  assert.deepEqual(asked, [undefined]);
  assert.equal(list.rowAt(1), 1);
  assert.equal(list.knownCount, 10);
  list.show(0, 35);
  await settled();
  assert.equal(list.rowAt(30), 58);
});

test("a failure stops the walk until it is told to go on", async () => {
  const { list, goAway } = listOf(upTo(50));
  goAway(true);
  list.show(0, 5);
  await settled();
  assert.equal(list.error?.message, "away");
  goAway(false);
  list.retry();
  await settled();
  assert.equal(list.error, undefined);
  assert.equal(list.rowAt(3), 3);
});

test("a refusal for want of a session ends the page's session, as any other question's does", async (t) => {
  t.after(() => queryClient.clear());
  signedIn(queryClient, { name: "ann", role: "viewer", account: null, expiresAt: null });
  const list = new WindowedList<number>({
    fetchPage: () => Promise.reject(new ApiError(401, { code: "TOKEN_REFUSED", detail: "it was revoked" })),
  });
  list.show(0, 5);
  await settled();
  assert.equal(list.error?.message, "it was revoked");
  assert.equal(queryClient.getQueryData(sessionQuery().queryKey), null);
});
