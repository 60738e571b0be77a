/** What devices are asked to tell, on record: it outlives a restart, and goes with the device to another server. */
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Kysely, sql } from "kysely";
import { storableJson, storableText } from "./database.ts";
import type { Tables } from "./tables.ts";

export interface RecordedObservation {
  readonly id: string;
  readonly endpoint: string;
  /** "/3/0/9"; several are observed as one. */
  readonly paths: readonly string[];
  /** Content format that was asked for; null = the one that suits. */
  readonly format: number | null;
}

/** All methods reject with {EnvironmentError} DATABASE_AWAY. */
export class ObservationStore {
  readonly #tables: Kysely<Tables>;

  constructor(tables: Kysely<Tables>) {
    this.#tables = tables;
  }

  /** @throws {UsageError} OBSERVATIONS_FULL when the device has `most` of them. */
  async add({ id, endpoint, paths, format }: RecordedObservation, most: number): Promise<void> {
    const name = storableText(endpoint);
    const { rows } = await sql`
      insert into observations (id, endpoint, paths, format)
      select ${id}, ${name}, ${storableJson(paths)}::jsonb, ${format}::integer
      where ${most}::integer > (select count(*) from observations where endpoint = ${name})
      returning id`.execute(this.#tables);
    if (rows.length === 0)
      throw new UsageError("OBSERVATIONS_FULL", "no more observations are kept", { endpoint, count: most });
  }

  /** Whether it was there. */
  async remove(endpoint: string, id: string): Promise<boolean> {
    const removed = this.#tables.deleteFrom("observations").where("id", "=", id).where("endpoint", "=", endpoint);
    return (await removed.executeTakeFirst()).numDeletedRows > 0n;
  }

  /** Those of these devices, of each in the order in which they were made. */
  async of(endpoints: readonly string[]): Promise<RecordedObservation[]> {
    const { rows } = await sql<RecordedObservation>`
      select id, endpoint, paths, format from observations
      where endpoint = any(${endpoints.map(storableText)}::text[]) order by endpoint, created_at, id`.execute(
      this.#tables,
    );
    return rows;
  }
}
