/** What a gateway tells of its own broadcasts and orders. */
import type { GatewayReport, ReportBatch } from "@airlift/protocol/api/gateway";
import { type Kysely, sql } from "kysely";
import { storableText } from "./database.ts";
import { endSession, noteProgress } from "./mesh-sessions.ts";
import type { NewEvent } from "./ports.ts";
import type { Tables } from "./tables.ts";

/** Puts it on record, in order; what devices say is passed over. */
export async function takeTidings(
  transaction: Kysely<Tables>,
  gatewayId: string,
  reports: ReportBatch["reports"],
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
