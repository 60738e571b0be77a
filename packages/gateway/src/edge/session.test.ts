import assert from "node:assert/strict";
import { test } from "node:test";
import type { SessionOutcome, SessionProgress, TransmitOrder } from "@airlift/protocol/api/gateway";
import type { TransmitterRecord } from "@airlift/protocol/zmesh/transmitter-types";
import { Session, type SessionOptions } from "./session.ts";
import { newSession } from "./session-file.ts";
import { WallClock } from "./wall-clock.ts";

const TALLY = { controlCount: 2, dataCount: 4, repairCount: 1, pollCount: 2, answerCount: 0, airtimeMs: 70 };
const FINISHED: TransmitterRecord = {
  state: "finished",
  runs: [],
  lastRepair: 1,
  endCount: 5,
  pollCount: 2,
  quietCount: 2,
  tally: TALLY,
};

test("a part whose end is on disk, and not that the part is over, is over after the power cut", {
  timeout: 60_000,
}, async (t) => {
  const utcMs = Date.now();
  const content = { name: "fe0102030405", payloadBytes: 100, dataCount: 4 };
  const part = { content, updateAtMs: 0, gapMs: 1, commands: [], usesRepair: true };
  const order = {
    kind: "transmit",
    sessionId: "s",
    parts: [part],
    rateBps: 50_000,
    ttl: 0,
    loss: 0.1,
    deviceCount: 1,
    airtimeBudgetMs: null,
    windows: [{ fromMs: 0, untilMs: utcMs + 3_600_000 }],
    pollChannel: { firstFseq: 1 },
  } as unknown as TransmitOrder;
  const { promise, resolve } = Promise.withResolvers<[SessionOutcome, unknown]>();
  const options = {
    air: { isUp: true },
    shelf: { broadcastOf: () => ({ ...content, payloadAt: () => new Uint8Array(100) }) },
    clock: new WallClock(utcMs - 1, utcMs),
    save: () => {},
    told: () => {},
    ended: (progress: SessionProgress, outcome: SessionOutcome) => resolve([outcome, progress.tallies]),
  } as unknown as SessionOptions;
  const session = new Session(order, { ...newSession(order), isAnnounced: true, transmitter: FINISHED }, options);
  t.after(() => session.close());
  session.ready();
  assert.deepEqual(await promise, ["finished", [TALLY]]);
  assert.ok(session.isOver);
});
