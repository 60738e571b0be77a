import assert from "node:assert/strict";
import { test } from "node:test";
import type { Event } from "@airlift/protocol/api/schemas";
import { type Lines, MOST_LINES, withLine, withoutEchoes } from "./lines.ts";

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

test("what a campaign repeats of a device's update is one line; what it says itself is one of its own", () => {
  const said = (id: number, kind: Event["kind"], endpoint: string, sentence: string) =>
    ({ id, kind, endpoint, sentence }) as Event;
  const lines = [
    said(7, "campaign.note", "a", "installing"),
    said(6, "campaign.note", "b", "installing"),
    said(5, "update.transition", "b", "installing"),
    said(4, "campaign.note", "a", "asking"),
    said(3, "update.transition", "a", "installing"),
    said(2, "update.transition", "a", "asking"),
    said(1, "campaign.note", "a", "waiting: outside its window"),
  ];
  assert.deepEqual(
    withoutEchoes(lines).map(({ id }) => id),
    [5, 3, 2, 1],
  );
});
