import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { BatchAnswer, GatewayState } from "@airlift/protocol/api/gateway";
import { PeerError } from "@airlift/protocol/lib/errors";
import { Outbox } from "./outbox.ts";
import { GATHER_MS, Reporter } from "./reporter.ts";

interface Refused {
  readonly fseq: number;
  readonly reason: string;
}

/** A server that refuses each batch for which `refuses` has a status. */
async function play(
  eventCount: number,
  refuses: (fseqs: readonly number[]) => number | undefined,
  isOver: (outbox: Outbox, batchCount: number) => boolean,
) {
  const folder = mkdtempSync(join(tmpdir(), "airlift-reporter-"));
  const outbox = new Outbox(folder);
  const taken: number[] = [];
  const refused: Refused[] = [];
  let batchCount = 0;
  const report = async (batch: string): Promise<BatchAnswer> => {
    const { reports } = JSON.parse(batch) as { reports: { number: number; fseq: number }[] };
    const fseqs = reports.map(({ fseq }) => fseq);
    batchCount += 1;
    const status = refuses(fseqs);
    if (status !== undefined) throw new PeerError("SERVER_REFUSED", `it answers ${status}`, { status });
    taken.push(...fseqs);
    return { takenNumber: reports.at(-1)?.number ?? 0, utcMs: 0, events: [] };
  };
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  const look = () => {
    if (isOver(outbox, batchCount)) end();
  };
  const reporter = new Reporter({
    outbox,
    server: { report },
    state: () => ({}) as GatewayState,
    answered: look,
    failed: look,
    setAside: (json, reason) => void refused.push({ fseq: JSON.parse(json).fseq, reason }),
  });
  try {
    for (let fseq = 0; fseq < eventCount; fseq += 1)
      outbox.add({ kind: "event", atMs: 1, name: "fe0102030405", fseq, payload: "00" });
    reporter.start();
    await over;
    return { taken, refused, waitingCount: outbox.waitingCount, aside: outbox.aside };
  } finally {
    reporter.close();
    outbox.close();
    rmSync(folder, { recursive: true });
  }
}

test("reports that the server refuses are found and set aside with the reason; all others get there, in order", async () => {
  const poison = [0, 7, 8, 499, 700];
  const { taken, refused, aside } = await play(
    701,
    (fseqs) => (fseqs.some((fseq) => poison.includes(fseq)) ? 400 : undefined),
    ({ waitingCount }) => waitingCount === 0,
  );
  assert.deepEqual(
    taken,
    Array.from({ length: 701 }, (_, fseq) => fseq).filter((fseq) => !poison.includes(fseq)),
  );
  assert.deepEqual(
    refused,
    poison.map((fseq) => ({ fseq, reason: "it answers 400" })),
  );
  assert.deepEqual(aside, { count: 5, reason: "it answers 400" });
});

test("a batch that is too long for the server goes in halves", async () => {
  const { taken, refused } = await play(
    40,
    (fseqs) => (fseqs.length > 6 ? 413 : undefined),
    ({ waitingCount }) => waitingCount === 0,
  );
  assert.deepEqual([taken.length, refused.length], [40, 0]);
});

test("a server that refuses whatever comes refuses no report: none is set aside", async () => {
  const { refused, waitingCount } = await play(
    3,
    () => 400,
    (_, batchCount) => batchCount >= 4,
  );
  assert.deepEqual([refused.length, waitingCount], [0, 3]);
});

test("a token that is not taken says nothing about a report", async () => {
  for (const status of [401, 403, 404, 409, 429]) {
    const { refused, waitingCount } = await play(
      1,
      () => status,
      (_, batchCount) => batchCount >= 1,
    );
    assert.deepEqual([refused.length, waitingCount], [0, 1], `${status}`);
  }
});

/** A reporter in virtual time; what it has told, and a way to answer it. */
async function inVirtualTime(
  { mock }: TestContext,
  play: (at: {
    told: string[];
    tell: (version: string) => void;
    answer: () => Promise<void>;
    tick: (ms: number) => void;
  }) => Promise<void>,
) {
  mock.timers.enable({ apis: ["setTimeout"] });
  const folder = mkdtempSync(join(tmpdir(), "airlift-reporter-"));
  const outbox = new Outbox(folder);
  const told: string[] = [];
  const answers: ((answer: BatchAnswer) => void)[] = [];
  let version = "link up";
  const reporter = new Reporter({
    outbox,
    server: {
      report: (batch) => {
        told.push(JSON.parse(batch).state.version);
        return new Promise((resolve) => answers.push(resolve));
      },
    },
    state: () => ({ version }) as GatewayState,
    answered: () => undefined,
    failed: () => assert.fail(),
    setAside: () => assert.fail(),
  });
  const tell = (next: string) => {
    version = next;
    reporter.nudge();
  };
  const answer = async () => {
    answers.shift()?.({ takenNumber: 0, utcMs: 0, events: [] });
    await new Promise((resolve) => setImmediate(resolve));
  };
  try {
    reporter.start();
    mock.timers.tick(0);
    await play({ told, tell, answer, tick: (ms) => mock.timers.tick(ms) });
  } finally {
    reporter.close();
    outbox.close();
    rmSync(folder, { recursive: true });
  }
}

test("news that come while a batch is on its way are told behind it, and not with the next heartbeat", async (context) => {
  await inVirtualTime(context, async ({ told, tell, answer, tick }) => {
    tell("link down");
    await answer();
    tick(GATHER_MS);
    assert.deepEqual(told, ["link up", "link down"]);
    await answer();
    tick(GATHER_MS);
    assert.equal(told.length, 2, "what was told is no news");
  });
});

test("news that come without a pause are told all the same", async (context) => {
  await inVirtualTime(context, async ({ told, tell, answer, tick }) => {
    await answer();
    for (let ms = 0; ms < GATHER_MS; ms += 5) {
      tell(`heard for ${ms} ms`);
      tick(5);
    }
    assert.deepEqual(told, ["link up", "heard for 25 ms"]);
  });
});
