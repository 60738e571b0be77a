/** Updates whose broadcast is over and whose devices do not have the image, with what is known of why. */
import type { SessionOutcome } from "@airlift/protocol/api/gateway";
import { type Kysely, sql } from "kysely";
import type { StragglerFacts } from "../mesh/straggler-step.ts";
import { type MeshUpdate, readMeshUpdates } from "./mesh-updates.ts";
import type { Tables } from "./tables.ts";

export interface Straggler extends MeshUpdate, StragglerFacts {
  readonly sessionId: string;
  readonly detail: string | null;
}

interface Row {
  readonly updateId: string;
  readonly outcome: SessionOutcome;
  readonly detail: string | null;
  readonly endedAgoMs: number;
  readonly wasHeard: boolean;
  readonly wasAsked: boolean;
}

/** In the order of their creation, at most `limit`. */
export async function readStragglers(tables: Kysely<Tables>, limit: number): Promise<Straggler[]> {
  const { rows } = await sql<Row>`select u.id as "updateId", s.outcome, s.detail,
      (extract(epoch from now() - s.ended_at) * 1000)::double precision as "endedAgoMs",
      coalesce(d.heard_at > s.ended_at, false) as "wasHeard", coalesce(d.asked_at > s.ended_at, false) as "wasAsked"
    from updates u join mesh_devices d on d.endpoint = u.endpoint join mesh_sessions s on s.id = u.mesh_session_id
    where u.finished_at is null and u.state in ('waiting', 'transferring') and s.ended_at is not null
      and s.outcome is distinct from 'cancelled'
    order by u.seq limit ${limit}`.execute(tables);
  if (rows.length === 0) return [];
  const facts = new Map(rows.map((row) => [row.updateId, row]));
  const updates = await readMeshUpdates(tables, sql`u.id = any(${[...facts.keys()]}::text[])`);
  return updates.flatMap((update) => {
    const known = facts.get(update.updateId);
    return known === undefined || update.sessionId === null
      ? []
      : [{ ...update, ...known, sessionId: update.sessionId }];
  });
}
