/**
 * One broadcast with the real cores in virtual time: a transmitter that may be killed, receivers that lose packets and power,
 * relays, and a store that answers when the broadcast is over.
 */
import type { Random } from "@airlift/protocol/lib/core";
import { Deadlines } from "@airlift/protocol/lib/deadlines";
import { type AirTurn, turnAtMs } from "@airlift/protocol/zmesh/air-turns";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import type { ExpectedContent } from "@airlift/protocol/zmesh/content-proof";
import type { ZmeshCrypto } from "@airlift/protocol/zmesh/crypto-port";
import { DutyLedger, type LedgerRecord } from "@airlift/protocol/zmesh/duty-ledger";
import { decodeInterest } from "@airlift/protocol/zmesh/interest";
import type { PackedContent } from "@airlift/protocol/zmesh/packed-content";
import type { ReceiverInput, ReceiverOutput } from "@airlift/protocol/zmesh/receiver-types";
import type { AirtimeLimit } from "@airlift/protocol/zmesh/regions";
import { Transmitter } from "@airlift/protocol/zmesh/transmitter";
import type {
  Tally,
  TransmitterInput,
  TransmitterOutput,
  TransmitterRecord,
} from "@airlift/protocol/zmesh/transmitter-types";
import { seeded } from "../world.ts";
import { AnswerAir } from "./answer-air.ts";
import { ReceiverNode, type ReceiverPlan } from "./receiver-node.ts";
import { type Packet, RelayChain } from "./relay-chain.ts";
import type { OnAir } from "./sliding-window.ts";

export interface MeshWorldOptions {
  readonly content: PackedContent;
  readonly image: Uint8Array;
  readonly crypto: ZmeshCrypto;
  readonly random: Random;
  readonly limit: AirtimeLimit;
  readonly gapMs: number;
  /** Outside of these the sender is silent; after the last one the broadcast is over. Default: always. */
  readonly windows?: readonly AirTurn[];
  /** What the sender takes for the loss. */
  readonly loss: number;
  readonly receivers: readonly ReceiverPlan[];
  readonly expected?: ExpectedContent;
  /** The sender dies at these moments and is back after `offMs`. */
  readonly kills?: readonly { readonly atMs: number; readonly offMs: number }[];
  readonly cancelAtMs?: number;
  readonly usesRepair?: boolean;
  /** Octets of scratch flash of each device. */
  readonly scratchBytes?: number;
  /** Changes a payload on its way to one device. */
  forge?(frame: { readonly seq: number; readonly payload: Uint8Array; readonly device: string }): Uint8Array;
}

/** Unix time at which the world's clock shows 0. */
export const WORLD_UTC_MS = 1_800_000_000_000;
/** When the broadcast begins. */
export const UPDATE_AT_MS = 10_000;
const HOP_MS = 15;

type Event = () => void;

interface StoredState {
  readonly record: TransmitterRecord;
  readonly ledger: LedgerRecord;
}

export class MeshWorld {
  readonly nodes: readonly ReceiverNode[];
  /** All that the transmitter and the store had on air. */
  readonly onAir: OnAir[] = [];
  readonly sentSeqs: number[] = [];
  tally: Tally | undefined;
  outcome: "finished" | "cancelled" | undefined;
  /** Devices whose slot held something else than the image when they installed. */
  readonly wrongImages: string[] = [];
  readonly #options: MeshWorldOptions;
  readonly #events = new Deadlines<Event>();
  readonly #wakes = new Deadlines<ReceiverNode>();
  #nowMs = 0;
  #ledger: DutyLedger;
  #transmitter: Transmitter | undefined;
  #stored: StoredState | undefined;
  readonly #wanted = new Map<number, number>();
  readonly #relays: RelayChain;
  readonly #answers = new AnswerAir();

  constructor(options: MeshWorldOptions) {
    this.#options = options;
    this.#ledger = new DutyLedger(options.limit);
    const imageBytes = options.content.dataCount * options.content.chunkBytes;
    this.nodes = options.receivers.map(
      (plan, i) =>
        new ReceiverNode({
          id: `device-${i}`,
          plan,
          crypto: options.crypto,
          random: seeded(Math.floor(options.random() * 2 ** 32)),
          imageBytes,
          scratchBytes: options.scratchBytes ?? 64 * 2048,
          expected: options.expected,
        }),
    );
    this.#relays = new RelayChain(options.content.name, {
      crypto: options.crypto,
      relayCount: Math.max(0, ...options.receivers.map(({ hopCount = 0 }) => hopCount)),
    });
    for (const node of this.nodes) this.#plan(node);
    this.#startTransmitter(undefined);
    for (const kill of options.kills ?? []) this.#at(kill.atMs, () => this.#kill(kill.offMs));
    if (options.cancelAtMs !== undefined) this.#at(options.cancelAtMs, () => this.#cancel());
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Lets time pass until `untilMs`, or until nothing more happens. @returns Whether something still would. */
  run(untilMs: number): boolean {
    for (;;) {
      const transmitterAtMs = this.#turnAtMs(this.#transmitter?.wakeAtMs ?? Number.POSITIVE_INFINITY);
      const eventAtMs = this.#events.earliestMs ?? Number.POSITIVE_INFINITY;
      const nodeAtMs = this.#wakes.earliestMs ?? Number.POSITIVE_INFINITY;
      const atMs = Math.min(transmitterAtMs, eventAtMs, nodeAtMs);
      if (!Number.isFinite(atMs)) return false;
      if (atMs > untilMs) return true;
      this.#nowMs = Math.max(this.#nowMs, atMs);
      if (eventAtMs <= atMs) this.#events.popDue(this.#nowMs)?.();
      else if (transmitterAtMs <= atMs) this.#feedTransmitter({ kind: "wake" });
      else this.#wakeNode();
    }
  }

  // Receivers

  #plan(node: ReceiverNode): void {
    const { joinsAtMs = 0, clockJumps = [] } = node.plan;
    this.#at(joinsAtMs, () => {
      this.#perform(node, node.boot(this.#nowMs, this.#utcMs));
      const schedule = this.#options.content.scheduleAt(WORLD_UTC_MS + UPDATE_AT_MS);
      this.#feed(node, { kind: "schedule", schedule, utcMs: this.#utcMs });
    });
    for (const jump of clockJumps)
      this.#at(jump.atMs, () => this.#feed(node, { kind: "clock", utcMs: this.#utcMs + jump.byMs }));
  }

  get #utcMs(): number {
    return WORLD_UTC_MS + this.#nowMs;
  }

  #wakeNode(): void {
    const node = this.#wakes.popDue(this.#nowMs);
    if (node === undefined) return;
    if (node.core === undefined) this.#perform(node, node.boot(this.#nowMs, this.#utcMs));
    else this.#feed(node, { kind: "wake" });
  }

  #feed(node: ReceiverNode, input: ReceiverInput): void {
    this.#perform(node, node.feed(input, this.#nowMs));
  }

  #perform(node: ReceiverNode, outputs: readonly ReceiverOutput[]): void {
    for (const output of outputs) {
      if (output.kind === "install") this.#install(node);
      else if (output.kind === "interest") this.#takeInterest(node, decodeInterest(output.interest));
      else if (output.kind === "status" && output.status.deficit > 0) this.#answer(node, output.status.deficit);
    }
    // A clock that runs fast wakes a hair too early, and again.
    const { wakeAtMs } = node;
    if (wakeAtMs === undefined) this.#wakes.delete(node);
    else this.#wakes.set(node, Math.max(wakeAtMs, this.#nowMs + 0.01));
  }

  #install(node: ReceiverNode): void {
    const { image } = this.#options;
    node.completeAtMs ??= this.#nowMs;
    if (!image.every((octet, i) => octet === node.slot.bytes[i])) this.wrongImages.push(node.id);
    this.#at(this.#nowMs + 1, () => this.#feed(node, { kind: "installed", outcome: "confirmed" }));
  }

  #answer(node: ReceiverNode, deficit: number): void {
    const answer = this.#answers.begin(this.#nowMs, node.channel());
    this.#at(answer.endMs, () => {
      if (!answer.isLost) this.#feedTransmitter({ kind: "answer", device: node.id, deficit });
    });
  }

  // The network

  #startTransmitter(stored: StoredState | undefined): void {
    const { content, gapMs, loss, limit, usesRepair } = this.#options;
    this.#ledger = new DutyLedger(limit);
    if (stored) this.#ledger.restore(stored.ledger, this.#nowMs);
    this.#transmitter = new Transmitter(
      {
        content,
        gapMs,
        loss,
        ledger: this.#ledger,
        startAtMs: UPDATE_AT_MS,
        deviceCount: this.nodes.length,
        ...(usesRepair !== undefined && { usesRepair }),
      },
      stored?.record,
      this.#nowMs,
    );
  }

  #kill(offMs: number): void {
    if (this.outcome !== undefined) return;
    this.#transmitter = undefined;
    this.#at(this.#nowMs + offMs, () => this.#startTransmitter(this.#stored));
  }

  #cancel(): void {
    this.#feedTransmitter({ kind: "cancel" });
    const { name } = this.#options.content;
    for (const node of this.nodes)
      if (!node.channel())
        this.#feed(node, { kind: "cancel", cancel: { name, updateAtMs: WORLD_UTC_MS + UPDATE_AT_MS } });
  }

  #feedTransmitter(input: TransmitterInput): void {
    const outputs = this.#transmitter?.step(input, this.#nowMs) ?? [];
    for (const output of outputs) this.#performTransmitter(output);
  }

  #performTransmitter(output: TransmitterOutput): void {
    switch (output.kind) {
      case "save":
        this.#stored = output;
        break;
      case "content":
        this.#broadcast(output.seq, output.payload);
        break;
      case "poll": {
        const { poll } = output;
        this.#onAir(22);
        this.#at(this.#nowMs + airtimeMs(22), () => {
          for (const node of this.nodes) if (!node.channel()) this.#feed(node, { kind: "poll", poll });
        });
        break;
      }
      case "ended":
        this.tally = output.tally;
        this.outcome = output.outcome;
        break;
    }
  }

  #onAir(payloadBytes: number): number {
    const airtime = airtimeMs(payloadBytes);
    this.onAir.push({ startMs: this.#nowMs, airtimeMs: airtime });
    return this.#nowMs + airtime;
  }

  #broadcast(seq: number, payload: Uint8Array): void {
    this.sentSeqs.push(seq);
    const endMs = this.#onAir(payload.length);
    this.#at(endMs, () => this.#deliver({ seq, payload }, 0));
  }

  /** To all devices behind so many relays, and to the next relay. */
  #deliver(packet: Packet, hopCount: number): void {
    const { seq, payload } = packet;
    for (const node of this.nodes) {
      if ((node.plan.hopCount ?? 0) !== hopCount || node.channel()) continue;
      const heard = this.#options.forge?.({ seq, payload, device: node.id }) ?? payload;
      this.#feed(node, { kind: "content", seq, payload: heard });
    }
    if (hopCount >= this.#relays.relayCount || this.#options.random() < this.#options.loss) return;
    const relayed = this.#relays.pass(packet, hopCount, this.#nowMs);
    if (relayed) this.#at(this.#nowMs + HOP_MS, () => this.#deliver(relayed, hopCount + 1));
  }

  /** While the transmitter invites requests it answers them; before, it has other things to send; after, the store does. */
  #takeInterest(node: ReceiverNode, seqs: readonly number[]): void {
    if (node.channel()) return;
    // A request in a neighbour's turn is passed over: the device asks again.
    const isItsTurn = this.#turnAtMs(this.#nowMs) <= this.#nowMs;
    if (this.outcome === undefined && isItsTurn) this.#feedTransmitter({ kind: "interest", seqs });
    else if (this.outcome === "finished") for (const seq of seqs) this.#want(seq);
  }

  #want(seq: number): void {
    if (this.#wanted.has(seq)) return;
    const { content } = this.#options;
    const payload = content.payloadAt(seq);
    const atMs = this.#lawfulMs(airtimeMs(payload.length));
    if (atMs === Number.POSITIVE_INFINITY) return;
    this.#ledger.book(atMs, airtimeMs(payload.length));
    this.#wanted.set(seq, atMs);
    this.#at(atMs, () => {
      this.#wanted.delete(seq);
      this.#broadcast(seq, payload);
    });
  }

  #turnAtMs(atMs: number): number {
    const { windows } = this.#options;
    return windows ? turnAtMs(windows, atMs) : atMs;
  }

  /** When the law and the turns both allow a packet; infinity = not any more. */
  #lawfulMs(airtime: number): number {
    let atMs = this.#nowMs;
    for (;;) {
      const turnMs = this.#turnAtMs(atMs);
      if (turnMs === Number.POSITIVE_INFINITY) return turnMs;
      atMs = this.#ledger.earliestMs(airtime, turnMs);
      if (atMs === turnMs) return atMs;
    }
  }

  #at(atMs: number, event: Event): void {
    // A function of its own for each event: it is its key.
    this.#events.set(() => event(), atMs);
  }
}
