import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "@airlift/protocol/lib/errors";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import fc from "fast-check";
import { type PlanGateway, planSessions } from "./session-plan.ts";

const HOUR_MS = 3_600_000;
const SPAN = { fromMs: 1_000_000, untilMs: 1_000_000 + 24 * HOUR_MS };

const gateway = (id: string, cells: readonly string[], changes: Partial<PlanGateway> = {}): PlanGateway => ({
  id,
  cells,
  band: "868.0-868.6",
  rateBps: 50_000,
  loss: 0.05,
  budgetMs: 32_400,
  usedMs: 0,
  windowMs: HOUR_MS,
  ...changes,
});

const need = (cells: readonly (string | null)[], dataCount = 100) => ({
  contents: [{ dataCount, payloadBytes: 48 }],
  devices: new Map(cells.map((cell) => [cell, 10])),
  commandBytes: [47],
  gapMs: 20,
  openings: [SPAN],
});

const codeOf = (act: () => unknown): { code: string; facts: unknown } => {
  try {
    act();
  } catch (error) {
    if (error instanceof UsageError) return { code: error.code, facts: error.facts };
    throw error;
  }
  return { code: "planned", facts: undefined };
};

test("every device is reached by a session, and gateways that share a cell are never on air together, nor within a packet and what clocks differ by", () => {
  const cells = fc.subarray(["a", "b", "c", "d", "e"], { minLength: 1 });
  const gateways = fc
    .array(cells, { minLength: 1, maxLength: 6 })
    .map((all) => all.map((own, i) => gateway(`gw-${i}`, own)));
  fc.assert(
    fc.property(gateways, fc.boolean(), (all, hasLost) => {
      const known = [...new Set(all.flatMap((one) => one.cells))];
      const plans = planSessions(need(hasLost ? [...known, null] : known), all);
      assert.deepEqual([...new Set(plans.flatMap((plan) => plan.cells))].sort(), known.sort());
      const guardMs = 500 + airtimeMs(48, 50_000);
      for (const [i, one] of plans.entries())
        for (const other of plans.slice(i + 1)) {
          if (!one.gateway.cells.some((cell) => other.gateway.cells.includes(cell))) continue;
          const both = [...one.windows, ...other.windows].sort((a, b) => a.fromMs - b.fromMs);
          for (const [k, { untilMs }] of both.entries()) {
            const next = both[k + 1]?.fromMs ?? Number.POSITIVE_INFINITY;
            if (untilMs + guardMs > next) assert.fail(`${untilMs} and ${next}`);
          }
        }
      for (const { windows } of plans)
        for (const { fromMs, untilMs } of windows)
          if (!(fromMs >= SPAN.fromMs && fromMs < untilMs && untilMs <= SPAN.untilMs))
            assert.fail(`${fromMs} … ${untilMs}`);
    }),
    { numRuns: 50 },
  );
});

test("more than the law allows is refused with one error that says how much was wanted, and how much there is", () => {
  const full = gateway("gw", ["a"], { usedMs: 32_400 });
  assert.equal(codeOf(() => planSessions(need(["a"], 20_000), [gateway("gw", ["a"])])).code, "planned");
  const { code, facts } = codeOf(() => planSessions(need(["a"], 100_000), [full]));
  assert.equal(code, "AIRTIME_OVER_BUDGET");
  const { neededMs, allowedMs, gatewayId } = facts as { neededMs: number; allowedMs: number; gatewayId: string };
  assert.equal(gatewayId, "gw");
  assert.ok(neededMs > allowedMs, `${neededMs} of ${allowedMs}`);
});

test("a cell without a gateway is named", () => {
  assert.deepEqual(
    codeOf(() => planSessions(need(["a", "z"]), [gateway("gw", ["a"])])),
    { code: "NO_GATEWAY", facts: { cells: ["z"] } },
  );
});
