import assert from "node:assert/strict";
import { test } from "node:test";
import { GatheredQuestion } from "./gathered-question.ts";

test("what is asked in one turn is one question, and each gets its own answer", async () => {
  const asked: (readonly string[])[] = [];
  const question = new GatheredQuestion(async (names) => {
    asked.push(names);
    return new Set(["b"]);
  });
  assert.deepEqual(await Promise.all(["a", "b", "a"].map((name) => question.has(name))), [false, true, false]);
  assert.deepEqual(asked, [["a", "b", "a"]]);
  assert.equal(await question.has("b"), true);
});

test("a store that is away fails those who asked, and is asked again", async () => {
  let isAway = true;
  const question = new GatheredQuestion(async (names) => {
    if (isAway) throw new Error("away");
    return new Set(names);
  });
  await assert.rejects(question.has("a"), /away/);
  isAway = false;
  assert.equal(await question.has("a"), true);
});
