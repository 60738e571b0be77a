import assert from "node:assert/strict";
import { test } from "node:test";
import type { CampaignSummary } from "@airlift/protocol/api/campaign";
import { type SummaryList, withoutSummary, withSummary } from "./summary-list.ts";

const summary = (id: string, day: number, sentence = "draft") =>
  ({ id, sentence, createdAt: `2026-01-0${day}T00:00:00.000Z` }) as CampaignSummary;

const list: SummaryList = {
  pages: [
    { items: [summary("e", 5), summary("d", 4)], next: "1" },
    { items: [summary("c", 3), summary("b", 2)], next: "2" },
  ],
  pageParams: [undefined, "1"],
};
const lines = ({ pages }: SummaryList) =>
  pages.map(({ items }) => items.map(({ id, sentence }) => `${id} ${sentence}`));

test("a campaign that has changed changes in its place, on whichever page", () => {
  assert.deepEqual(lines(withSummary(list, summary("c", 3, "paused"))), [
    ["e draft", "d draft"],
    ["c paused", "b draft"],
  ]);
});

test("a new campaign comes on top; one of a page that was not fetched does not", () => {
  assert.deepEqual(lines(withSummary(list, summary("f", 6)))[0], ["f draft", "e draft", "d draft"]);
  assert.equal(withSummary(list, summary("a", 1)), list);
  const empty: SummaryList = { pages: [{ items: [], next: null }], pageParams: [undefined] };
  assert.deepEqual(lines(withSummary(empty, summary("a", 1))), [["a draft"]]);
});

test("a draft that was deleted leaves, the others stay", () => {
  assert.deepEqual(lines(withoutSummary(list, "d")), [["e draft"], ["c draft", "b draft"]]);
});
