/** All that is on record of meshes. */
import type { UpdateState } from "@airlift/protocol/update/device-update";
import type { Kysely } from "kysely";
import { sql } from "kysely";
import type { PackedRelease } from "../mesh/packed-release.ts";
import { FAILURES_WITHOUT_IMAGE } from "../mesh/status-news.ts";
import { storableJson } from "./database.ts";
import { GatewayStore } from "./gateway-store.ts";
import type { Journal } from "./journal.ts";
import type { MasterKeys } from "./master-keys.ts";
import { MeshDevices } from "./mesh-devices.ts";
import { MeshReports } from "./mesh-reports.ts";
import { type ChannelKeys, MeshSecrets, releasePlace } from "./mesh-secrets.ts";
import { MeshSessions } from "./mesh-sessions.ts";
import { readStragglers, type Straggler } from "./mesh-stragglers.ts";
import { type MeshReport, type MeshUpdate, readMeshUpdates, sayHeld } from "./mesh-updates.ts";
import type { Tables } from "./tables.ts";
import { isPermitted } from "./update-permits.ts";

/** Names the lock of the one server that plans broadcasts. */
const PLANNING_LOCK = 7_104_531_893;
const SIGNING_PLACE = "manifest key";
/** States of an update whose device has installed the image, or put it away. */
const HOLDS_NONE: readonly UpdateState[] = ["confirming", "succeeded", "fellBack", "skipped"];

export class MeshStore {
  readonly secrets: MeshSecrets;
  readonly devices: MeshDevices;
  readonly gateways: GatewayStore;
  readonly sessions: MeshSessions;
  readonly reports: MeshReports;
  readonly #tables: Kysely<Tables>;
  readonly #journal: Journal;

  constructor(tables: Kysely<Tables>, journal: Journal, keys: MasterKeys) {
    this.#tables = tables;
    this.#journal = journal;
    this.secrets = new MeshSecrets(tables, keys);
    this.devices = new MeshDevices(tables, journal, this.secrets);
    this.gateways = new GatewayStore(tables, journal, this.secrets);
    this.sessions = new MeshSessions(tables, journal, this.gateways);
    this.reports = new MeshReports(tables, journal, this.secrets);
  }

  /** Updates of mesh devices in these states. */
  async updatesIn(...states: readonly UpdateState[]): Promise<MeshUpdate[]> {
    return await readMeshUpdates(this.#tables, sql`u.state = any(${states}::text[])`);
  }

  /** Those of these that have not ended. */
  async updatesNamed(updateIds: readonly string[]): Promise<MeshUpdate[]> {
    return await readMeshUpdates(this.#tables, sql`u.id = any(${updateIds}::text[])`);
  }

  /** That have not ended, of these devices. */
  async updatesOf(endpoints: readonly string[]): Promise<MeshUpdate[]> {
    return await readMeshUpdates(this.#tables, sql`u.endpoint = any(${endpoints}::text[])`);
  }

  /** That wait for words of a device, none of which came for `quietMs`: their broadcast is over, or the device was told to install. */
  async quietUpdates(quietMs: number, limit: number): Promise<MeshUpdate[]> {
    return await readMeshUpdates(
      this.#tables,
      sql`(u.state = 'applying' or (u.state in ('waiting', 'transferring') and u.mesh_session_id is not null
          and not exists (select from mesh_sessions s where s.id = u.mesh_session_id and s.ended_at is null)))
        and u.updated_at < now() - ${quietMs} * interval '1 millisecond'
        and (d.asked_at is null or d.asked_at < now() - ${quietMs} * interval '1 millisecond')
        and (d.heard_at is null or d.heard_at < now() - ${quietMs} * interval '1 millisecond')`,
      limit,
    );
  }

  /**
   * Of a group's devices that hear a gateway, one that may hold an image and is not among those that may install it; undefined when there
   * is none. Whoever was scheduled for it may have all of it without having been heard, until it said that it has not, or runs another.
   */
  async holderBeside(
    {
      groupId,
      imageId,
      gateway,
    }: { groupId: string; imageId: string; gateway: { id: string; cells: readonly string[] } },
    updateIds: readonly string[],
  ): Promise<string | undefined> {
    const { rows } = await sql<{ endpoint: string }>`
      with newest as (
        select distinct on (u.endpoint) u.id, u.endpoint, u.state, u.failure, u.seq
        from updates u join mesh_devices d on d.endpoint = u.endpoint
        where d.group_id = ${groupId} and u.image_id = ${imageId} and u.mesh_session_id is not null
          and (d.cell is null or d.cell = any(${gateway.cells}::text[]) or d.gateway_id = ${gateway.id})
        order by u.endpoint, u.seq desc)
      select endpoint from newest
      where id <> all(${updateIds}::text[]) and state <> all(${HOLDS_NONE}::text[])
        and not (state = 'failed' and failure = any(${FAILURES_WITHOUT_IMAGE}::text[]))
        and not exists (select from updates later
          where later.endpoint = newest.endpoint and later.seq > newest.seq and later.state = 'succeeded')
      limit 1`.execute(this.#tables);
    return rows[0]?.endpoint;
  }

  /** Whose broadcast is over, without the image. */
  async stragglers(limit: number): Promise<Straggler[]> {
    return await readStragglers(this.#tables, limit);
  }

  /** Whether no update waits for a session any more. */
  async isEmpty(sessionId: string): Promise<boolean> {
    return (await readMeshUpdates(this.#tables, sql`u.mesh_session_id = ${sessionId}`, 1)).length === 0;
  }

  /** From here on it may install; false when its campaign does not let it any more. */
  async permit(updateId: string): Promise<boolean> {
    const { result } = await this.#journal.write(
      async (transaction) => {
        if (!(await isPermitted(transaction, updateId))) return { result: false, events: [] };
        await transaction.updateTable("updates").set({ apply: true }).where("id", "=", updateId).execute();
        return { result: true, events: [] };
      },
      { updateIds: [updateId], steeredIds: [updateId] },
    );
    return result;
  }

  /** From here on it may not install, unless its campaign lets it again; how it stands. One that was told to install may do so. */
  async hold(updateId: string): Promise<readonly MeshReport[]> {
    const { result } = await this.#journal.write(
      async (transaction) => {
        const [update] = await readMeshUpdates(transaction, sql`u.id = ${updateId}`);
        if (update === undefined || (await isPermitted(transaction, updateId))) return { result: [], events: [] };
        await transaction.updateTable("updates").set({ apply: false }).where("id", "=", updateId).execute();
        return await sayHeld(transaction, update);
      },
      { updateIds: [updateId], steeredIds: [updateId] },
    );
    return result;
  }

  /** Which of these campaigns have ordered mesh devices to begin that could and have not yet. */
  async startingAmong(campaignIds: readonly string[]): Promise<Set<string>> {
    if (campaignIds.length === 0) return new Set();
    const { rows } = await sql<{ id: string }>`
      select c.id from campaigns c where c.id = any(${campaignIds}::text[]) and c.state = 'running' and exists (
        select from campaign_targets t join mesh_devices d on d.endpoint = t.endpoint
        where t.campaign_id = c.id and t.waiting_order ->> 'kind' = 'begin' and t.wave = any(c.open_waves)
          and not exists (select from updates u where u.endpoint = t.endpoint and u.finished_at is null))`.execute(
      this.#tables,
    );
    return new Set(rows.map(({ id }) => id));
  }

  /** Endpoints of the mesh devices that an image is made for. */
  async endpointsFor(imageId: string): Promise<string[]> {
    const { rows } = await sql<{ endpoint: string }>`
      select d.endpoint from mesh_devices d join mesh_groups g on g.id = d.group_id
      join images i on i.manufacturer = g.manufacturer and i.model = g.model where i.id = ${imageId}`.execute(
      this.#tables,
    );
    return rows.map(({ endpoint }) => endpoint);
  }

  /** Endpoints of the mesh devices among a campaign's targets that have not ended. */
  async targetsOf(campaignId: string): Promise<string[]> {
    const { rows } = await sql<{ endpoint: string }>`
      select d.endpoint from mesh_devices d join campaign_targets t on t.endpoint = d.endpoint
      where t.campaign_id = ${campaignId} and t.phase <> 'ended'`.execute(this.#tables);
    return rows.map(({ endpoint }) => endpoint);
  }

  /** Whether the update's device is behind gateways. */
  async isMesh(endpoint: string): Promise<boolean> {
    return (await this.devices.getMany([endpoint])).length > 0;
  }

  async releaseOf(imageId: string): Promise<PackedRelease | undefined> {
    const row = await this.#tables
      .selectFrom("mesh_releases")
      .select("packed")
      .where("image_id", "=", imageId)
      .executeTakeFirst();
    return row?.packed;
  }

  /** By a content's name, the image's or the manifest's. */
  async releaseNamed(name: string): Promise<{ readonly imageId: string; readonly packed: PackedRelease } | undefined> {
    const row = await this.#tables
      .selectFrom("mesh_releases")
      .selectAll()
      .where((where) => where.or([where("name", "=", name), where("manifest_name", "=", name)]))
      .executeTakeFirst();
    return row && { imageId: row.image_id, packed: row.packed };
  }

  /** Keeps a release for good. The first one stays. @throws {UsageError} when another image has its name (a row fault). */
  async keepRelease(imageId: string, packed: PackedRelease): Promise<void> {
    await this.#tables
      .insertInto("mesh_releases")
      .values({
        image_id: imageId,
        name: packed.image.content.name,
        manifest_name: packed.manifest.content.name,
        packed: storableJson(packed),
      })
      .onConflict((conflict) => conflict.column("image_id").doNothing())
      .execute();
  }

  /** A release's keys, drawn by whoever is first. */
  async keysOf(imageId: string, draw: () => ChannelKeys): Promise<ChannelKeys> {
    const place = releasePlace(imageId);
    const found = await this.secrets.get(place);
    if (found !== undefined) return found;
    await this.secrets.keep(this.#tables, place, draw());
    return (await this.secrets.get(place)) as ChannelKeys;
  }

  /** The PEM of the key that manifests are signed with, made by whoever is first. */
  async signingKey(make: () => string): Promise<string> {
    const found = await this.secrets.textOf(SIGNING_PLACE);
    if (found !== undefined) return found.toString("utf8");
    await this.secrets.keepText(this.#tables, SIGNING_PLACE, Buffer.from(make(), "utf8"));
    return `${(await this.secrets.textOf(SIGNING_PLACE))?.toString("utf8")}`;
  }

  /** Runs `work` unless another server is at it. @returns Whether it ran. */
  async aloneDo(work: () => Promise<void>): Promise<boolean> {
    return await this.#tables.connection().execute(async (connection) => {
      const { rows } = await sql<{ taken: boolean }>`select pg_try_advisory_lock(${PLANNING_LOCK}) as taken`.execute(
        connection,
      );
      if (rows[0]?.taken !== true) return false;
      try {
        await work();
      } finally {
        await sql`select pg_advisory_unlock(${PLANNING_LOCK})`.execute(connection);
      }
      return true;
    });
  }
}
