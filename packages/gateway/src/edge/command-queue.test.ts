import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { SealedCommand } from "@airlift/protocol/api/gateway";
import type { AirCycle } from "@airlift/protocol/zmesh/air-turns";
import { decodeFrame } from "@airlift/protocol/zmesh/frame";
import { zmeshCrypto as crypto } from "@airlift/runtime/zmesh-crypto";
import type { RadioLink } from "../links/radio-link.ts";
import { Air } from "./air.ts";
import { CommandQueue } from "./command-queue.ts";
import { LedgerFile } from "./ledger-file.ts";
import { WallClock } from "./wall-clock.ts";
import { WIRED_BAND } from "./wired-band.ts";

const networkKey = new Uint8Array(16);
const HOUR_MS = 3_600_000;
const NOW_MS = Date.UTC(2026, 0, 1);

const command = (fseq: number): SealedCommand => ({
  name: "fe0102030405",
  fseq,
  payload: "00",
  repeats: 1,
  spacingMs: 0,
});

async function withQueue(
  clock: WallClock,
  play: (queue: CommandQueue, said: readonly number[]) => Promise<void>,
  turn?: () => AirCycle | undefined,
) {
  const folder = mkdtempSync(join(tmpdir(), "airlift-queue-"));
  const said: number[] = [];
  const link: RadioLink = {
    uri: "test",
    counts: { isUp: true, sentCount: 0, heardCount: 0, healedCount: 0, problem: undefined },
    listen: () => undefined,
    send: (frame) => void said.push(decodeFrame(frame, { networkKey, crypto }).fseq),
    close: async () => undefined,
  };
  const ledger = new LedgerFile({ path: join(folder, "ledger.json"), limit: WIRED_BAND.limit, wasUsed: false });
  const air = new Air({ links: [link], networkKey, crypto });
  const queue = new CommandQueue({ air, ledger, clock, ...(turn && { turn }) });
  try {
    await play(queue, said);
  } finally {
    queue.close();
    rmSync(folder, { recursive: true });
  }
}

const batch = (fseq: number, window = { fromMs: NOW_MS - HOUR_MS, untilMs: NOW_MS + HOUR_MS }) => ({
  commands: [command(fseq)],
  rateBps: 500_000,
  ttl: 0,
  window,
});

test("a clock that is set after commands came decides by their windows: it sends what has its time now, and drops what is over", async () => {
  const clock = new WallClock(undefined, NOW_MS - 24 * HOUR_MS);
  await withQueue(clock, async (queue, said) => {
    const timely = queue.send(batch(1));
    const late = queue.send(batch(2, { fromMs: 0, untilMs: NOW_MS - HOUR_MS }));
    clock.set(NOW_MS, 0);
    assert.deepEqual([(await timely).sentCount, (await late).droppedCount, said], [1, 1, [1]]);
  });
});

test("commands of a channel go out in the order of their numbers, however they came", async () => {
  await withQueue(new WallClock(NOW_MS, NOW_MS), async (queue, said) => {
    await Promise.all([3, 1, 2].map((fseq) => queue.send(batch(fseq))));
    assert.deepEqual(said, [1, 2, 3]);
  });
});

test("commands wait for the gateway's turn among its neighbours, whatever the law allows", async () => {
  const clock = new WallClock(NOW_MS, NOW_MS);
  let turn: AirCycle | undefined = { periodMs: 100 * HOUR_MS, fromMs: 0, lengthMs: 1 };
  // Half a period from now.
  turn = { ...turn, fromMs: (clock.utcMs() + 50 * HOUR_MS) % turn.periodMs };
  await withQueue(
    clock,
    async (queue, said) => {
      const early = queue.send(batch(1));
      // Whoever has no neighbour has said all of it meanwhile.
      await withQueue(clock, async (free) => void (await free.send(batch(1))));
      assert.deepEqual(said, []);
      turn = undefined;
      await Promise.all([early, queue.send(batch(2))]);
      assert.deepEqual(said, [1, 2]);
    },
    () => turn,
  );
});

test("a command that would not end in the gateway's turn waits for the next one", async () => {
  const clock = new WallClock(NOW_MS, NOW_MS);
  const beganMs = clock.utcMs() - HOUR_MS / 2;
  let turn: AirCycle | undefined = { periodMs: beganMs, fromMs: 0, lengthMs: HOUR_MS };
  await withQueue(
    clock,
    async (queue, said) => {
      // A quarter of an hour on air ends in it, three quarters do not: of these a half is reckoned with.
      const octetsMs = 8_000 * (6 + 15 + 1);
      const long = queue.send({ ...batch(1), rateBps: octetsMs / (HOUR_MS * 0.75) });
      await withQueue(
        clock,
        async (other) => void (await other.send({ ...batch(1), rateBps: octetsMs / (HOUR_MS * 0.25) })),
        () => turn,
      );
      assert.deepEqual(said, []);
      turn = undefined;
      void queue.send(batch(2));
      await long;
      assert.deepEqual(said, [1]);
    },
    () => turn,
  );
});

test("a batch whose time is over is dropped and told, and what is behind it in its channel goes on", async () => {
  const clock = new WallClock(NOW_MS, NOW_MS);
  await withQueue(clock, async (queue, said) => {
    const stop = new AbortController();
    const dropped = queue.send({ ...batch(1), signal: stop.signal });
    stop.abort();
    const [first, second] = await Promise.all([dropped, queue.send(batch(2))]);
    assert.deepEqual([first.droppedCount, second.sentCount, said], [1, 1, [2]]);
  });
});
