/** When things were last used: noted in memory, written a few at a time. Losing some on a crash is no harm. */
import { type Kysely, sql } from "kysely";
import type { Tables } from "./tables.ts";

/** Notes that wait; more are dropped, the next use notes again. */
const MOST_WAITING = 20_000;

export class UseTimes {
  readonly #tables: Kysely<Tables>;
  readonly #table: "device_credentials" | "api_tokens";
  #waiting = new Map<string, Date>();

  constructor(tables: Kysely<Tables>, table: "device_credentials" | "api_tokens") {
    this.#tables = tables;
    this.#table = table;
  }

  /** Never blocks, never throws. */
  note(id: string): void {
    if (this.#waiting.size < MOST_WAITING || this.#waiting.has(id)) this.#waiting.set(id, new Date());
  }

  /** Writes what was noted; it waits on when the database is away. */
  async flush(): Promise<void> {
    if (this.#waiting.size === 0) return;
    const noted = this.#waiting;
    this.#waiting = new Map();
    try {
      await sql`update ${sql.table(this.#table)} as used set last_used_at = noted.at
        from unnest(${[...noted.keys()]}::text[], ${[...noted.values()].map((at) => at.toISOString())}::timestamptz[])
          as noted(id, at)
        where used.id = noted.id`.execute(this.#tables);
    } catch (error) {
      for (const [id, at] of noted) if (!this.#waiting.has(id)) this.#waiting.set(id, at);
      throw error;
    }
  }
}
