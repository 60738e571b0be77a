/** The fleet in numbers: today's count of versions, kept for every day on which a server ran. */
import type { VersionDay, VersionStatistics } from "@airlift/protocol/api/statistics";
import { type Kysely, sql } from "kysely";
import type { Tables } from "./tables.ts";

/** Versions that are told apart on one day; the rarer ones are counted together. */
export const MOST_VERSIONS_OF_DAY = 20;

/** A count that is younger is good enough: counting reads every device. */
export const DEFAULT_COUNT_AGE_MS = 60_000;

/** Under which "not told, or rare" is kept: an empty version tells as little. */
const OTHER = "";

interface DayRow {
  readonly day: string;
  readonly version: string;
  readonly count: number;
  readonly countedAt: string;
}

export class FleetStatistics {
  readonly #tables: Kysely<Tables>;
  readonly #countAgeMs: number;

  constructor(tables: Kysely<Tables>, countAgeMs = DEFAULT_COUNT_AGE_MS) {
    this.#tables = tables;
    this.#countAgeMs = countAgeMs;
  }

  /** Counts today's versions unless a server on this database did so a moment ago; the day's last count stays. */
  async count(): Promise<void> {
    await this.#tables.transaction().execute(async (transaction) => {
      const { rows } = await sql<{ isDue: boolean }>`
        select pg_try_advisory_xact_lock(hashtext('fleet_days')) and not exists (
          select from fleet_days where counted_at > now() - ${this.#countAgeMs} * interval '1 millisecond'
            and day = (now() at time zone 'UTC')::date) as "isDue"`.execute(transaction);
      if (rows[0]?.isDue !== true) return;
      await sql`delete from fleet_days where day = (now() at time zone 'UTC')::date`.execute(transaction);
      await sql`
        with counted as (
          select coalesce(version, ${OTHER}) as version, count(*)::integer as device_count
          from devices where presence = 'registered' group by 1),
        ranked as (
          select *, row_number() over (order by version = ${OTHER}, device_count desc, version) as rank from counted)
        insert into fleet_days (day, version, device_count, counted_at)
        select (now() at time zone 'UTC')::date,
          case when rank <= ${MOST_VERSIONS_OF_DAY} then version else ${OTHER} end, sum(device_count), now()
        from ranked group by 2`.execute(transaction);
    });
  }

  /**
   * The last `dayCount` days, oldest first, today's counted afresh.
   *
   * @param dayCount 1 … 400.
   */
  async versions(dayCount: number): Promise<VersionStatistics> {
    await this.count();
    const { rows } = await sql<DayRow>`
      select to_char(day, 'YYYY-MM-DD') as day, version, device_count as count,
        to_char(counted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "countedAt"
      from fleet_days where day > (now() at time zone 'UTC')::date - ${dayCount}::integer
      order by day, version`.execute(this.#tables);
    const presences = await sql<{ registered: number; gone: number }>`
      select count(*) filter (where presence = 'registered')::integer as registered,
        count(*) filter (where presence <> 'registered')::integer as gone from devices`.execute(this.#tables);
    const { registered = 0, gone = 0 } = presences.rows[0] ?? {};
    return { days: daysOf(rows), registeredCount: registered, goneCount: gone };
  }
}

function daysOf(rows: readonly DayRow[]): VersionDay[] {
  const days = new Map<string, VersionDay>();
  for (const { day, version, count, countedAt } of rows) {
    const known = days.get(day) ?? { day, countedAt, counts: {}, otherCount: 0 };
    days.set(
      day,
      version === OTHER
        ? { ...known, otherCount: known.otherCount + count }
        : { ...known, counts: { ...known.counts, [version]: count } },
    );
  }
  return [...days.values()];
}
