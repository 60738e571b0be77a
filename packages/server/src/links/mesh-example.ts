/** A scripted device and a scripted gateway, for tests: every octet of theirs goes through the protocol's own codecs. */
import type {
  GatewayOrder,
  GatewayReport,
  GatewayState,
  ReportBatch,
  SealedCommand,
  TransmitOrder,
} from "@airlift/protocol/api/gateway";
import { concat, equalBytes, toHex } from "@airlift/protocol/lib/bytes";
import { PeerError } from "@airlift/protocol/lib/errors";
import { ENC_TYPE } from "@airlift/protocol/zmesh/chunking";
import { type CommandChannel, openCommand, sealStatus } from "@airlift/protocol/zmesh/command-channel";
import { ContentCipher } from "@airlift/protocol/zmesh/content-cipher";
import { decodeEnd } from "@airlift/protocol/zmesh/messages";
import { encodeOnboarding } from "@airlift/protocol/zmesh/onboarding";
import type { Schedule } from "@airlift/protocol/zmesh/schedule";
import {
  BATTERY_UNKNOWN,
  STATE_OF_DETAIL,
  type StatusDetail,
  type StatusEvent,
} from "@airlift/protocol/zmesh/status-event";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";

/** Octets that are different for each number. */
export const octets = (seed: number, count: number): Uint8Array =>
  zmeshCrypto.sha256(Uint8Array.of(seed >> 24, seed >> 16, seed >> 8, seed)).slice(0, count);

export class ExampleMeshDevice {
  readonly deviceId: string;
  readonly channel: CommandChannel;
  group: CommandChannel | undefined;
  /** In the order in which they were taken. */
  readonly schedules: Schedule[] = [];
  appliedName: string | undefined;
  cancelledName: string | undefined;
  version: readonly [number, number, number] = [1, 0, 0];
  readonly #lastFseq = new Map<string, number>();
  #ownFseq = 0;

  constructor(deviceId: string, seed: number) {
    this.deviceId = deviceId;
    const name = concat([Uint8Array.of(0xfe), octets(seed, 5).map((octet) => 1 + (octet % 254))]);
    this.channel = { name, key: octets(seed + 1e6, 16), iv: octets(seed + 2e6, 9) };
  }

  /** The text of its label. */
  get label(): string {
    return encodeOnboarding(this);
  }

  /** Hears a frame; what is not for it, or was heard, is passed over. @returns What it has to say at once. */
  hear({ name, fseq, payload }: SealedCommand): StatusEvent | undefined {
    const channel = [this.channel, this.group].find((one) => one !== undefined && toHex(one.name) === name);
    if (channel === undefined || fseq <= (this.#lastFseq.get(name) ?? -1)) return undefined;
    let command: ReturnType<typeof openCommand>;
    try {
      command = openCommand({ ...channel, crypto: zmeshCrypto }, fseq, Buffer.from(payload, "hex"));
    } catch (error) {
      if (error instanceof PeerError) return undefined;
      throw error;
    }
    this.#lastFseq.set(name, fseq);
    if (command.kind === "join") {
      this.group = command.join;
      this.#lastFseq.set(toHex(command.join.name), command.join.lastFseq);
      return this.#status(command.join.name, "none");
    }
    if (command.kind === "schedule") this.schedules.push(command.schedule);
    if (command.kind === "apply") this.appliedName = toHex(command.apply.name);
    if (command.kind === "cancel") this.cancelledName = toHex(command.cancel.name);
    return undefined;
  }

  /** The image in a content's octets, by the schedule that named it; undefined without one, or when it is another image. */
  receive(contentName: string, file: Uint8Array): Uint8Array | undefined {
    const schedule = this.schedules.find(({ name }) => toHex(name) === contentName);
    if (schedule === undefined) return undefined;
    const cipher = new ContentCipher({ ...schedule, encType: ENC_TYPE.ctr }, zmeshCrypto);
    const chunkBytes = Math.floor(schedule.mtuBytes / 16) * 16;
    const dataCount = (file.length - 52) / chunkBytes;
    const chunks = Array.from({ length: dataCount }, (_, i) =>
      cipher.open(i + 1, file.subarray(12 + i * chunkBytes, 12 + (i + 1) * chunkBytes)),
    );
    const end = decodeEnd(cipher.open(dataCount + 1, file.subarray(12 + dataCount * chunkBytes)));
    const image = concat(chunks).subarray(0, end.lengthBytes);
    return equalBytes(zmeshCrypto.sha256(image).subarray(0, 16), end.imageDigest) ? image : undefined;
  }

  /** A sealed event about its newest content. */
  say(detail: StatusDetail, change: Partial<StatusEvent> = {}): Pick<SealedCommand, "name" | "fseq" | "payload"> {
    const name = this.schedules.at(-1)?.name ?? new Uint8Array(6);
    return this.seal({ ...this.#status(name, detail), ...change });
  }

  seal(status: StatusEvent): Pick<SealedCommand, "name" | "fseq" | "payload"> {
    this.#ownFseq += 1;
    const payload = toHex(sealStatus({ ...this.channel, crypto: zmeshCrypto }, this.#ownFseq, status));
    return { name: toHex(this.channel.name), fseq: this.#ownFseq, payload };
  }

  #status(name: Uint8Array, detail: StatusDetail): StatusEvent {
    return {
      name,
      state: STATE_OF_DETAIL[detail],
      detail,
      result: detail === "confirmed" ? "success" : "initial",
      version: this.version,
      receivedCount: 0,
      deficit: 0,
      flags: 0,
      batteryPercent: BATTERY_UNKNOWN,
    };
  }
}

/** Numbers its reports and tells of itself what a healthy gateway tells. */
export class ExampleGateway {
  readonly id: string;
  lastOrder = 0;
  usedMs = 0;
  sessions: GatewayState["sessions"] = [];
  isClockTrusted = true;
  links: GatewayState["links"] = [];
  #number = 0;

  constructor(id: string) {
    this.id = id;
  }

  get state(): GatewayState {
    return {
      version: "0",
      runId: "run",
      startedAtMs: 0,
      utcMs: Date.now(),
      isClockTrusted: this.isClockTrusted,
      lastOrder: this.lastOrder,
      links: this.links,
      ledgers: [{ band: "868.0-868.6", windowMs: 3_600_000, budgetMs: 32_400, usedMs: this.usedMs, doubtMs: 0 }],
      sessions: this.sessions,
      waitingCount: 0,
      droppedCount: 0,
      rssBytes: 0,
    };
  }

  batch(...reports: readonly NewReport[]): ReportBatch {
    return { state: this.state, reports: reports.map((report) => this.#report(report)) };
  }

  event(sealed: Pick<SealedCommand, "name" | "fseq" | "payload">): NewReport {
    return { kind: "event", ...sealed };
  }

  end(order: TransmitOrder, outcome: "finished" | "expired" | "failed" = "finished"): NewReport {
    const progress = {
      sessionId: order.sessionId,
      state: "ended" as const,
      part: 1,
      tallies: [],
      airtimeMs: 1234,
      deficits: [],
      nextAtMs: null,
    };
    return { kind: "end", progress, outcome, detail: null };
  }

  #report(report: NewReport): GatewayReport {
    this.#number += 1;
    return { number: this.#number, atMs: 0, ...report } as GatewayReport;
  }
}

type Unnumbered<Report> = Report extends unknown ? Omit<Report, "number" | "atMs"> : never;
/** Without what the gateway adds. */
export type NewReport = Unnumbered<GatewayReport>;

/** Every command of an order, in the order of the air. */
export function commandsIn({ order }: GatewayOrder): readonly SealedCommand[] {
  if (order.kind === "transmit") return order.parts.flatMap(({ commands }) => commands);
  return order.kind === "hold" ? [] : order.commands;
}
