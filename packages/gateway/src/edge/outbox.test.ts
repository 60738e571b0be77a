import assert from "node:assert/strict";
import fs, { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { MOST_SET_ASIDE, type NewReport, Outbox, type WaitingReport } from "./outbox.ts";

const event = (fseq: number): NewReport => ({ kind: "event", atMs: 1, name: "fe0102030405", fseq, payload: "00" });
const order = (number: number): NewReport => ({
  kind: "order",
  atMs: 1,
  order: number,
  outcome: "taken",
  code: null,
  detail: null,
});

const kindsOf = (reports: readonly WaitingReport[]): unknown[] => reports.map(({ json }) => JSON.parse(json).kind);

function withFolder(use: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "airlift-outbox-"));
  try {
    use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("what waits is there after a restart, in order; what was taken is not", () => {
  withFolder((folder) => {
    const outbox = new Outbox(folder);
    const numbers = [1, 2, 3, 4].map((fseq) => outbox.add(event(fseq)));
    outbox.taken(numbers[1] ?? 0);
    outbox.compact();
    const next = new Outbox(folder);
    assert.deepEqual(
      next.oldest(10).map(({ number }) => number),
      numbers.slice(2),
    );
  });
});

test("a server that is away for long: neither what waits nor its file grows on, and a restart keeps the bound", () => {
  withFolder((folder) => {
    const outbox = new Outbox(folder, 10);
    outbox.add(order(1));
    for (let fseq = 0; fseq < 12_000; fseq += 1) outbox.add(event(fseq));
    const lines = fs.readFileSync(join(folder, "outbox.jsonl"), "utf8").trim().split("\n");
    assert.ok(lines.length < 10 + 5_000, `${lines.length} lines`);
    const next = new Outbox(folder, 10);
    assert.deepEqual([next.waitingCount, kindsOf(next.oldest(1))], [10, ["order"]]);
  });
});

test("no number is ever given twice, even when the end of the file was lost", () => {
  withFolder((folder) => {
    const seen = new Set<number>();
    for (let start = 0; start < 5; start += 1) {
      const outbox = new Outbox(folder);
      for (let i = 0; i < 700; i += 1) {
        const number = outbox.add(event(i));
        assert.ok(!seen.has(number));
        seen.add(number);
      }
      rmSync(join(folder, "outbox.jsonl"));
    }
  });
});

test("a number that could not be put on disk is given to nobody", (context) => {
  withFolder((folder) => {
    const outbox = new Outbox(folder);
    const makeRoom = fillDisk(context);
    assert.throws(() => outbox.add(event(1)), { code: "ENOSPC" });
    makeRoom();
    const number = outbox.add(event(2));
    rmSync(join(folder, "outbox.jsonl"));
    assert.ok(new Outbox(folder).add(event(3)) > number);
  });
});

test("what no later report repeats is on the disk when it is kept; the many events are not waited for one by one", (context) => {
  withFolder((folder) => {
    const outbox = new Outbox(folder);
    outbox.add(event(1));
    const sync = context.mock.method(fs, "fsyncSync");
    syncBuiltinESMExports();
    const progress = {
      sessionId: "s",
      state: "ended" as const,
      part: 0,
      tallies: [],
      airtimeMs: 0,
      deficits: [],
      nextAtMs: null,
    };
    const counts = [
      event(2),
      order(1),
      { kind: "command" as const, atMs: 1, commandId: "c", sentCount: 1, droppedCount: 0 },
      { kind: "end" as const, atMs: 1, progress, outcome: "finished" as const, detail: null },
    ].map((report) => {
      const before = sync.mock.callCount();
      outbox.add(report);
      return sync.mock.callCount() - before;
    });
    sync.mock.restore();
    syncBuiltinESMExports();
    assert.deepEqual(counts, [0, 1, 1, 1]);
  });
});

test("half a line that a power cut left is passed over, and costs no report that comes after it", () => {
  withFolder((folder) => {
    new Outbox(folder).add(event(1));
    appendFileSync(join(folder, "outbox.jsonl"), '{"number":2,"kind":"ev');
    const next = new Outbox(folder);
    assert.equal(next.waitingCount, 1);
    next.add(event(3));
    assert.deepEqual(fseqsOf(new Outbox(folder)), [1, 3]);
  });
});

test("a full outbox drops the oldest event and says so; what is not said again stays", () => {
  withFolder((folder) => {
    const outbox = new Outbox(folder, 3);
    outbox.add(order(1));
    for (const fseq of [1, 2, 3]) outbox.add(event(fseq));
    assert.equal(outbox.droppedCount, 1);
    assert.deepEqual(kindsOf(outbox.oldest(10)), ["order", "event", "event"]);
  });
});

test("what the server refuses is set aside with the reason, before and after a restart; the file of it does not grow on", () => {
  withFolder((folder) => {
    const outbox = new Outbox(folder);
    const [first = 0, second = 0] = [1, 2].map((fseq) => outbox.add(event(fseq)));
    assert.match(outbox.setAside(first, "no such name") ?? "", /"fseq":1/);
    assert.equal(outbox.setAside(first, "again"), undefined);
    outbox.close();
    const next = new Outbox(folder);
    assert.deepEqual(
      next.oldest(10).map(({ number }) => number),
      [second],
    );
    assert.deepEqual(next.aside, { count: 1, reason: "no such name" });
    for (let i = 0; i < MOST_SET_ASIDE; i += 1) next.setAside(next.add(event(i)), `${i}`);
    const { reports } = JSON.parse(fs.readFileSync(join(folder, "outbox-refused.json"), "utf8"));
    assert.deepEqual([reports.length, next.aside?.count], [MOST_SET_ASIDE, MOST_SET_ASIDE + 1]);
  });
});

/** The disk takes half of what is written from here on, and says that it is full. @returns Makes room again. */
function fillDisk({ mock }: TestContext): () => void {
  const write = fs.writeSync;
  const half = mock.method(fs, "writeFileSync", (file: number, text: string) => {
    write(file, text.slice(0, text.length / 2));
    throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  });
  syncBuiltinESMExports();
  return () => {
    half.mock.restore();
    syncBuiltinESMExports();
  };
}

const fseqsOf = (outbox: Outbox): number[] => outbox.oldest(100).map(({ json }) => JSON.parse(json).fseq);

test("half a line that a full disk took costs no report that comes after it", (context) => {
  withFolder((folder) => {
    const outbox = new Outbox(folder);
    outbox.add(event(1));
    const makeRoom = fillDisk(context);
    outbox.add(event(2));
    makeRoom();
    assert.match(outbox.problem ?? "", /ENOSPC/);
    outbox.add(event(3));
    outbox.add(event(4));
    assert.deepEqual(fseqsOf(outbox), [1, 2, 3, 4], "the server gets them all");
    assert.deepEqual(fseqsOf(new Outbox(folder)), [1, 3, 4], "what the disk did not take a power cut takes");
  });
});

test("what no later report repeats is durable or refused; with the first that is, all before it are", (context) => {
  withFolder((folder) => {
    const outbox = new Outbox(folder);
    outbox.add(event(1));
    const makeRoom = fillDisk(context);
    assert.throws(() => outbox.add(order(2)), { code: "ENOSPC" });
    outbox.add(event(3));
    assert.throws(() => outbox.add(order(4)), { code: "ENOSPC" });
    makeRoom();
    outbox.add(event(5));
    outbox.add(order(6));
    assert.equal(outbox.problem, undefined);
    const kinds = ["event", "order", "event", "order", "event", "order"];
    assert.deepEqual(kindsOf(outbox.oldest(10)), kinds);
    assert.deepEqual(kindsOf(new Outbox(folder).oldest(10)), kinds);
  });
});

test("a disk that has no room for the file anew keeps the one that is there", (context) => {
  withFolder((folder) => {
    const outbox = new Outbox(folder);
    outbox.add(event(1));
    const makeRoom = fillDisk(context);
    assert.throws(() => outbox.compact(), { code: "ENOSPC" });
    makeRoom();
    outbox.add(event(2));
    assert.deepEqual(fseqsOf(new Outbox(folder)), [1, 2]);
    assert.deepEqual(fs.readdirSync(folder).sort(), ["outbox.json", "outbox.jsonl"]);
  });
});
