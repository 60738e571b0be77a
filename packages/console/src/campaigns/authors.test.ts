import assert from "node:assert/strict";
import { test } from "node:test";
import { authorsText } from "./authors.ts";

test("whoever has written something of a campaign is named, once, in the order in which they did", () => {
  for (const [changedBy, text] of [
    [[], "otto"],
    [["otto"], "otto"],
    [["ben"], "otto and ben"],
    [["ben", "otto"], "otto and ben"],
    [["ben", "cleo", "ben"], "otto, ben and cleo"],
  ] as const)
    assert.equal(authorsText({ createdBy: "otto", changedBy: [...changedBy] }), text);
});
