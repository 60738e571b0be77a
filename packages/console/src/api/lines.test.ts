import assert from "node:assert/strict";
import { test } from "node:test";
import type { Event } from "@airlift/protocol/api/schemas";
import { type Lines, MOST_LINES, withLine } from "./lines.ts";

const line = (id: number) => ({ id }) as Event;
const idsOf = ({ pages }: Lines) => pages.map(({ items }) => items.map(({ id }) => id));

test("a line comes on top once, and older pages stay as they are", () => {
  const lines: Lines = {
    pages: [
      { items: [line(4), line(3)], next: "3" },
      { items: [line(2)], next: null },
    ],
    pageParams: [undefined, "3"],
  };
  const longer = withLine(lines, line(5));
  assert.deepEqual(idsOf(longer), [[5, 4, 3], [2]]);
  assert.equal(longer.pages[1], lines.pages[1]);
  assert.equal(withLine(longer, line(5)), longer);
});

test("a page that stays open keeps no more lines than it should", () => {
  let lines: Lines = { pages: [{ items: [], next: null }], pageParams: [undefined] };
  for (let id = 1; id <= MOST_LINES + 20; id += 1) lines = withLine(lines, line(id));
  assert.equal(lines.pages[0]?.items.length, MOST_LINES);
});
