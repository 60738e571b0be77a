/**
 * What a radio gateway and the server say to each other. The gateway always calls:
 *
 *     GET  /api/v1/gateways/{id}/orders            SSE: `event: order`, `id:` the order's number, `data:` a `GatewayOrder`
 *     GET  /api/v1/gateways/{id}/contents/{name}   the octets of a content, application/octet-stream, Range and a strong ETag
 *     POST /api/v1/gateways/{id}/reports           a `ReportBatch`, answered by `BatchAnswer`
 *
 * Orders are numbered 1, 2, … for each gateway and may come more than once; a gateway carries out each number once, and asks
 * with `Last-Event-ID` for those after the last it has stored. A gateway that asks without it gets all that are not over.
 *
 * The gateway has no device's key and no content's key: contents come as ciphertext, commands come sealed, and what devices
 * say goes up sealed. It has the network key, and the group channel in which it polls.
 */
import { z } from "zod";
import { LONGEST_WINDOW_MS } from "../zmesh/regions.ts";

/** So many octets as lower-case hex. */
const octets = (count: number) => z.string().regex(new RegExp(`^[0-9a-f]{${2 * count}}$`), `${count} octets as hex`);
/** Octets of a payload on air as lower-case hex. */
const payload = z.string().regex(/^([0-9a-f]{2}){0,1024}$/);
/** Unix milliseconds, UTC. */
const utcMs = z
  .int()
  .min(0)
  .max(2 ** 48 - 1);
const fseq = z
  .int()
  .min(0)
  .max(2 ** 24 - 1);
const id = z.string().regex(/^[A-Za-z0-9._~-]{1,64}$/);
/** Milliseconds, also between two of them. */
const durationMs = z
  .number()
  .min(0)
  .max(2 ** 48 - 1);

/** A gateway's name: 1 … 64 of `A-Z a-z 0-9 . _ ~ -`, and none that a URL cannot hold (RFC 3986 §5.2.4). */
export const GatewayId = z
  .string()
  .regex(
    /^(?!\.\.?$)[A-Za-z0-9._~-]{1,64}$/,
    "a gateway's name has 1 … 64 letters, digits or . _ ~ -, and is not . or ..",
  );

/** A command that the server sealed: the gateway puts frame and MAC around it. */
export const SealedCommand = z.object({
  /** Of the device's or group's channel. */
  name: octets(6),
  fseq,
  payload,
  /** The same frame so often, `spacingMs` apart: a device takes it once. */
  repeats: z.int().min(1).max(16).default(1),
  spacingMs: durationMs.default(200),
});
export type SealedCommand = z.infer<typeof SealedCommand>;

/**
 * A content as ciphertext. `GET …/contents/{name}` answers the payloads of SEQ 0, 1 … K, K + 1 one after the other, as they
 * travel: Begin (12 octets, 20 with `ccm`), K × `payloadBytes`, End (40 octets, 48 with `ccm`). Parity is made by the gateway.
 */
export const GatewayContent = z.object({
  name: octets(6),
  encType: z.enum(["none", "ctr", "ccm"]),
  /** 1 = the matrix of TS004, 2 = hashed rows. */
  repairScheme: z.union([z.literal(1), z.literal(2)]),
  /** Octets of a Data payload as it travels. */
  payloadBytes: z.int().min(8).max(1024),
  /** K. */
  dataCount: z
    .int()
    .min(1)
    .max(2 ** 24 - 3),
  /** SHA-256 of the whole answer of `…/contents/{name}`. */
  sha256: octets(32),
});
export type GatewayContent = z.infer<typeof GatewayContent>;

/** The channel of a group as a gateway needs it to poll: every member of the group has the same. */
export const PollChannel = z.object({
  name: octets(6),
  key: octets(16),
  iv: octets(9),
  /** Numbers kept for this session's polls: no other frame of the channel ever has one of them. */
  firstFseq: fseq,
  lastFseq: fseq,
});
export type PollChannel = z.infer<typeof PollChannel>;

/** A span in which the gateway may send for a session. Neighbours' spans do not overlap. */
export const AirWindow = z.object({ fromMs: utcMs, untilMs: utcMs });
export type AirWindow = z.infer<typeof AirWindow>;

/** A span that comes again in every period since the beginning of Unix time. */
export const AirCycle = z
  .object({ periodMs: z.int().positive(), fromMs: z.int().min(0), lengthMs: z.int().positive() })
  .refine(({ periodMs, fromMs, lengthMs }) => fromMs + lengthMs <= periodMs, "the span lies within the period");
export type AirCycle = z.infer<typeof AirCycle>;

/** One content of a session: it begins at `updateAtMs`, or when the one before it is done if that is later. */
export const BroadcastPart = z.object({
  content: GatewayContent,
  updateAtMs: utcMs,
  /** Announced: milliseconds between the beginnings of two packets, at the least. */
  gapMs: durationMs,
  /** Schedules to groups and devices. Those of all parts go out when the session's first window opens, in this order. */
  commands: z.array(SealedCommand).max(1024).default([]),
  /** `false`: the devices have no decoder. */
  usesRepair: z.boolean().default(true),
});
export type BroadcastPart = z.infer<typeof BroadcastPart>;

/** Sends contents to all devices in reach until none is incomplete. */
export const TransmitOrder = z.object({
  kind: z.literal("transmit"),
  sessionId: id,
  /** Name of the sub-band; a gateway that does not send there refuses. */
  band: z.string().min(1).max(64),
  rateBps: z.int().positive().default(50_000),
  /** Hops that frames may travel, 0 … 7. */
  ttl: z.int().min(0).max(7).default(0),
  pollChannel: PollChannel,
  /** In order: the manifest first, then the image. */
  parts: z.array(BroadcastPart).min(1).max(4),
  /** Devices that are meant; from it come the slots of a poll. */
  deviceCount: z.int().min(1).max(1_000_000),
  /** Share of packets that a device is taken to lose. */
  loss: z.number().min(0).max(0.9),
  /** In order and apart. Outside of them the gateway is silent for this session; after the last one it is over. */
  windows: z.array(AirWindow).min(1).max(256),
  /** Airtime that the session may take in all; the law's limit holds besides. Null = no other limit. */
  airtimeBudgetMs: durationMs.nullable().default(null),
  maxPolls: z.int().min(1).max(64).default(16),
  slotMs: z.int().min(1).max(65_535).default(20),
  /** After the broadcast, requests for packets are answered until then. */
  answersUntilMs: utcMs,
});
export type TransmitOrder = z.infer<typeof TransmitOrder>;

/** Ends a session: nothing of it goes on air any more, but for the commands given here. */
export const CancelOrder = z.object({
  kind: z.literal("cancel"),
  sessionId: id,
  rateBps: z.int().positive().default(50_000),
  ttl: z.int().min(0).max(7).default(0),
  commands: z.array(SealedCommand).max(1024).default([]),
  /** Until when its commands may wait for the law, which the broadcast has used up to its limit. */
  untilMs: utcMs.default(2 ** 48 - 1),
});
export type CancelOrder = z.infer<typeof CancelOrder>;

/** Sends commands: Apply, schedules to single devices, a group's channel to a member. */
export const CommandOrder = z.object({
  kind: z.literal("command"),
  commandId: id,
  band: z.string().min(1).max(64),
  rateBps: z.int().positive().default(50_000),
  ttl: z.int().min(0).max(7).default(0),
  commands: z.array(SealedCommand).min(1).max(1024),
  /** Not before and not after; what has not been sent by then is dropped and reported. */
  window: AirWindow,
});
export type CommandOrder = z.infer<typeof CommandOrder>;

/** Keeps a content at hand for devices that ask for it, without a broadcast. */
export const HoldOrder = z.object({
  kind: z.literal("hold"),
  sessionId: id,
  band: z.string().min(1).max(64),
  rateBps: z.int().positive().default(50_000),
  ttl: z.int().min(0).max(7).default(0),
  contents: z.array(GatewayContent).min(1).max(4),
  answersUntilMs: utcMs,
});
export type HoldOrder = z.infer<typeof HoldOrder>;

/** One thing the server wants of a gateway. */
export const GatewayOrder = z.object({
  /** Rises by 1; also the SSE event's id. */
  number: z.int().min(1),
  order: z.discriminatedUnion("kind", [TransmitOrder, CancelOrder, CommandOrder, HoldOrder]),
});
export type GatewayOrder = z.infer<typeof GatewayOrder>;

/**
 * `fetching`: the contents are on their way to the gateway. `waiting`: for its time. `paused`: outside of its windows, or the gateway
 * does not trust its clock. `ended` comes as a report of its own.
 */
export const SESSION_STATES = [
  "fetching",
  "waiting",
  "streaming",
  "repairing",
  "polling",
  "pulling",
  "ending",
  "paused",
  "ended",
] as const;
export type SessionState = (typeof SESSION_STATES)[number];

/**
 * `finished`: nobody is incomplete, as far as anybody said. `cancelled`. `expired`: the last window was over before. `spent`: so was
 * the session's airtime. `failed`: the content could not be had; `detail` says why.
 */
export const SESSION_OUTCOMES = ["finished", "cancelled", "expired", "spent", "failed"] as const;
export type SessionOutcome = (typeof SESSION_OUTCOMES)[number];

/** What was sent of one part. */
export const PartTally = z.object({
  controlCount: z.int().min(0),
  dataCount: z.int().min(0),
  repairCount: z.int().min(0),
  pollCount: z.int().min(0),
  /** Answers to polls that were believed. */
  answerCount: z.int().min(0),
  airtimeMs: durationMs,
});
export type PartTally = z.infer<typeof PartTally>;

/** Where a session stands now. */
export const SessionProgress = z.object({
  sessionId: id,
  state: z.enum(SESSION_STATES),
  /** Place of the present content in `parts`. */
  part: z.int().min(0),
  /** For each part that has begun. */
  tallies: z.array(PartTally),
  /** Of the session in all, commands included. */
  airtimeMs: durationMs,
  /** Deficits in answer to the last poll, largest first, at most 64. */
  deficits: z.array(z.int().min(1)).max(64),
  /** When it can send next, UTC; null when nothing is to be sent. */
  nextAtMs: utcMs.nullable(),
});
export type SessionProgress = z.infer<typeof SessionProgress>;

/** The sliding window of one sub-band. */
export const LedgerState = z.object({
  band: z.string(),
  windowMs: z.number().min(1).max(LONGEST_WINDOW_MS),
  /** Airtime that is allowed in each window, the reserve taken off. */
  budgetMs: durationMs,
  usedMs: durationMs,
  /** What was used cannot be proven, so all of it counts as used: how long this still matters; 0 = it does not. */
  doubtMs: durationMs,
});
export type LedgerState = z.infer<typeof LedgerState>;

/** One way to the radio. */
export const LinkState = z.object({
  /** As configured: "udp://239.1.2.3:5700". */
  link: z.string(),
  isUp: z.boolean(),
  sentCount: z.int().min(0),
  heardCount: z.int().min(0),
  /** What was heard and was no frame of this network. */
  refusedCount: z.int().min(0),
  /** Of those, frames whose MAC is not the network key's. */
  foreignCount: z.int().min(0).optional(),
  /** They are so many that the network key may be wrong. */
  isMostlyForeign: z.boolean().optional(),
  /** Frames that the modem did not take in time. */
  lostCount: z.int().min(0).optional(),
  /** Times it was lost and found again. */
  healedCount: z.int().min(0),
});
export type LinkState = z.infer<typeof LinkState>;

/** What is true of the gateway now; each batch carries it, and so is a heartbeat. */
export const GatewayState = z.object({
  version: z.string(),
  /** Drawn at each start of the program. */
  runId: id,
  startedAtMs: utcMs,
  /** By the gateway's clock. */
  utcMs,
  /** Whether the time of day is known well enough to keep windows. */
  isClockTrusted: z.boolean(),
  /** Number of the last order that was stored. */
  lastOrder: z.int().min(0),
  links: z.array(LinkState),
  ledgers: z.array(LedgerState),
  sessions: z.array(SessionProgress),
  /** Reports that wait to be sent; those that had to be dropped since the start for want of room. */
  waitingCount: z.int().min(0),
  droppedCount: z.int().min(0),
  /** Reports that the server refused and the gateway keeps for somebody to look at: how many ever, and why the latest was. */
  setAside: z.object({ count: z.int().min(1), reason: z.string().max(1000) }).optional(),
  rssBytes: z.int().min(0),
});
export type GatewayState = z.infer<typeof GatewayState>;

const reportHead = {
  /** Rises in each gateway for good, with gaps: what came with a number up to the last one taken is a repetition. */
  number: z.int().min(1),
  /** When it happened, by the gateway's clock. */
  atMs: utcMs,
};

/** A device's event as it came over the air: its MAC was the network's, its seal was not looked at. */
export const EventReport = z.object({
  ...reportHead,
  kind: z.literal("event"),
  name: octets(6),
  fseq,
  payload,
});
export type EventReport = z.infer<typeof EventReport>;

/** What became of an order. */
export const OrderReport = z.object({
  ...reportHead,
  kind: z.literal("order"),
  order: z.int().min(1),
  outcome: z.enum(["taken", "refused"]),
  /** Code of the refusal. */
  code: z.string().nullable(),
  detail: z.string().nullable(),
});
export type OrderReport = z.infer<typeof OrderReport>;

/** A session went over to another state, or a part of it is done. */
export const ProgressReport = z.object({ ...reportHead, kind: z.literal("progress"), progress: SessionProgress });
export type ProgressReport = z.infer<typeof ProgressReport>;

/** The end of a session on air. */
export const EndReport = z.object({
  ...reportHead,
  kind: z.literal("end"),
  progress: SessionProgress,
  outcome: z.enum(SESSION_OUTCOMES),
  detail: z.string().nullable(),
});
export type EndReport = z.infer<typeof EndReport>;

/** What became of a command order. */
export const CommandReport = z.object({
  ...reportHead,
  kind: z.literal("command"),
  commandId: id,
  sentCount: z.int().min(0),
  droppedCount: z.int().min(0),
});
export type CommandReport = z.infer<typeof CommandReport>;

export const GatewayReport = z.discriminatedUnion("kind", [
  EventReport,
  OrderReport,
  ProgressReport,
  EndReport,
  CommandReport,
]);
export type GatewayReport = z.infer<typeof GatewayReport>;

/** A report of a kind that a server does not know: its gateway is newer. Its number is taken, and nothing else of it. */
export const UnknownReport = z.object({ ...reportHead, kind: z.literal("unknown") });
export type UnknownReport = z.infer<typeof UnknownReport>;

const KNOWN_KINDS: readonly unknown[] = GatewayReport.options.map(({ shape }) => shape.kind.value);

function withKnownKind(report: unknown): unknown {
  if (typeof report !== "object" || report === null || !("kind" in report)) return report;
  const isStrange = typeof report.kind === "string" && !KNOWN_KINDS.includes(report.kind);
  return isStrange ? { ...report, kind: "unknown" } : report;
}

/** Reports in one request at the most. */
export const MAX_BATCH_REPORTS = 500;

/** The body of `POST …/reports`. Reports in the order of their numbers; none = a heartbeat. */
export const ReportBatch = z.object({
  state: GatewayState,
  reports: z
    .array(z.preprocess(withKnownKind, z.discriminatedUnion("kind", [...GatewayReport.options, UnknownReport])))
    .max(MAX_BATCH_REPORTS),
});
export type ReportBatch = z.infer<typeof ReportBatch>;

/** What a device's event said, once the server had opened it. */
export const OpenedEvent = z.object({
  /** The report it came in. */
  number: z.int().min(1),
  /** The content it is about. */
  content: octets(6),
  /** Packets that the device still needs. */
  deficit: z.int().min(0).max(65_535),
});
export type OpenedEvent = z.infer<typeof OpenedEvent>;

/**
 * The answer: the reports are stored, durably. A report of a kind that the server does not know is taken too, and ignored: a newer
 * gateway goes on. One of a known kind with what it cannot have refuses its batch (400), and the gateway sets that one aside.
 */
export const BatchAnswer = z.object({
  /** The highest number that is stored; the gateway forgets all up to it. */
  takenNumber: z.int().min(0),
  utcMs,
  /** For each genuine, fresh event of this batch; for repetitions again. The broadcast goes on when these are known. */
  events: z.array(OpenedEvent),
  /** The sub-band that the server plans for at this gateway. */
  band: z.string().optional(),
  /** When this gateway says commands outside of its broadcasts' windows: neighbours' turns do not overlap. Absent = at any time. */
  turn: AirCycle.optional(),
});
export type BatchAnswer = z.infer<typeof BatchAnswer>;
