/** What gateways bring: one batch is one transaction, and the same batch again changes nothing. */
import type { BatchAnswer, EventReport, GatewayReport, OpenedEvent, ReportBatch } from "@airlift/protocol/api/gateway";
import { toHex } from "@airlift/protocol/lib/bytes";
import { PeerError, UsageError } from "@airlift/protocol/lib/errors";
import { openStatus } from "@airlift/protocol/zmesh/command-channel";
import { BATTERY_UNKNOWN, type StatusEvent } from "@airlift/protocol/zmesh/status-event";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { type Kysely, sql } from "kysely";
import { readStatus } from "../mesh/status-news.ts";
import { storableText } from "./database.ts";
import type { Journal } from "./journal.ts";
import { devicePlace, type MeshSecrets } from "./mesh-secrets.ts";
import { endSession, noteProgress } from "./mesh-sessions.ts";
import { unsaidChanges, unsaidWords } from "./mesh-unsaid.ts";
import { changeMeshUpdates, type MeshChange, type MeshReport, readMeshUpdates } from "./mesh-updates.ts";
import type { NewEvent } from "./ports.ts";
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

interface Speaker {
  readonly endpoint: string;
  readonly groupName: string;
  readonly generation: number;
  lastFseq: number;
  newest: StatusEvent | undefined;
  hasJoined: boolean;
  wasHeard: boolean;
}

interface Opened {
  readonly speaker: Speaker;
  readonly status: StatusEvent;
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
        const speakers = await this.#speakers(transaction, speaking);
        const said = await this.#openAll(transaction, { reports, speakers, lastNumber });
        const own = await takeOwnReports(transaction, gatewayId, fresh);
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

  async #speakers(transaction: Kysely<Tables>, names: readonly string[]): Promise<Map<string, Speaker>> {
    const { rows } = await sql<{
      endpoint: string;
      name: string;
      last_fseq: number;
      group_name: string;
      generation: number;
    }>`
      select d.endpoint, d.name, d.last_fseq, g.name as group_name, g.generation
      from mesh_devices d join mesh_groups g on g.id = d.group_id
      where d.name = any(${names}::text[]) order by d.endpoint for update of d`.execute(transaction);
    const speakers = new Map<string, Speaker>();
    for (const { endpoint, name, last_fseq, group_name, generation } of rows)
      speakers.set(name, {
        endpoint,
        groupName: group_name,
        generation,
        lastFseq: last_fseq,
        newest: undefined,
        hasJoined: false,
        wasHeard: false,
      });
    return speakers;
  }

  /** Repetitions are answered again, so that a gateway which missed the answer goes on; they change nothing. */
  async #openAll(
    transaction: Kysely<Tables>,
    {
      reports,
      speakers,
      lastNumber,
    }: { reports: readonly GatewayReport[]; speakers: Map<string, Speaker>; lastNumber: number },
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
const namesOf = (reports: readonly GatewayReport[]): string[] => [
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

/** What the gateway tells of itself, in order. */
async function takeOwnReports(
  transaction: Kysely<Tables>,
  gatewayId: string,
  reports: readonly GatewayReport[],
): Promise<{ readonly events: NewEvent[]; readonly hasEnds: boolean }> {
  const events: NewEvent[] = [];
  for (const report of reports) {
    if (report.kind === "progress") await noteProgress(transaction, gatewayId, report.progress);
    else if (report.kind === "end") {
      const { outcome, detail, progress } = report;
      if (!(await isSessionOf(transaction, gatewayId, progress.sessionId))) continue;
      await noteProgress(transaction, gatewayId, progress);
      await endSession(transaction, { id: progress.sessionId, outcome, detail, progress });
      const seconds = (progress.airtimeMs / 1000).toFixed(1);
      const sentence = `broadcast ${progress.sessionId} at ${gatewayId} is ${outcome} after ${seconds} s of air${detail === null ? "" : `: ${detail}`}`;
      events.push({
        kind: "mesh.session",
        sentence,
        facts: { sessionId: progress.sessionId, gatewayId, outcome, airtimeMs: progress.airtimeMs },
      });
    } else if (report.kind === "order" && report.outcome === "refused")
      events.push(await refusedOrder(transaction, gatewayId, report));
    else if (report.kind === "order")
      await sql`update gateway_orders set is_over = true where gateway_id = ${gatewayId} and number = ${report.order}
        and content -> 'order' ->> 'kind' = 'cancel'`.execute(transaction);
    else if (report.kind === "command")
      await sql`update gateway_orders set is_over = true where gateway_id = ${gatewayId}
        and content -> 'order' ->> 'commandId' = ${report.commandId}`.execute(transaction);
  }
  return { events, hasEnds: reports.some(({ kind }) => kind === "end" || kind === "order") };
}

/** A gateway tells of its own broadcasts; what it says of another's is as if it were not there. */
async function isSessionOf(transaction: Kysely<Tables>, gatewayId: string, sessionId: string): Promise<boolean> {
  const row = await transaction
    .selectFrom("mesh_sessions")
    .select("id")
    .where("id", "=", storableText(sessionId))
    .where("gateway_id", "=", gatewayId)
    .executeTakeFirst();
  return row !== undefined;
}

async function refusedOrder(
  transaction: Kysely<Tables>,
  gatewayId: string,
  { order, code, detail }: Extract<GatewayReport, { kind: "order" }>,
): Promise<NewEvent> {
  const row = await transaction
    .updateTable("gateway_orders")
    .set({ is_over: true })
    .where("gateway_id", "=", gatewayId)
    .where("number", "=", order)
    .returning(["session_id", "content"])
    .executeTakeFirst();
  const why = detail ?? code ?? "for no reason that it told";
  if (row?.session_id != null && row.content.order.kind === "transmit")
    await endSession(transaction, { id: row.session_id, outcome: "failed", detail: why, progress: null });
  const sentence = `the gateway ${gatewayId} refused order ${order}: ${why}`;
  return { kind: "mesh.session", sentence, facts: { gatewayId, order, code, sessionId: row?.session_id ?? null } };
}

async function saveSpeakers(
  transaction: Kysely<Tables>,
  gatewayId: string,
  speakers: readonly Speaker[],
): Promise<void> {
  const heard = speakers.filter(({ wasHeard }) => wasHeard);
  if (heard.length === 0) return;
  const newest = (pick: (status: StatusEvent) => number | null) =>
    heard.map(({ newest: one }) => (one ? pick(one) : null));
  await sql`
    with heard as (
      select * from unnest(
        ${heard.map(({ endpoint }) => endpoint)}::text[], ${heard.map(({ lastFseq }) => lastFseq)}::integer[],
        ${heard.map(({ hasJoined, generation }) => (hasJoined ? generation : null))}::integer[],
        ${newest(({ receivedCount }) => receivedCount)}::integer[], ${newest(({ deficit }) => deficit)}::integer[],
        ${newest(({ batteryPercent }) => (batteryPercent === BATTERY_UNKNOWN ? null : batteryPercent))}::integer[]
      ) as heard(endpoint, fseq, generation, received, deficit, battery)),
    seen as (
      update devices set last_seen_at = now(), battery = coalesce(heard.battery, devices.battery)
      from heard where devices.endpoint = heard.endpoint)
    update mesh_devices d set last_fseq = heard.fseq, joined_generation = coalesce(heard.generation, d.joined_generation),
      gateway_id = ${gatewayId}, heard_at = now(), ask_count = 0, received_count = coalesce(heard.received, d.received_count),
      deficit = coalesce(heard.deficit, d.deficit), battery = coalesce(heard.battery, d.battery)
    from heard where d.endpoint = heard.endpoint`.execute(transaction);
}

/** A status is for the device's update that is under way, if it is of its content. */
async function changesOf(transaction: Kysely<Tables>, opened: readonly Opened[]): Promise<MeshChange[]> {
  if (opened.length === 0) return [];
  const endpoints = [...new Set(opened.map(({ speaker }) => speaker.endpoint))];
  const updates = await readMeshUpdates(transaction, sql`u.endpoint = any(${endpoints}::text[])`);
  const imageIds = [...new Set(updates.map(({ imageId }) => imageId))];
  if (imageIds.length === 0) return [];
  const rows = await transaction.selectFrom("mesh_releases").selectAll().where("image_id", "in", imageIds).execute();
  const releases = new Map(rows.map((row) => [row.image_id, row]));
  const ofEndpoint = new Map(updates.map((update) => [update.endpoint, update]));
  const changes = new Map<string, MeshChange>();
  for (const { speaker, status } of opened) {
    const update = ofEndpoint.get(speaker.endpoint);
    const release = update && releases.get(update.imageId);
    if (update === undefined || release?.name !== toHex(status.name)) continue;
    const { image, version } = release.packed;
    const state = changes.get(update.updateId)?.state ?? update.state;
    const { lengthBytes, chunkBytes } = image;
    const news = readStatus(status, { state, imageVersion: version, lengthBytes, chunkBytes });
    if (news !== undefined) changes.set(update.updateId, { updateId: update.updateId, ...news });
  }
  return [...changes.values()];
}
