/** A modem that stalls and then takes all that waits for it: what it puts on air is judged by the checker that shares nothing with the ledger. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { encodeKiss } from "@airlift/gateway/links/kiss";
import { openKissLink, openTcp } from "@airlift/gateway/links/kiss-link";
import type { RadioLink } from "@airlift/gateway/links/radio-link";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import { DutyLedger } from "@airlift/protocol/zmesh/duty-ledger";
import { subBandNamed } from "@airlift/protocol/zmesh/regions";
import { countViolations, type OnAir } from "@airlift/sim/mesh/sliding-window";

const NEVER_SLOW = { timeout: 120_000 };
const NEVER_MS = 2 ** 31 - 1;
const HOUR_MS = 3_600_000;
const limit = subBandNamed("868.0-868.6")?.limit ?? assert.fail();
/** A sixth of a second on air: two hundred of them are an hour's budget. */
const FRAME = new Uint8Array(1_000).fill(0x55);
const FRAME_MS = airtimeMs(FRAME.length - 15);

/** A modem's transmitter, in virtual time: sends one frame after the other as they come. */
class Transmitter {
  nowMs = 0;
  readonly sent: OnAir[] = [];

  play(): void {
    const last = this.sent.at(-1);
    const startMs = Math.max(this.nowMs, last === undefined ? 0 : last.startMs + last.airtimeMs);
    this.sent.push({ startMs, airtimeMs: FRAME_MS });
  }
}

interface Modem {
  readonly transmitter: Transmitter;
  readonly link: RadioLink;
  stall(): void;
  resume(): void;
}

/** Two hours of full budgets: the modem stalls early in the first, and takes what waits for it in the midst of the second. */
async function playTwoHours({ transmitter, link, stall, resume }: Modem): Promise<void> {
  const ledger = new DutyLedger(limit);
  let [sendCount, isStalled] = [0, false];
  const isSettled = () => {
    const { sentCount, lostCount = 0 } = link.counts;
    return sentCount + lostCount === sendCount && transmitter.sent.length === sentCount;
  };
  const settle = async () => {
    while (!isStalled && !isSettled()) await new Promise(setImmediate);
  };
  for (let [hour, inHour] = [0, 0]; hour < 2; ) {
    const atMs = ledger.earliestMs(FRAME_MS, transmitter.nowMs);
    if (atMs > transmitter.nowMs + HOUR_MS / 2) [hour, inHour] = [hour + 1, 0];
    if (hour === 2) break;
    transmitter.nowMs = atMs;
    ledger.book(atMs, FRAME_MS);
    link.send(FRAME, FRAME_MS);
    sendCount += 1;
    await settle();
    transmitter.nowMs += FRAME_MS;
    inHour += 1;
    if (hour === 0 && inHour === 40) {
      stall();
      isStalled = true;
    } else if (hour === 1 && inHour === 40) {
      resume();
      isStalled = false;
      await settle();
    }
  }
  const { lostCount = 0 } = link.counts;
  assert.ok(lostCount > 150, `${lostCount} frames were dropped`);
  assert.ok(transmitter.sent.length > 150, `${transmitter.sent.length} frames went on air`);
  assert.equal(countViolations(transmitter.sent, limit), 0);
}

/** The number and the octets of a frame that is to be confirmed. */
function ackedDataOf(bytes: Buffer): Buffer {
  const text = bytes.toString("latin1").replaceAll("\xc0", "");
  return Buffer.from(text.replaceAll("\xdb\xdc", "\xc0").replaceAll("\xdb\xdd", "\xdb").slice(1), "latin1");
}

test("a modem at TCP that confirms what it sends never has more than it may send late", NEVER_SLOW, async () => {
  const transmitter = new Transmitter();
  let modem: Socket | undefined;
  const server = createServer((socket) => {
    modem = socket.on("error", () => undefined);
    let rest = "";
    socket.on("data", (bytes: Buffer) => {
      const frames = `${rest}${bytes.toString("latin1")}`.split("\xc0");
      rest = frames.pop() ?? "";
      for (const frame of frames) {
        if (frame === "") continue;
        const [high = 0, low = 0] = ackedDataOf(Buffer.from(frame, "latin1"));
        transmitter.play();
        socket.write(encodeKiss(new Uint8Array(0), (high << 8) | low));
      }
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const open = () => openTcp("127.0.0.1", port);
  const link = await openKissLink({ uri: "modem", open, confirms: true, nowMs: () => transmitter.nowMs });
  try {
    await playTwoHours({
      transmitter,
      link,
      stall: () => void modem?.pause(),
      resume: () => void modem?.resume(),
    });
  } finally {
    await link.close();
    modem?.destroy();
    server.close();
  }
});

test("a modem that confirms nothing is given no frame whose slot is over", NEVER_SLOW, async () => {
  const transmitter = new Transmitter();
  let isStalled = false;
  let take: (() => void) | undefined;
  const stream = new Duplex({
    read: () => undefined,
    write: (_bytes, _encoding, done) => {
      take = () => {
        take = undefined;
        transmitter.play();
        done();
      };
      if (!isStalled) take();
    },
  });
  const link = await openKissLink({
    uri: "modem",
    open: async () => stream,
    stallMs: NEVER_MS,
    nowMs: () => transmitter.nowMs,
  });
  try {
    await playTwoHours({
      transmitter,
      link,
      stall: () => {
        isStalled = true;
      },
      resume: () => {
        isStalled = false;
        take?.();
      },
    });
  } finally {
    await link.close();
  }
});

test("a modem that takes nothing is hung up on, and what waited for it is forgotten", NEVER_SLOW, async () => {
  const taken: number[] = [];
  let isStalled = true;
  const open = async () =>
    new Duplex({
      read: () => undefined,
      write: (bytes: Buffer, _encoding, done) => {
        if (isStalled) return;
        taken.push(bytes[2] ?? 0);
        done();
      },
    });
  const link = await openKissLink({ uri: "modem", open, stallMs: 1, retry: { firstMs: 1, longestMs: 1 } });
  try {
    for (const number of [1, 2, 3]) link.send(new Uint8Array(40).fill(number));
    while (link.counts.healedCount === 0) await new Promise(setImmediate);
    isStalled = false;
    while (!taken.includes(4)) {
      link.send(new Uint8Array(40).fill(4));
      await new Promise(setImmediate);
    }
    assert.deepEqual(new Set(taken), new Set([4]));
  } finally {
    await link.close();
  }
});

test(
  "a confirmation that is lost silences nobody for good; who confirms nothing is given ever less",
  NEVER_SLOW,
  async () => {
    const written: number[] = [];
    const opened: Duplex[] = [];
    let lastId = 0;
    const open = async () => {
      const stream: Duplex = new Duplex({
        read: () => undefined,
        write: (bytes: Buffer, _encoding, done) => {
          const [high = 0, low = 0, number = 0] = ackedDataOf(bytes);
          lastId = (high << 8) | low;
          written.push(number);
          done();
        },
      });
      opened.push(stream);
      return stream;
    };
    const link = await openKissLink({
      uri: "modem",
      open,
      confirms: true,
      stallMs: 1,
      retry: { firstMs: 1, longestMs: 1 },
    });
    const sendUntil = async (isOver: () => boolean, number: number) => {
      while (!isOver()) {
        link.send(new Uint8Array(1_000).fill(number));
        await new Promise(setImmediate);
      }
    };
    try {
      await sendUntil(() => written.includes(1), 1);
      await sendUntil(() => link.counts.healedCount === 4, 2);
      assert.ok(written.length <= 5, `${written.length} frames went to a modem that confirmed none`);
      await sendUntil(() => opened.length === 5 && written.length === 5, 3);
      opened.at(-1)?.push(encodeKiss(new Uint8Array(0), lastId));
      await sendUntil(() => written.length >= 6, 4);
      assert.equal(written.at(-1), 4);
    } finally {
      await link.close();
    }
  },
);
