/** The sessions of a gateway: takes orders for them, fetches what they send, answers for their contents afterwards. */
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type {
  CancelOrder,
  CommandOrder,
  GatewayContent,
  GatewayOrder,
  SessionProgress,
  TransmitOrder,
} from "@airlift/protocol/api/gateway";
import { toHex } from "@airlift/protocol/lib/bytes";
import { PeerError, UsageError } from "@airlift/protocol/lib/errors";
import { type AirTurn, turnAtMs } from "@airlift/protocol/zmesh/air-turns";
import { ContentStore } from "@airlift/protocol/zmesh/content-store";
import type { ZmeshCrypto } from "@airlift/protocol/zmesh/crypto-port";
import type { Frame } from "@airlift/protocol/zmesh/frame";
import type { SubBand } from "@airlift/protocol/zmesh/regions";
import { ReleaseLedger } from "@airlift/protocol/zmesh/release-ledger";
import type { Logger } from "pino";
import type { Air } from "./air.ts";
import { CommandFiles } from "./command-files.ts";
import type { CommandQueue } from "./command-queue.ts";
import { ContentShelf, DEFAULT_MAX_CONTENT_BYTES, fileBytesOf, shapeOf } from "./content-shelf.ts";
import { type HeldContent, InterestDesk } from "./interest-desk.ts";
import type { LedgerFile } from "./ledger-file.ts";
import type { NewReport } from "./outbox.ts";
import type { ServerClient } from "./server-client.ts";
import { Session } from "./session.ts";
import { newSession, SessionFiles, type SessionRecord } from "./session-file.ts";
import type { WallClock } from "./wall-clock.ts";

/** Sessions that are kept at a time, those that only answer among them. */
export const MAX_SESSIONS = 64;
const FETCH_RETRY_MS = 2_000;

export interface SessionDeskOptions {
  readonly air: Air;
  readonly queue: CommandQueue;
  readonly ledger: LedgerFile;
  readonly clock: WallClock;
  readonly crypto: ZmeshCrypto;
  readonly dataDir: string;
  readonly server: ServerClient;
  readonly log: Logger;
  report(report: NewReport): void;
  unopened(since: number): readonly string[];
  lastReport(): number;
  readonly answerPatienceMs?: number;
}

interface Kept {
  readonly record: SessionRecord;
  /** Absent when it only answers. */
  readonly session?: Session;
}

export class SessionDesk {
  readonly #options: SessionDeskOptions;
  readonly #files: SessionFiles;
  readonly #commands: CommandFiles;
  readonly #shelf: ContentShelf;
  readonly #desk: InterestDesk;
  readonly #kept = new Map<string, Kept>();
  readonly #stop = new AbortController();

  constructor(options: SessionDeskOptions) {
    this.#options = options;
    const { dataDir, air, ledger, crypto } = options;
    this.#files = new SessionFiles(join(dataDir, "sessions"));
    this.#commands = new CommandFiles(join(dataDir, "commands"));
    this.#shelf = new ContentShelf(join(dataDir, "contents"));
    const store = new ContentStore({ ledger: new ReleaseLedger(crypto), disk: this.#shelf });
    this.#desk = new InterestDesk({ air, ledger, store, clock: options.clock });
  }

  /** Goes on with what was under way. */
  async resume(): Promise<void> {
    const { records, damaged } = this.#files.load();
    for (const name of damaged) this.#options.log.error({ name }, "a session's file cannot be read");
    for (const record of records) this.#keep(record);
    for (const order of this.#commands.load()) this.#sendOrder(order);
    await this.#forgetOld();
  }

  /** Takes an order; it is on disk when this settles. @throws {UsageError} when it cannot be carried out here. */
  async take(order: GatewayOrder["order"], band: SubBand): Promise<void> {
    switch (order.kind) {
      case "transmit":
      case "hold":
        assertBand(order.band, band);
        await this.#forgetOld();
        this.#begin(order);
        break;
      case "cancel":
        // What stops the devices is on disk before the session is off it: after a power cut in between, the order comes once more.
        this.#sendDurably(farewellOf(order, band));
        this.#cancel(order.sessionId);
        break;
      case "command":
        assertBand(order.band, band);
        this.#sendDurably(order);
        break;
    }
  }

  /** A device asks for packets. */
  interest(frame: Frame, seqs: readonly number[]): void {
    const name = toHex(frame.name);
    for (const { session } of this.#kept.values()) if (session?.contentName === name && session.interest(seqs)) return;
    const held = this.#heldContent(name);
    if (held) this.#desk.take(frame, held).catch((error) => this.#options.log.error(error, "an Interest"));
  }

  answers(answers: readonly { readonly device: string; readonly content: string; readonly deficit: number }[]): void {
    for (const { session } of this.#kept.values()) {
      if (!session || session.contentName === undefined) continue;
      session.answers(answers.filter(({ content }) => content === session.contentName));
    }
  }

  /** Whether the air is this gateway's now: a broadcast of its is within its windows. */
  hasAir(utcMs: number): boolean {
    for (const { session } of this.#kept.values())
      if (session && !session.isOver && turnAtMs(session.order.windows, utcMs) === utcMs) return true;
    return false;
  }

  progress(): SessionProgress[] {
    return [...this.#kept.values()].flatMap(({ session }) => (session && !session.isOver ? [session.progress()] : []));
  }

  close(): void {
    this.#stop.abort();
    this.#desk.close();
    for (const { session } of this.#kept.values()) session?.close();
  }

  #begin(order: SessionRecord["order"]): void {
    const known = this.#kept.get(order.sessionId);
    // A power cut came between the session and the note that its order was taken.
    if (known && isDeepStrictEqual(known.record.order, order)) return;
    if (known)
      throw new UsageError("SESSION_KNOWN", "a session of this name is here already", { sessionId: order.sessionId });
    if (this.#kept.size >= MAX_SESSIONS) throw new UsageError("SESSIONS_FULL", "no room for another session");
    for (const content of contentsOf(order))
      if (fileBytesOf(content) > DEFAULT_MAX_CONTENT_BYTES)
        throw new UsageError("CONTENT_SIZE", "the content is too large for this gateway", { name: content.name });
    const record = newSession(order);
    this.#files.save(record);
    this.#keep(record);
  }

  #keep(record: SessionRecord): void {
    const { order } = record;
    const session = order.kind === "transmit" ? this.#session(order, record) : undefined;
    this.#kept.set(order.sessionId, { record, ...(session && { session }) });
    void this.#fetch(order, session);
  }

  #session(order: TransmitOrder, record: SessionRecord): Session {
    const { air, queue, ledger, clock, crypto, report, unopened, lastReport, answerPatienceMs } = this.#options;
    return new Session(order, record, {
      air,
      queue,
      ledger,
      clock,
      crypto,
      shelf: this.#shelf,
      save: (changed) => this.#files.save(changed),
      told: (progress) => report({ kind: "progress", atMs: clock.utcMs(), progress }),
      ended: (progress, outcome, detail) => {
        this.#options.log.info({ sessionId: order.sessionId, outcome, airtimeMs: progress.airtimeMs }, "session ended");
        report({ kind: "end", atMs: clock.utcMs(), progress, outcome, detail });
      },
      unopened,
      lastReport,
      ...(answerPatienceMs !== undefined && { answerPatienceMs }),
    });
  }

  /** Gets the contents from disk or server, as often as it takes. */
  async #fetch(order: SessionRecord["order"], session: Session | undefined): Promise<void> {
    const { server, log, clock } = this.#options;
    const { signal } = this.#stop;
    for (const content of contentsOf(order)) {
      while (!(await this.#shelf.load(content))) {
        if (signal.aborted || session?.isOver === true) return;
        if (clock.isTrusted && order.answersUntilMs <= clock.utcMs()) {
          session?.fail("its contents could not be fetched in time");
          return;
        }
        try {
          await this.#shelf.put(content, await server.content(content.name, fileBytesOf(content), signal));
        } catch (error) {
          log.warn({ name: content.name, reason: String(error) }, "a content could not be fetched");
          if (error instanceof PeerError && error.code !== "SERVER_REFUSED") {
            session?.fail(error.message);
            return;
          }
          await new Promise((resolve) => setTimeout(resolve, FETCH_RETRY_MS).unref());
        }
      }
    }
    if (!signal.aborted) session?.ready();
  }

  #cancel(sessionId: string): void {
    const kept = this.#kept.get(sessionId);
    if (!kept) return;
    kept.session?.cancel();
    for (const { name } of contentsOf(kept.record.order)) this.#desk.forget(name);
    this.#kept.delete(sessionId);
    this.#files.remove(sessionId);
  }

  #sendDurably(order: CommandOrder): void {
    if (order.commands.length === 0 || this.#commands.has(order.commandId)) return;
    this.#commands.save(order);
    this.#sendOrder(order);
  }

  #sendOrder({ commandId, commands, rateBps, ttl, window }: CommandOrder): void {
    const { queue, report, clock } = this.#options;
    void queue.send({ commands, rateBps, ttl, window }).then(({ sentCount, droppedCount }) => {
      report({ kind: "command", atMs: clock.utcMs(), commandId, sentCount, droppedCount });
      // The report is durable: nobody needs the order any more.
      this.#commands.remove(commandId);
    });
  }

  /** A content that is not being broadcast and that somebody has ordered to be at hand. */
  #heldContent(name: string): HeldContent | undefined {
    const utcMs = this.#options.clock.utcMs();
    for (const { record, session } of this.#kept.values()) {
      const { order } = record;
      if (order.answersUntilMs <= utcMs || (session && !session.isOver)) continue;
      const content = contentsOf(order).find((one) => one.name === name);
      if (content && this.#shelf.has(content))
        return { shape: shapeOf(content), rateBps: order.rateBps, ttl: order.ttl, windows: windowsOf(order) };
    }
    return undefined;
  }

  /** Removes what is over and answers no more. */
  async #forgetOld(): Promise<void> {
    const { clock } = this.#options;
    for (const [sessionId, { record, session }] of this.#kept) {
      if (!clock.isTrusted || record.order.answersUntilMs > clock.utcMs() || (session && !session.isOver)) continue;
      this.#kept.delete(sessionId);
      this.#files.remove(sessionId);
    }
    await this.#shelf.keepOnly(
      new Set([...this.#kept.values()].flatMap(({ record }) => contentsOf(record.order).map(({ name }) => name))),
    );
  }
}

/** The last words of a session, as an order to send them. */
const farewellOf = ({ sessionId, commands, rateBps, ttl, untilMs }: CancelOrder, { name }: SubBand): CommandOrder => ({
  kind: "command",
  commandId: sessionId,
  band: name,
  rateBps,
  ttl,
  commands,
  window: { fromMs: 0, untilMs },
});

/** A content that is held without a broadcast is in nobody's way at any time. */
const windowsOf = (order: SessionRecord["order"]): readonly AirTurn[] =>
  order.kind === "transmit" ? order.windows : [{ fromMs: 0, untilMs: order.answersUntilMs }];

const contentsOf = (order: SessionRecord["order"]): readonly GatewayContent[] =>
  order.kind === "transmit" ? order.parts.map(({ content }) => content) : order.contents;

function assertBand(wanted: string, band: SubBand): void {
  if (wanted !== band.name)
    throw new UsageError("BAND", `this gateway sends in ${band.name}`, { wanted, band: band.name });
}
