/** The radio edge: takes orders from a server, sends by the law, tells what devices say, and goes on while the server is away. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import {
  AirCycle,
  type BatchAnswer,
  type EventReport,
  type GatewayOrder,
  type GatewayState,
} from "@airlift/protocol/api/gateway";
import { fromHex, toHex } from "@airlift/protocol/lib/bytes";
import { AirliftError, type UsageError } from "@airlift/protocol/lib/errors";
import type { Frame } from "@airlift/protocol/zmesh/frame";
import { decodeInterest } from "@airlift/protocol/zmesh/interest";
import type { SubBand } from "@airlift/protocol/zmesh/regions";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { Logger } from "pino";
import type { RadioLink } from "../links/radio-link.ts";
import { Air } from "./air.ts";
import { CommandQueue } from "./command-queue.ts";
import { readJson, replaceFile } from "./durable-file.ts";
import { Ears } from "./ears.ts";
import { type FileLock, lockFile } from "./file-lock.ts";
import { LedgerFile } from "./ledger-file.ts";
import { LinkWatch } from "./link-watch.ts";
import { OrderFeed } from "./order-feed.ts";
import { DEFAULT_MAX_WAITING, type NewReport, Outbox } from "./outbox.ts";
import { RecentFrames } from "./recent-frames.ts";
import { Reporter } from "./reporter.ts";
import { ServerClient } from "./server-client.ts";
import { refusalOf } from "./server-refusal.ts";
import { SessionDesk } from "./session-desk.ts";
import { WallClock } from "./wall-clock.ts";

export interface GatewayOptions {
  readonly id: string;
  readonly serverUrl: string;
  readonly token?: string;
  /** Opened; the gateway closes them. */
  readonly links: readonly RadioLink[];
  /** Its own folder: ledger, sessions, contents, what waits for the server. */
  readonly dataDir: string;
  readonly networkKey: Uint8Array;
  readonly band: SubBand;
  readonly version: string;
  readonly log: Logger;
  readonly answerPatienceMs?: number;
  /** For programs that look at it; called with what is reported. */
  readonly onReport?: (report: NewReport) => void;
  /** Called once when the server says no before it ever said yes: what is wrong, for a person to mend. */
  readonly onRefused?: (error: UsageError) => void;
}

interface Stored {
  readonly lastOrder: number;
  readonly lastUtcMs?: number;
  /** Its turn among its neighbours, as the server last said; it holds while the server is away. */
  readonly turn?: AirCycle | undefined;
}

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #lock: FileLock;
  readonly #ledger: LedgerFile;
  readonly #clock: WallClock;
  readonly #outbox: Outbox;
  readonly #server: ServerClient;
  readonly #queue: CommandQueue;
  readonly #sessions: SessionDesk;
  readonly #reporter: Reporter;
  readonly #ears: Ears;
  readonly #recent = new RecentFrames();
  readonly #feed: OrderFeed;
  readonly #runId = toHex(zmeshCrypto.randomBytes(8));
  readonly #startedAtMs: number;
  /** Events that the server has not opened yet: number and device. */
  readonly #unopened = new Map<number, string>();
  #stored: Stored;
  #isServerLost = false;
  #isDiskLost = false;
  /** The server has answered in this run. */
  #wasAnswered = false;
  #isBandTold = false;
  readonly #watch: LinkWatch;

  /**
   * Opens all that is on disk; nothing is sent before `start`.
   *
   * @throws {EnvironmentError} `LOCKED` when another gateway uses the folder; node:fs throws its own.
   */
  constructor(options: GatewayOptions) {
    this.#options = options;
    const { dataDir, links, networkKey, band, log } = options;
    this.#watch = new LinkWatch({ links, log, changed: () => this.#reporter.nudge() });
    this.#ears = new Ears({
      links,
      networkKey,
      log,
      heard: (frame) => this.#hear(frame),
      foreign: () => this.#reporter.nudge(),
    });
    mkdirSync(join(dataDir, "sessions"), { recursive: true });
    try {
      this.#lock = lockFile(join(dataDir, "gateway.lock"));
    } catch (error) {
      // The links are ours from here on, and an open one keeps a process from ending.
      for (const link of links) void link.close();
      throw error;
    }
    const known = readJson(this.#storedPath);
    this.#stored = storedOf(known);
    const path = join(dataDir, `ledger-${encodeURIComponent(band.name)}.json`);
    this.#ledger = new LedgerFile({ path, limit: band.limit, wasUsed: known !== undefined });
    if (this.#ledger.doubtMs(0) > 0) log.warn({ path }, "the duty ledger was lost: its whole budget counts as used");
    // From here on a ledger that is missing was lost.
    this.#ledger.save();
    this.#store({});
    this.#clock = new WallClock(this.#stored.lastUtcMs);
    this.#startedAtMs = this.#clock.utcMs();
    this.#outbox = new Outbox(dataDir);
    for (const { number, json } of this.#outbox.oldest(Number.POSITIVE_INFINITY)) {
      const { kind, name } = JSON.parse(json) as Partial<EventReport>;
      if (kind === "event" && name !== undefined) this.#unopened.set(number, name);
    }
    this.#server = new ServerClient({
      url: options.serverUrl,
      gatewayId: options.id,
      ...(options.token !== undefined && { token: options.token }),
    });
    this.#feed = new OrderFeed({
      server: this.#server,
      log,
      lastOrder: () => this.#stored.lastOrder,
      take: (order) => this.#take(order),
    });
    const air = new Air({ links, networkKey, crypto: zmeshCrypto });
    this.#queue = new CommandQueue({
      air,
      ledger: this.#ledger,
      clock: this.#clock,
      // Whose broadcast is on says what belongs to it at any time: neighbours' broadcasts are not on.
      turn: () => (this.#sessions.hasAir(this.#clock.utcMs()) ? undefined : this.#stored.turn),
    });
    this.#sessions = new SessionDesk({
      air,
      queue: this.#queue,
      ledger: this.#ledger,
      clock: this.#clock,
      crypto: zmeshCrypto,
      dataDir,
      server: this.#server,
      log,
      report: (report) => this.#report(report),
      unopened: (since) => this.#unopenedSince(since),
      lastReport: () => this.#outbox.lastNumber,
      ...(options.answerPatienceMs !== undefined && { answerPatienceMs: options.answerPatienceMs }),
    });
    this.#reporter = new Reporter({
      outbox: this.#outbox,
      server: this.#server,
      state: () => this.state(),
      answered: (...answer) => this.#answered(...answer),
      failed: (error) => this.#serverLost(error),
      setAside: (report, reason) =>
        log.error({ report, reason }, "the server refuses a report: it is set aside, in outbox-refused.json"),
    });
  }

  /** Takes up what was under way, and the server's orders. */
  async start(): Promise<void> {
    this.#ears.start();
    this.#watch.start();
    await this.#sessions.resume();
    this.#reporter.start();
    this.#feed.start();
  }

  /** Silent when it settles; what was under way goes on with the next start. */
  async close(): Promise<void> {
    this.#feed.close();
    this.#watch.close();
    this.#sessions.close();
    this.#queue.close();
    this.#reporter.close();
    this.#outbox.close();
    this.#ledger.save();
    this.#store({});
    await Promise.all(this.#options.links.map((link) => link.close()));
    this.#lock.release();
  }

  /** What is true now. */
  state(): GatewayState {
    const { version } = this.#options;
    return {
      version,
      runId: this.#runId,
      startedAtMs: this.#startedAtMs,
      utcMs: this.#clock.utcMs(),
      isClockTrusted: this.#clock.isTrusted,
      lastOrder: this.#stored.lastOrder,
      links: this.#ears.states(),
      ledgers: [this.#ledger.state(this.#options.band.name)],
      sessions: this.#sessions.progress(),
      waitingCount: this.#outbox.waitingCount,
      droppedCount: this.#outbox.droppedCount,
      ...(this.#outbox.aside !== undefined && { setAside: this.#outbox.aside }),
      rssBytes: process.memoryUsage.rss(),
    };
  }

  // What is heard

  #hear(frame: Frame): void {
    if (frame.kind === "event") this.#hearEvent(frame);
    else if (frame.kind === "interest") this.#hearInterest(frame);
  }

  #hearEvent(frame: Frame): void {
    // Two links and every relay may bring the same one.
    if (!this.#recent.add(frame)) return;
    const name = toHex(frame.name);
    const number = this.#report({
      kind: "event",
      atMs: this.#clock.utcMs(),
      name,
      fseq: frame.fseq,
      payload: toHex(frame.payload),
    });
    this.#unopened.set(number, name);
    if (this.#unopened.size <= DEFAULT_MAX_WAITING) return;
    // The server is away, and the outbox has no room for it either.
    const [oldest] = this.#unopened.keys();
    if (oldest !== undefined) this.#unopened.delete(oldest);
  }

  #unopenedSince(since: number): string[] {
    const names = new Set<string>();
    for (const [number, name] of this.#unopened) if (number > since) names.add(name);
    return [...names];
  }

  #hearInterest(frame: Frame): void {
    const seqs = this.#ears.refusals.guard(() => decodeInterest(frame));
    if (seqs) this.#sessions.interest(frame, seqs);
  }

  // What goes to the server and comes from it

  #report(report: NewReport): number {
    const number = this.#outbox.add(report);
    this.#checkDisk();
    this.#options.onReport?.(report);
    this.#reporter.nudge();
    return number;
  }

  #answered(answer: BatchAnswer, roundTripMs: number): void {
    if (this.#isServerLost) this.#options.log.info("the server is back");
    this.#isServerLost = false;
    this.#wasAnswered = true;
    this.#checkBand(answer.band);
    if (!isDeepStrictEqual(answer.turn, this.#stored.turn)) this.#store({ turn: answer.turn });
    this.#clock.set(answer.utcMs, roundTripMs);
    this.#sessions.answers(
      answer.events.map(({ number, content, deficit }) => {
        const device = this.#unopened.get(number) ?? "";
        return { device, content, deficit };
      }),
    );
    for (const number of this.#unopened.keys()) if (number <= answer.takenNumber) this.#unopened.delete(number);
    if ((this.#stored.lastUtcMs ?? 0) + 60_000 < this.#clock.utcMs()) this.#store({});
  }

  /** The server plans for a sub-band; one that this gateway does not send in means that it refuses whatever it is told to send. */
  #checkBand(planned: string | undefined): void {
    const { band, id, log } = this.#options;
    if (planned !== undefined && planned !== band.name && !this.#isBandTold)
      log.warn(
        { planned, band: band.name },
        `the server plans for ${id} in another sub-band: it refuses all broadcasts`,
      );
    this.#isBandTold = planned !== undefined && planned !== band.name;
  }

  #serverLost(error: unknown): void {
    const refusal = this.#wasAnswered ? undefined : refusalOf(error, this.#options);
    if (refusal !== undefined) {
      this.#options.onRefused?.(refusal);
      return;
    }
    if (!(error instanceof AirliftError)) {
      this.#tellDisk(String(error));
      return;
    }
    if (!this.#isServerLost)
      this.#options.log.warn({ reason: String(error) }, "the server cannot be reached: going on without it");
    this.#isServerLost = true;
  }

  /** What devices say goes on to the server without a disk. */
  #checkDisk(): void {
    const { problem } = this.#outbox;
    if (problem !== undefined && !this.#isDiskLost) this.#tellDisk(problem);
    this.#isDiskLost = problem !== undefined;
  }

  #tellDisk(reason: string): void {
    const { dataDir, log } = this.#options;
    log.error({ dataDir, reason }, "what has to be kept cannot be: is the disk full?");
  }

  async #take({ number, order }: GatewayOrder): Promise<void> {
    if (number <= this.#stored.lastOrder) return;
    let [code, detail]: [string | null, string | null] = [null, null];
    try {
      await this.#sessions.take(order, this.#options.band);
    } catch (error) {
      if (!(error instanceof AirliftError)) throw error;
      [code, detail] = [error.code, error.message];
    }
    // The order is on disk now: it will not be needed again.
    this.#store({ lastOrder: number });
    const outcome = code === null ? "taken" : "refused";
    this.#options.log[code === null ? "info" : "warn"]({ number, kind: order.kind, outcome, code, detail }, "order");
    this.#report({ kind: "order", atMs: this.#clock.utcMs(), order: number, outcome, code, detail });
  }

  get #storedPath(): string {
    return join(this.#options.dataDir, "gateway.json");
  }

  #store(change: Partial<Stored>): void {
    const clock = this.#clock as WallClock | undefined;
    const lastUtcMs = clock?.isTrusted === true ? clock.utcMs() : this.#stored.lastUtcMs;
    this.#stored = { ...this.#stored, ...change, ...(lastUtcMs !== undefined && { lastUtcMs }) };
    replaceFile(this.#storedPath, JSON.stringify(this.#stored));
  }
}

function storedOf(value: unknown): Stored {
  const { lastOrder, lastUtcMs, turn } = (typeof value === "object" && value !== null ? value : {}) as Record<
    string,
    unknown
  >;
  return {
    lastOrder: typeof lastOrder === "number" ? lastOrder : 0,
    ...(typeof lastUtcMs === "number" && { lastUtcMs }),
    turn: AirCycle.safeParse(turn).data,
  };
}

/** The key that all members of a network share, from 32 hex digits. */
export const networkKeyOf = (hex: string): Uint8Array | undefined => {
  const key = fromHex(hex.trim());
  return key?.length === 16 ? key : undefined;
};
