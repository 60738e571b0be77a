/** What gateways bring: one batch is one transaction, and the same batch again changes nothing. */
import type { BatchAnswer, EventReport, OpenedEvent, ReportBatch } from "@airlift/protocol/api/gateway";
import { toHex } from "@airlift/protocol/lib/bytes";
import { PeerError, UsageError } from "@airlift/protocol/lib/errors";
import { openStatus } from "@airlift/protocol/zmesh/command-channel";
import type { StatusEvent } from "@airlift/protocol/zmesh/status-event";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { Kysely } from "kysely";
import { takeTidings } from "./gateway-tidings.ts";
import type { Journal } from "./journal.ts";
import { devicePlace, type MeshSecrets } from "./mesh-secrets.ts";
import { changesOf, type Opened, readSpeakers, type Speaker, saveSpeakers } from "./mesh-speakers.ts";
import { unsaidChanges, unsaidWords } from "./mesh-unsaid.ts";
import { changeMeshUpdates, type MeshReport } from "./mesh-updates.ts";
import type { Tables } from "./tables.ts";

/** What a batch came to. */
export interface TakenBatch {
  readonly answer: BatchAnswer;
  /** For the campaigns. */
  readonly reports: readonly MeshReport[];
  /** Events that were refused: forged, replayed, or of devices nobody knows. */
  readonly refusedCount: number;
  /** A session came to its end. */
  readonly hasEnds: boolean;
}

export class MeshReports {
  readonly #tables: Kysely<Tables>;
  readonly #journal: Journal;
  readonly #secrets: MeshSecrets;
  #takenCount = 0;
  #refusedCount = 0;

  constructor(tables: Kysely<Tables>, journal: Journal, secrets: MeshSecrets) {
    this.#tables = tables;
    this.#journal = journal;
    this.#secrets = secrets;
  }

  /** Events of devices that this server took or refused since its start; repetitions of a batch count once. */
  get counts(): { readonly takenCount: number; readonly refusedCount: number } {
    return { takenCount: this.#takenCount, refusedCount: this.#refusedCount };
  }

  /** @throws {UsageError} UNKNOWN_GATEWAY (404) */
  async take(gatewayId: string, { reports }: ReportBatch): Promise<TakenBatch> {
    const speaking = namesOf(reports);
    const words = await unsaidWords(this.#tables, gatewayId, reports);
    const { result } = await this.#journal.write(
      async (transaction) => {
        const { last_report: lastNumber } = await lockGateway(transaction, gatewayId);
        const fresh = reports.filter(({ number }) => number > lastNumber);
        const speakers = await readSpeakers(transaction, speaking);
        const said = await this.#openAll(transaction, { reports, speakers, lastNumber });
        const own = await takeTidings(transaction, gatewayId, fresh);
        await saveSpeakers(transaction, gatewayId, [...speakers.values()]);
        const told = await changesOf(transaction, said.opened);
        // What a device says of itself goes before what its gateway has not said to it.
        const unsaid = (await unsaidChanges(transaction, { gatewayId, reports: fresh, words })).filter(
          ({ updateId }) => !told.some((one) => one.updateId === updateId),
        );
        const changed = await changeMeshUpdates(transaction, [...told, ...unsaid]);
        const takenNumber = Math.max(lastNumber, ...fresh.map(({ number }) => number));
        await transaction
          .updateTable("gateways")
          .set({ last_report: takenNumber })
          .where("id", "=", gatewayId)
          .execute();
        const result: TakenBatch = {
          answer: { takenNumber, utcMs: Date.now(), events: said.answers },
          reports: changed.reports,
          refusedCount: said.refusedCount,
          hasEnds: own.hasEnds,
        };
        return { result: { ...result, takenCount: said.takenCount }, events: [...own.events, ...changed.events] };
      },
      { gatewayIds: [gatewayId], meshNames: [...speaking, ...words.map(({ meshName }) => meshName)] },
    );
    const { takenCount, ...taken } = result;
    this.#takenCount += takenCount;
    this.#refusedCount += taken.refusedCount;
    return taken;
  }

  /** Repetitions are answered again, so that a gateway which missed the answer goes on; they change nothing. */
  async #openAll(
    transaction: Kysely<Tables>,
    {
      reports,
      speakers,
      lastNumber,
    }: { reports: ReportBatch["reports"]; speakers: Map<string, Speaker>; lastNumber: number },
  ) {
    const places = [...speakers.values()].map(({ endpoint }) => devicePlace(endpoint));
    const keys = await this.#secrets.getMany(places, transaction);
    const opened: Opened[] = [];
    const answers: OpenedEvent[] = [];
    let [takenCount, refusedCount] = [0, 0];
    for (const report of reports) {
      if (report.kind !== "event") continue;
      const speaker = speakers.get(report.name);
      const own = speaker && keys.get(devicePlace(speaker.endpoint));
      const isRepetition = report.number <= lastNumber;
      const status = own && open(report, own);
      if (speaker === undefined || status === undefined || (!isRepetition && report.fseq <= speaker.lastFseq)) {
        if (!isRepetition) refusedCount += 1;
        continue;
      }
      answers.push({ number: report.number, content: toHex(status.name), deficit: status.deficit });
      if (isRepetition) continue;
      takenCount += 1;
      speaker.lastFseq = report.fseq;
      speaker.wasHeard = true;
      if (toHex(status.name) === speaker.groupName) speaker.hasJoined = true;
      else {
        speaker.newest = status;
        opened.push({ speaker, status });
      }
    }
    return { opened, answers, takenCount, refusedCount };
  }
}

/** Of the devices that speak in them. */
const namesOf = (reports: ReportBatch["reports"]): string[] => [
  ...new Set(reports.flatMap((report) => (report.kind === "event" ? [report.name] : []))),
];

/** Undefined when it was not made by the device under this FSEQ. */
function open(
  { name, fseq, payload }: EventReport,
  keys: { key: Uint8Array; iv: Uint8Array },
): StatusEvent | undefined {
  try {
    const channel = { name: Buffer.from(name, "hex"), ...keys, crypto: zmeshCrypto };
    return openStatus(channel, fseq, Buffer.from(payload, "hex"));
  } catch (error) {
    if (error instanceof PeerError) return undefined;
    throw error;
  }
}

/** Batches of one gateway wait for each other. */
async function lockGateway(transaction: Kysely<Tables>, gatewayId: string): Promise<{ last_report: number }> {
  const row = await transaction
    .selectFrom("gateways")
    .select("last_report")
    .where("id", "=", gatewayId)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) throw new UsageError("UNKNOWN_GATEWAY", `there is no gateway ${gatewayId}`, { id: gatewayId });
  return row;
}
