import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { ApiError, ask } from "./request.ts";

/** A server that answers, or does not, as it is told to; and the keys that it was sent. */
function standIn({ mock }: TestContext, answers: readonly (() => Response)[]) {
  const keys: (string | null)[] = [];
  mock.method(globalThis, "fetch", async (_: string, init: RequestInit) => {
    keys.push(new Headers(init.headers).get("idempotency-key"));
    const answer = answers[keys.length - 1];
    assert.ok(answer, "asked once too often");
    return answer();
  });
  return keys;
}

const done = () => Response.json({ id: "1" }, { status: 201 });
const refused = (status: number, code: string) => () => Response.json({ code, detail: "no" }, { status });
const away = (): Response => {
  throw new TypeError("fetch failed");
};
const brokenOff = () => new Response(new ReadableStream({ start: (body) => body.error(new TypeError("cut")) }));
const fromProxy = (status: number) => () => new Response("<html>", { status });

const create = () => ask("campaigns", { method: "POST", body: { name: "Spring" } }).catch((error: unknown) => error);

test("what is sent again after its answer was lost carries the same key, whichever way it was lost", async (t) => {
  const lost = [
    away,
    brokenOff,
    fromProxy(502),
    fromProxy(504),
    refused(503, "DATABASE_AWAY"),
    refused(409, "IDEMPOTENCY_RUNNING"),
  ];
  const keys = standIn(t, [...lost, done, done]);
  for (const _ of lost) assert.ok((await create()) instanceof ApiError);
  assert.deepEqual(await create(), { id: "1" });
  assert.equal(new Set(keys).size, 1);
  assert.ok(keys[0]);
  await create();
  assert.equal(new Set(keys).size, 2, "what was answered is done: the same once more is another");
});

test("a refusal is an answer", async (t) => {
  const keys = standIn(t, [refused(422, "QUERY"), done]);
  await create();
  await create();
  assert.equal(new Set(keys).size, 2);
});

test("a question has no key, and neither has what comes to the same however often it is sent", async (t) => {
  const keys = standIn(t, [done, done, done]);
  await ask("campaigns");
  await ask("campaigns/plan", { method: "POST", body: {}, isRepeatable: true });
  await ask("devices/a", { method: "PATCH", body: {} });
  assert.deepEqual(keys, [null, null, null]);
});
