import assert from "node:assert/strict";
import { test } from "node:test";
import { broadcastLines } from "./campaign-text.ts";

const deficits = { none: 1, to4: 2, to16: 0, to64: 1, more: 0, unheard: 5 };
const budget = (gatewayId: string) => ({ gatewayId, band: "868.0-868.6", leftMs: 26_800, budgetMs: 32_400 });
const broadcast = {
  sessionCount: 1,
  runningCount: 1,
  airtimeUsedMs: 5_600,
  airtimePlannedMs: 14_800,
  budgets: [budget("north-1")],
  deficits,
};

test("a broadcast says what it used of the air and of its plan, what each gateway has left, and who lacks how much", () => {
  assert.deepEqual(broadcastLines({ broadcast }), [
    "air: 5.6 s of 14.8 s planned, 26.8 s of 32.4 s left at north-1 in 868.0-868.6",
    "packets: 1 have all, 2 miss 1-4, 1 miss 17-64, 5 not heard of yet",
  ]);
  const many = { ...broadcast, budgets: ["a", "b", "c", "d", "e"].map(budget) };
  assert.match(broadcastLines({ broadcast: many })[0] ?? "", /left at c in 868\.0-868\.6, and 2 more gateways$/);
  assert.deepEqual(broadcastLines({}), []);
});
