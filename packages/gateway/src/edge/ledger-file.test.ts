import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { LedgerFile } from "./ledger-file.ts";
import { type MachineMoment, provenDowntimeMs } from "./machine-time.ts";

const limit = { windowMs: 10_000, budgetMs: 1_000, offMs: 0 };

/** A machine whose clock and start a test decides. */
function createMachine() {
  const folder = mkdtempSync(join(tmpdir(), "airlift-ledger-"));
  const path = join(folder, "ledger.json");
  const machine = { bootId: "one", monotonicMs: 50_000, upMs: 50_000 };
  const open = (wasUsed = true): LedgerFile =>
    new LedgerFile({
      path,
      limit,
      wasUsed,
      reserveShare: 0,
      now: () => ({ bootId: machine.bootId, monotonicMs: machine.monotonicMs }),
      downtimeMs: (then: MachineMoment, now: MachineMoment) => provenDowntimeMs(then, now, machine.upMs),
    });
  const pass = (ms: number): void => {
    machine.monotonicMs += ms;
    machine.upMs += ms;
  };
  return { path, machine, open, pass, remove: () => rmSync(folder, { recursive: true }) };
}

test("a first start has the whole budget; a ledger that is missing later, or is damaged, counts as used up", () => {
  const { path, open, machine, remove } = createMachine();
  const { monotonicMs } = machine;
  assert.equal(open(false).earliestMs(1_000, monotonicMs), monotonicMs);
  const lost = open(true);
  assert.ok(lost.earliestMs(1, monotonicMs) >= monotonicMs + limit.windowMs - 1_000);
  assert.equal(lost.doubtMs(monotonicMs), limit.windowMs);
  for (const text of ["", "{", "{}", '{"bootId":"one","monotonicMs":1,"windowMs":5,"entries":[],"aheadUs":0}']) {
    writeFileSync(path, text);
    assert.ok(open(false).usedMs(monotonicMs) >= 1_000, text);
  }
  remove();
});

test("what was booked is on disk before it may be used, after a kill at any moment", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ pauseMs: fc.nat(300), airtimeMs: fc.integer({ min: 1, max: 80 }), isKilled: fc.boolean() }),
        { maxLength: 40 },
      ),
      (steps) => {
        const { open, machine, pass, remove } = createMachine();
        let ledger = open(false);
        const sent: { atMs: number; airtimeMs: number }[] = [];
        for (const { pauseMs, airtimeMs, isKilled } of steps) {
          pass(pauseMs);
          if (isKilled) ledger = open();
          const { monotonicMs } = machine;
          if (ledger.earliestMs(airtimeMs, monotonicMs) > monotonicMs) continue;
          ledger.book(monotonicMs, airtimeMs);
          sent.push({ atMs: monotonicMs, airtimeMs });
          pass(airtimeMs);
          const fromMs = machine.monotonicMs - limit.windowMs;
          const usedMs = sent.reduce(
            (sum, one) => sum + Math.max(0, Math.min(one.airtimeMs, one.atMs + one.airtimeMs - fromMs)),
            0,
          );
          assert.ok(usedMs <= limit.budgetMs + 1e-6, `${usedMs} ms in one window`);
        }
        remove();
      },
    ),
    { numRuns: 60 },
  );
});

test("across a restart of the machine only the time since that restart counts as gone", () => {
  const { open, machine, pass, remove } = createMachine();
  const ledger = open(false);
  ledger.book(machine.monotonicMs, 900);
  pass(2_000);
  ledger.save();
  Object.assign(machine, { bootId: "two", monotonicMs: 3_000, upMs: 3_000 });
  assert.ok(open().usedMs(machine.monotonicMs) >= 900);
  pass(6_000);
  // 2 s before the restart and 9 s after it.
  assert.equal(open().usedMs(machine.monotonicMs), 0);
  remove();
});

test("a machine that does not name its starts proves nothing", () => {
  assert.equal(provenDowntimeMs({ bootId: "", monotonicMs: 1 }, { bootId: "", monotonicMs: 9e9 }, 9e9), 0);
  assert.equal(provenDowntimeMs({ bootId: "a", monotonicMs: 100 }, { bootId: "a", monotonicMs: 50 }, 9e9), 0);
  assert.equal(provenDowntimeMs({ bootId: "a", monotonicMs: 100 }, { bootId: "b", monotonicMs: 50 }, 70), 70);
});

test("the ledger's file holds no more than it needs", () => {
  const { path, open, machine, pass, remove } = createMachine();
  const ledger = open(false);
  for (let i = 0; i < 3_000; i += 1) {
    const atMs = ledger.earliestMs(1, machine.monotonicMs);
    pass(atMs - machine.monotonicMs);
    ledger.book(atMs, 1);
    pass(1);
  }
  ledger.save();
  assert.ok(readFileSync(path).length < 40_000);
  remove();
});
