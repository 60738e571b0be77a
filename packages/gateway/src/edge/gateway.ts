/** The radio edge: takes orders from a server, sends by the law, tells what devices say, and goes on while the server is away. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { BatchAnswer, GatewayOrder, GatewayState } from "@airlift/protocol/api/gateway";
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
import { diskFailureOf } from "./disk-failure.ts";
import { Ears } from "./ears.ts";
import { type FileLock, lockFile } from "./file-lock.ts";
import { GatewayFile, type GatewayRecord } from "./gateway-file.ts";
import { LedgerFile } from "./ledger-file.ts";
import { LinkWatch } from "./link-watch.ts";
import { OrderFeed } from "./order-feed.ts";
import { type NewReport, Outbox } from "./outbox.ts";
import { RecentFrames } from "./recent-frames.ts";
import { Reporter } from "./reporter.ts";
import { ServerClient } from "./server-client.ts";
import { SessionDesk } from "./session-desk.ts";
import { TroubleLog } from "./trouble-log.ts";
import { UnopenedEvents } from "./unopened-events.ts";
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
  readonly #unopened: UnopenedEvents;
  readonly #file: GatewayFile;
  readonly #watch: LinkWatch;
  readonly #troubles: TroubleLog;

  /**
   * Opens all that is on disk; nothing is sent before `start`.
   *
   * @throws {EnvironmentError} `LOCKED` when another gateway uses the folder; node:fs throws its own. The links are closed then, too.
   */
  static open(options: GatewayOptions): Gateway {
    const { dataDir, links } = options;
    let lock: FileLock | undefined;
    try {
      mkdirSync(join(dataDir, "sessions"), { recursive: true });
      lock = lockFile(join(dataDir, "gateway.lock"));
      return new Gateway(options, lock);
    } catch (error) {
      // An open link keeps a process from ending.
      for (const link of links) void link.close();
      lock?.release();
      throw error;
    }
  }

  private constructor(options: GatewayOptions, lock: FileLock) {
    this.#options = options;
    this.#lock = lock;
    const { dataDir, links, networkKey, band, log } = options;
    this.#troubles = new TroubleLog({
      id: options.id,
      serverUrl: options.serverUrl,
      dataDir,
      band: band.name,
      log,
      refused: (error) => options.onRefused?.(error),
    });
    this.#watch = new LinkWatch({ links, log, changed: () => this.#reporter.nudge() });
    this.#ears = new Ears({
      links,
      networkKey,
      log,
      heard: (frame) => this.#hear(frame),
      foreign: () => this.#reporter.nudge(),
    });
    this.#file = new GatewayFile(join(dataDir, "gateway.json"));
    const path = join(dataDir, `ledger-${encodeURIComponent(band.name)}.json`);
    this.#ledger = new LedgerFile({ path, limit: band.limit, wasUsed: this.#file.wasThere });
    if (this.#ledger.doubtMs(0) > 0) log.warn({ path }, "the duty ledger was lost: its whole budget counts as used");
    // From here on a ledger that is missing was lost.
    this.#ledger.save();
    this.#file.save({});
    this.#clock = new WallClock(this.#file.record.lastUtcMs);
    this.#startedAtMs = this.#clock.utcMs();
    this.#outbox = new Outbox(dataDir);
    this.#unopened = new UnopenedEvents(this.#outbox.oldest(Number.POSITIVE_INFINITY));
    this.#server = new ServerClient({
      url: options.serverUrl,
      gatewayId: options.id,
      ...(options.token !== undefined && { token: options.token }),
    });
    this.#feed = new OrderFeed({
      server: this.#server,
      log,
      lastOrder: () => this.#file.record.lastOrder,
      take: (order) => this.#take(order),
    });
    const air = new Air({ links, networkKey, crypto: zmeshCrypto });
    this.#queue = new CommandQueue({
      air,
      ledger: this.#ledger,
      clock: this.#clock,
      // Whose broadcast is on says what belongs to it at any time: neighbours' broadcasts are not on.
      turn: () => (this.#sessions.hasAir(this.#clock.utcMs()) ? undefined : this.#file.record.turn),
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
      unopened: (since) => this.#unopened.since(since),
      lastReport: () => this.#outbox.lastNumber,
      ...(options.answerPatienceMs !== undefined && { answerPatienceMs: options.answerPatienceMs }),
    });
    this.#reporter = new Reporter({
      outbox: this.#outbox,
      server: this.#server,
      state: () => this.state(),
      answered: (...answer) => this.#answered(...answer),
      failed: (error) => this.#troubles.failed(error),
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

  /** Silent when it settles; what was under way goes on with the next start. The errors are those of node:fs: it is silent all the same. */
  async close(): Promise<void> {
    this.#feed.close();
    this.#watch.close();
    this.#sessions.close();
    this.#queue.close();
    this.#reporter.close();
    this.#server.close();
    this.#outbox.close();
    try {
      this.#ledger.save();
      this.#store({});
    } finally {
      // Also without a disk: an open link keeps a process from ending.
      await Promise.all(this.#options.links.map((link) => link.close()));
      this.#lock.release();
    }
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
      lastOrder: this.#file.record.lastOrder,
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
    try {
      if (frame.kind === "event") this.#hearEvent(frame);
      else if (frame.kind === "interest") this.#hearInterest(frame);
    } catch (error) {
      if (diskFailureOf(error, this.#options.dataDir) === undefined) throw error;
      // Devices say it again.
      this.#troubles.kept(String(error));
    }
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
    this.#unopened.add(number, name);
  }

  #hearInterest(frame: Frame): void {
    const seqs = this.#ears.refusals.guard(() => decodeInterest(frame));
    if (seqs) this.#sessions.interest(frame, seqs);
  }

  // What goes to the server and comes from it

  #report(report: NewReport): number {
    const number = this.#outbox.add(report);
    this.#troubles.kept(this.#outbox.problem);
    this.#options.onReport?.(report);
    this.#reporter.nudge();
    return number;
  }

  #answered(answer: BatchAnswer, roundTripMs: number): void {
    this.#troubles.answered(answer.band);
    if (!isDeepStrictEqual(answer.turn, this.#file.record.turn)) this.#store({ turn: answer.turn });
    this.#clock.set(answer.utcMs, roundTripMs);
    this.#sessions.answers(
      answer.events.map(({ number, content, deficit }) => {
        return { device: this.#unopened.deviceOf(number), content, deficit };
      }),
    );
    this.#unopened.opened(answer.takenNumber);
    if ((this.#file.record.lastUtcMs ?? 0) + 60_000 < this.#clock.utcMs()) this.#store({});
  }

  async #take({ number, order }: GatewayOrder): Promise<void> {
    if (number <= this.#file.record.lastOrder) return;
    let [code, detail]: [string | null, string | null] = [null, null];
    try {
      await this.#sessions.take(order, this.#options.band);
    } catch (error) {
      if (!(error instanceof AirliftError)) {
        this.#troubles.kept(String(error));
        throw error;
      }
      [code, detail] = [error.code, error.message];
    }
    // The order is on disk now: it will not be needed again.
    this.#store({ lastOrder: number });
    const outcome = code === null ? "taken" : "refused";
    this.#options.log[code === null ? "info" : "warn"]({ number, kind: order.kind, outcome, code, detail }, "order");
    this.#report({ kind: "order", atMs: this.#clock.utcMs(), order: number, outcome, code, detail });
  }

  #store(change: Partial<GatewayRecord>): void {
    this.#file.save({ ...change, ...(this.#clock.isTrusted && { lastUtcMs: this.#clock.utcMs() }) });
  }
}

/** The key that all members of a network share, from 32 hex digits. */
export const networkKeyOf = (hex: string): Uint8Array | undefined => {
  const key = fromHex(hex.trim());
  return key?.length === 16 ? key : undefined;
};
