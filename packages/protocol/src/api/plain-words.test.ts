import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { plainWords } from "./plain-words.ts";

const mistakesIn = (schema: z.ZodType, value: unknown): string[] => {
  const parsed = schema.safeParse(value, { error: plainWords });
  return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => [...path, message].join(": "));
};

test("what was expected is told, and what is there instead", () => {
  const schema = z.strictObject({
    count: z.int().min(1).max(100),
    name: z.string().max(3),
    list: z.array(z.boolean()).min(1),
    how: z.enum(["push", "pull"]),
    own: z.string().regex(/^a/, "begins with an a"),
  });
  assert.deepEqual(mistakesIn(schema, { count: 200, name: "long", list: [], how: "post", own: "b" }), [
    "count: 200 has to be at most 100",
    "name: has 4 characters, and there have to be at most 3",
    "list: has 0 entries, and there have to be at least 1",
    'how: "post" is none of push, pull',
    "own: begins with an a",
  ]);
  assert.deepEqual(mistakesIn(schema, { count: 2.5, list: ["yes"], how: "pull", own: "a", more: 1 }), [
    "count: 2.5 is not a whole number",
    "name: is missing: a text is expected",
    'list: 0: "yes" is not true or false',
    "there is no member more",
  ]);
  assert.deepEqual(mistakesIn(schema, ["x"]), ["a list is not a group of members, name: value"]);
});
