import assert from "node:assert/strict";
import { test } from "node:test";
import { cycleAtMs } from "@airlift/protocol/zmesh/air-turns";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import { LONGEST_COMMAND_BYTES } from "@airlift/protocol/zmesh/command-channel";
import fc from "fast-check";
import { commandTurn } from "./command-turn.ts";

const gatewaysArbitrary = fc.uniqueArray(
  fc.record({
    id: fc.string({ minLength: 1, maxLength: 4 }),
    cells: fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f"), { minLength: 1, maxLength: 3 }),
    rateBps: fc.integer({ min: 100, max: 50_000 }),
  }),
  { selector: ({ id }) => id, maxLength: 8 },
);

test("§7: turns of gateways that share a cell are apart, by more than their clocks may be", () => {
  fc.assert(
    fc.property(gatewaysArbitrary, (gateways) => {
      for (const a of gateways)
        for (const b of gateways) {
          if (a.id === b.id || !a.cells.some((cell) => b.cells.includes(cell))) continue;
          const [one, other] = [commandTurn(gateways, a.id), commandTurn(gateways, b.id)];
          assert.ok(one !== undefined && other !== undefined);
          assert.equal(one.periodMs, other.periodMs);
          const gapMs = (((other.fromMs - one.fromMs) % one.periodMs) + one.periodMs) % one.periodMs;
          // Whoever begins a command in the last moment that is allowed ends it in its turn.
          const longestMs = airtimeMs(LONGEST_COMMAND_BYTES, a.rateBps);
          const lastMs = one.fromMs + one.lengthMs - longestMs - 0.001;
          assert.equal(cycleAtMs(one, lastMs, longestMs), lastMs);
          assert.ok(gapMs >= one.lengthMs + 500, `${JSON.stringify([one, other])}`);
        }
    }),
  );
});

test("§7: a gateway without neighbours speaks at any time, and so does one that nobody knows", () => {
  const gateways = [
    { id: "a", cells: ["north"], rateBps: 50_000 },
    { id: "b", cells: ["south"], rateBps: 50_000 },
  ];
  assert.equal(commandTurn(gateways, "a"), undefined);
  assert.equal(commandTurn(gateways, "c"), undefined);
});
