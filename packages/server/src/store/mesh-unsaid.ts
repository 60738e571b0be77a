/** Words to install that did not get on air: whoever they were for still waits. */
import type { GatewayReport } from "@airlift/protocol/api/gateway";
import { type Kysely, sql } from "kysely";
import type { MeshChange } from "./mesh-updates.ts";
import type { Tables } from "./tables.ts";

/** @param gatewayId Whose reports these are. */
export async function unsaidChanges(
  tables: Kysely<Tables>,
  gatewayId: string,
  reports: readonly GatewayReport[],
): Promise<MeshChange[]> {
  const unsaid = reports.flatMap((report) =>
    report.kind === "command" && report.sentCount === 0 && report.droppedCount > 0 ? [report.commandId] : [],
  );
  if (unsaid.length === 0) return [];
  // It counts as a question to the device, which nobody could have heard.
  const { rows } = await sql<{ id: string }>`
    with unsaid as (
      select u.id, u.endpoint from gateway_orders o, jsonb_array_elements_text(o.content -> 'apply' -> 'updateIds') as for_whom(id), updates u
      where o.gateway_id = ${gatewayId} and o.content -> 'order' ->> 'commandId' = any(${unsaid}::text[])
        and u.id = for_whom.id and u.state = 'applying'),
    unasked as (
      update mesh_devices d set ask_count = greatest(0, d.ask_count - 1) from unsaid where d.endpoint = unsaid.endpoint)
    select id from unsaid`.execute(tables);
  const sentence = `waitingToApply: the word to install was not on air at ${gatewayId} in its time`;
  return rows.map(({ id }) => ({ updateId: id, state: "waitingToApply", failure: null, sentence }));
}
