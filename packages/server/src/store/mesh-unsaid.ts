/** Words to install that did not get on air: whoever they were for still waits. */
import type { ReportBatch } from "@airlift/protocol/api/gateway";
import { type Kysely, sql } from "kysely";
import { storableText } from "./database.ts";
import type { MeshChange } from "./mesh-updates.ts";
import type { Tables } from "./tables.ts";

/** An update that such a word was for, as it was when the reports came. */
export interface UnsaidWord {
  readonly commandId: string;
  readonly updateId: string;
  /** The device's on air. */
  readonly meshName: string;
}

/** @param gatewayId Whose reports these are. */
export async function unsaidWords(
  tables: Kysely<Tables>,
  gatewayId: string,
  reports: ReportBatch["reports"],
): Promise<UnsaidWord[]> {
  const unsaid = unsaidIn(reports);
  if (unsaid.length === 0) return [];
  const { rows } = await sql<UnsaidWord>`
    select o.content -> 'order' ->> 'commandId' as "commandId", u.id as "updateId", d.name as "meshName"
    from gateway_orders o, jsonb_array_elements_text(o.content -> 'apply' -> 'updateIds') as for_whom(id),
      updates u join mesh_devices d on d.endpoint = u.endpoint
    where o.gateway_id = ${gatewayId} and o.content -> 'order' ->> 'commandId' = any(${unsaid}::text[]) and u.id = for_whom.id`.execute(
    tables,
  );
  return rows;
}

/** What of them is true by now, as these reports say. It counts as a question to the device, which nobody could have heard. */
export async function unsaidChanges(
  transaction: Kysely<Tables>,
  { gatewayId, reports, words }: { gatewayId: string; reports: ReportBatch["reports"]; words: readonly UnsaidWord[] },
): Promise<MeshChange[]> {
  const unsaid = unsaidIn(reports);
  const ids = words.filter(({ commandId }) => unsaid.includes(commandId)).map(({ updateId }) => updateId);
  if (ids.length === 0) return [];
  const { rows } = await sql<{ id: string }>`
    with unsaid as (
      select id, endpoint from updates where id = any(${ids}::text[]) and state = 'applying'),
    unasked as (
      update mesh_devices d set ask_count = greatest(0, d.ask_count - 1) from unsaid where d.endpoint = unsaid.endpoint)
    select id from unsaid`.execute(transaction);
  const sentence = `waitingToApply: the word to install was not on air at ${gatewayId} in its time`;
  return rows.map(({ id }) => ({ updateId: id, state: "waitingToApply", failure: null, sentence }));
}

/** Ids of commands of which nothing was on air. */
const unsaidIn = (reports: ReportBatch["reports"]): string[] =>
  reports.flatMap((report) =>
    report.kind === "command" && report.sentCount === 0 && report.droppedCount > 0
      ? [storableText(report.commandId)]
      : [],
  );
