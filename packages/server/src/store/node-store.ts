/**
 * The servers on one database. A server's lease is one row that it renews; what it drives carries its name, so that one
 * write every few seconds keeps a hundred thousand updates, and all of them are free when it stops.
 */
import { randomBytes } from "node:crypto";
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Kysely, sql } from "kysely";
import { storableText } from "./database.ts";
import type { Tables } from "./tables.ts";

export interface NodeOptions {
  /**
   * What this server is called; unique among those that run at the same time. Under the same name as before, a restarted
   * server takes up what it drove at once. Default: a random one.
   */
  readonly name?: string | undefined;
  /** How long after its last sign a server counts as dead. Default 10 s: five renewals. */
  readonly leaseMs?: number | undefined;
  /** Called when a newer process has the name: this one may drive nothing any more. */
  readonly onReplaced?: (() => void) | undefined;
}

export interface KnownNode {
  readonly id: string;
  readonly address: string | null;
  readonly startedAtMs: number;
  readonly leaseUntilMs: number;
  readonly isAlive: boolean;
}

/** Another server that is alive, and has what was asked for. */
export interface LivingNode {
  readonly id: string;
  /** Base URL of its API without a slash at the end; null = it has told none. */
  readonly address: string | null;
}

export const DEFAULT_LEASE_MS = 10_000;

export class NodeStore {
  readonly id: string;
  readonly #tables: Kysely<Tables>;
  readonly #options: NodeOptions;
  readonly #leaseMs: number;
  #run: number | undefined;
  /** By this process's own clock, counted from before the renewal was sent: never later than what others see. */
  #leaseEndMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(tables: Kysely<Tables>, options: NodeOptions = {}) {
    this.id = storableText(options.name ?? `node-${randomBytes(6).toString("hex")}`);
    this.#tables = tables;
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? DEFAULT_LEASE_MS;
  }

  /**
   * Whether what this server drives is surely its own. False before `join`, after `leave`, and while the database has been
   * away for longer than the lease: then others may have taken over, and whoever writes is told so.
   */
  get holdsLease(): boolean {
    return this.#run !== undefined && performance.now() < this.#leaseEndMs;
  }

  /**
   * Takes the name and begins to renew the lease. To be called when the sockets are bound: that is what keeps a second
   * process from taking the name of one that runs.
   *
   * @throws {EnvironmentError} DATABASE_AWAY
   */
  async join(): Promise<void> {
    const askedAtMs = performance.now();
    const { rows } = await sql<{ run: number }>`
      insert into nodes (id, lease_until)
      values (${this.id}, now() + ${this.#lease})
      on conflict (id) do update
        set run = nodes.run + 1, address = null, started_at = now(), lease_until = excluded.lease_until
      returning run`.execute(this.#tables);
    this.#run = rows[0]?.run;
    this.#leaseEndMs = askedAtMs + this.#leaseMs;
    this.#timer ??= setInterval(() => void this.renew().catch(() => {}), this.#leaseMs / 5).unref();
  }

  /**
   * Renews the lease; called by itself five times a lease.
   *
   * @throws {UsageError} NODE_REPLACED when a newer process has the name.
   * @throws {EnvironmentError} DATABASE_AWAY; the lease goes on until its end.
   */
  async renew(): Promise<void> {
    if (this.#run === undefined) return;
    const askedAtMs = performance.now();
    const { rows } = await sql`
      update nodes set lease_until = now() + ${this.#lease} where id = ${this.id} and run = ${this.#run}
      returning id`.execute(this.#tables);
    if (rows.length === 0) {
      this.#lose();
      throw new UsageError("NODE_REPLACED", `another server runs as ${this.id}`, { node: this.id });
    }
    this.#leaseEndMs = askedAtMs + this.#leaseMs;
  }

  /** Tells the others where the API of this server is: a base URL without a slash at the end. @throws {EnvironmentError} DATABASE_AWAY */
  async announce(address: string): Promise<void> {
    await this.#tables
      .updateTable("nodes")
      .set({ address: storableText(address) })
      .where("id", "=", this.id)
      .execute();
  }

  /** The other server that has the registration of a device, if that one is alive. @throws {EnvironmentError} DATABASE_AWAY */
  async holderOf(endpoint: string): Promise<LivingNode | undefined> {
    return await this.#others()
      .innerJoin("devices", "devices.node_id", "nodes.id")
      .select(["nodes.id", "nodes.address"])
      .where("devices.endpoint", "=", storableText(endpoint))
      .where("devices.presence", "=", "registered")
      .executeTakeFirst();
  }

  /** The other server that drives an update of a device of its own, if that one is alive. @throws {EnvironmentError} DATABASE_AWAY */
  async driverOf(updateId: string): Promise<LivingNode | undefined> {
    return await this.#others()
      .innerJoin("updates", "updates.node_id", "nodes.id")
      .select(["nodes.id", "nodes.address"])
      .where("updates.id", "=", storableText(updateId))
      .where("updates.finished_at", "is", null)
      // Any server speaks through radio gateways.
      .where(sql<boolean>`not exists (select from mesh_devices where mesh_devices.endpoint = updates.endpoint)`)
      .executeTakeFirst();
  }

  /** Lets go of everything at once, so that others need not wait for the lease to run out. */
  async leave(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    const run = this.#run;
    this.#run = undefined;
    if (run === undefined) return;
    await this.#tables.deleteFrom("nodes").where("id", "=", this.id).where("run", "=", run).execute();
  }

  /** Every server that ran within the last day, the longest running first. */
  async list(): Promise<KnownNode[]> {
    const { rows } = await sql<{
      id: string;
      address: string | null;
      started_at: Date;
      lease_until: Date;
      is_alive: boolean;
    }>`
      select id, address, started_at, lease_until, lease_until > now() as is_alive from nodes
      where lease_until > now() - interval '1 day' order by started_at`.execute(this.#tables);
    return rows.map((row) => ({
      id: row.id,
      address: row.address,
      startedAtMs: row.started_at.getTime(),
      leaseUntilMs: row.lease_until.getTime(),
      isAlive: row.is_alive,
    }));
  }

  #others() {
    return this.#tables
      .selectFrom("nodes")
      .where("nodes.id", "!=", this.id)
      .where(sql<boolean>`nodes.lease_until > now()`);
  }

  get #lease() {
    return sql`${this.#leaseMs}::double precision * interval '1 millisecond'`;
  }

  #lose(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#run = undefined;
    this.#options.onReplaced?.();
  }
}

/**
 * Whether nobody alive holds the row whose column this is: its holder is gone, or there never was one.
 *
 * Those alive are an array and not a join: of a row that another server took between our look and our lock, PostgreSQL
 * tests the condition again, but with what the joined tables gave before, and `not exists` would stay true.
 */
export const isFree = (column: string) =>
  sql<boolean>`(${sql.ref(column)} is null
    or ${sql.ref(column)} <> all (array(select id from nodes where lease_until > now())))`;
