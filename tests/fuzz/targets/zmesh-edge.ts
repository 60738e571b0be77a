/** Fuzz targets: what a gateway, a modem and an operator bring. Labels and region files are refused with UsageError, API bodies by their schemas. */
import { isDeepStrictEqual } from "node:util";
import { encodeKiss, KissDecoder } from "@airlift/gateway/links/kiss";
import { BatchAnswer, GatewayOrder, ReportBatch } from "@airlift/protocol/api/gateway";
import { NewGateway, NewMeshDevice } from "@airlift/protocol/api/mesh";
import { decodeUtf8, encodeUtf8, equalBytes } from "@airlift/protocol/lib/bytes";
import { PeerError, UsageError } from "@airlift/protocol/lib/errors";
import { decodeCommand, encodeCommand } from "@airlift/protocol/zmesh/command";
import { decodeOnboarding, encodeOnboarding } from "@airlift/protocol/zmesh/onboarding";
import { decodeRegion } from "@airlift/protocol/zmesh/region-file";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { z } from "zod";
import type { FuzzTarget } from "../target.ts";

const name = Uint8Array.of(0xfe, 1, 2, 3, 4, 5);
const channel = { name, key: new Uint8Array(16).fill(0xab), iv: new Uint8Array(9) };

export const zmeshJoin: FuzzTarget = {
  name: "zmesh-join",
  corpus: [0, 1, 2 ** 24 - 1].map((lastFseq) => encodeCommand({ kind: "join", join: { ...channel, lastFseq } })),
  run(bytes) {
    try {
      if (!equalBytes(encodeCommand(decodeCommand(bytes)), bytes)) throw new Error("is written back otherwise");
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
    }
  },
};

/** A refusal repeats nothing of the label: it holds a key. */
export const zmeshLabel: FuzzTarget = {
  name: "zmesh-label",
  corpus: [
    encodeOnboarding({ deviceId: "dev-1", channel }),
    `ZMESH:1:dev-1:${"ab".repeat(16)}:${"00".repeat(9)}`,
    ` zmesh:1:A.b_c~d:${"AB".repeat(16)}:${"0f".repeat(9)}:FE0102030405\n`,
  ].map((text) => encodeUtf8(text)),
  run(bytes) {
    const text = decodeUtf8(bytes) ?? "";
    try {
      const label = decodeOnboarding(text, zmeshCrypto);
      const again = decodeOnboarding(encodeOnboarding(label), zmeshCrypto);
      if (!isDeepStrictEqual(label, again)) throw new Error("is written back otherwise");
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const [, , , key = ""] = text.split(":");
      if (key.length >= 8 && `${error.message} ${JSON.stringify(error.facts)}`.includes(key))
        throw new Error("tells the key", { cause: error });
    }
  },
};

export const zmeshRegion: FuzzTarget = {
  name: "zmesh-region",
  corpus: [
    '{"source":"EN 300 220","subBands":[{"name":"868.0-868.6","fromKhz":868000,"toKhz":868600,"powerMw":25,"windowMs":3600000,"budgetMs":36000}]}',
    '{"source":"x","subBands":[{"name":"a","fromKhz":1,"toKhz":2,"powerMw":1,"windowMs":1000,"budgetMs":10,"offMs":5,"scope":"channel","channelCount":50}]}',
  ].map((text) => encodeUtf8(text)),
  run(bytes) {
    try {
      for (const { limit } of decodeRegion(decodeUtf8(bytes) ?? ""))
        if (!(limit.budgetMs <= limit.windowMs)) throw new Error("allows more than all of the time");
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
    }
  },
};

const hex = (octet: string, count: number): string => octet.repeat(count);
const command = { name: "fe0102030405", fseq: 3, payload: "00ff", repeats: 3, spacingMs: 200 };
const content = {
  name: "010203040506",
  encType: "ctr",
  repairScheme: 2,
  payloadBytes: 48,
  dataCount: 67,
  sha256: hex("0a", 32),
};
const window = { fromMs: 1, untilMs: 2 };
const progress = {
  sessionId: "s",
  state: "polling",
  part: 1,
  tallies: [{ controlCount: 1, dataCount: 2, repairCount: 3, pollCount: 4, answerCount: 5, airtimeMs: 6.5 }],
  airtimeMs: 7,
  deficits: [9, 1],
  nextAtMs: null,
};
const orders = [
  {
    kind: "transmit",
    sessionId: "s",
    band: "868.0-868.6",
    pollChannel: { name: "fe0102030405", key: hex("0b", 16), iv: hex("0c", 9), firstFseq: 1, lastFseq: 9 },
    parts: [{ content, updateAtMs: 5, gapMs: 20, commands: [command] }],
    deviceCount: 3,
    loss: 0.05,
    windows: [window],
    answersUntilMs: 9,
  },
  { kind: "cancel", sessionId: "s", commands: [command] },
  { kind: "command", commandId: "c", band: "868.0-868.6", commands: [command], window },
  { kind: "hold", sessionId: "h", band: "868.0-868.6", contents: [content], answersUntilMs: 9 },
];
const state = {
  version: "0",
  runId: "r",
  startedAtMs: 0,
  utcMs: 1,
  isClockTrusted: true,
  lastOrder: 0,
  links: [{ link: "udp://239.1.2.3:5700", isUp: true, sentCount: 0, heardCount: 0, refusedCount: 0, healedCount: 0 }],
  ledgers: [{ band: "868.0-868.6", windowMs: 3_600_000, budgetMs: 32_400, usedMs: 1, doubtMs: 0 }],
  sessions: [progress],
  waitingCount: 0,
  droppedCount: 0,
  rssBytes: 1,
};
const reports = [
  { number: 1, atMs: 1, kind: "event", name: "fe0102030405", fseq: 1, payload: "00" },
  { number: 2, atMs: 1, kind: "order", order: 1, outcome: "refused", code: "BAND", detail: null },
  { number: 3, atMs: 1, kind: "progress", progress },
  { number: 4, atMs: 1, kind: "end", progress, outcome: "finished", detail: null },
  { number: 5, atMs: 1, kind: "command", commandId: "c", sentCount: 1, droppedCount: 0 },
  { number: 6, atMs: 1, kind: "of tomorrow", more: [1] },
];
const answer = { takenNumber: 5, utcMs: 1, events: [{ number: 1, content: "010203040506", deficit: 3 }] };

/** A schema throws at nothing, and what it takes it takes again, unchanged. */
function body(what: string, schema: z.ZodType, corpus: readonly unknown[]): FuzzTarget {
  return {
    name: `gateway-${what}`,
    corpus: corpus.map((value) => encodeUtf8(JSON.stringify(value))),
    run(bytes) {
      const value = parse(decodeUtf8(bytes) ?? "");
      const taken = schema.safeParse(value);
      if (!taken.success) return;
      const again = schema.safeParse(JSON.parse(JSON.stringify(taken.data)));
      if (!isDeepStrictEqual(again.data, JSON.parse(JSON.stringify(taken.data)))) throw new Error("is read otherwise");
    },
  };
}

export const gatewayBodies: FuzzTarget[] = [
  body(
    "order",
    GatewayOrder,
    orders.map((order, i) => ({ number: i + 1, order })),
  ),
  body("reports", ReportBatch, [{ state, reports }, ...reports.map((report) => ({ state, reports: [report] }))]),
  body("answer", BatchAnswer, [answer]),
  body("new", NewGateway, [{ id: "gw-1", cells: ["hall"], band: "868.0-868.6", rateBps: 50_000, loss: 0.05 }]),
  body("mesh-device", NewMeshDevice, [{ payload: "ZMESH:1:a", manufacturer: "ACME", model: "TH", cell: "hall" }]),
];

/** A modem's stream: however it is cut, the same frames come out, and a frame that was put in comes out. */
export const kiss: FuzzTarget = {
  name: "kiss",
  corpus: [
    encodeKiss(Uint8Array.of(1, 2, 3)),
    encodeKiss(Uint8Array.of(0xc0, 0xdb, 0xdc, 0xdd)),
    Uint8Array.of(0xc0, 0x06, 9, 0xc0, 0xc0, 0, 0xdb, 0xdd, 0xdb, 1, 0xc0, 0x10, 5, 0xc0),
  ],
  run(bytes) {
    const whole = new KissDecoder().push(bytes);
    const slow = new KissDecoder();
    const single = [...bytes].flatMap((octet) => slow.push(Uint8Array.of(octet)));
    if (!isDeepStrictEqual(whole, single)) throw new Error("depends on how the stream is cut");
    if (bytes.length === 0) return;
    const found = new KissDecoder(bytes.length).push(encodeKiss(bytes));
    if (!isDeepStrictEqual(found, [Uint8Array.from(bytes)])) throw new Error("does not come out again");
  },
};

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
