/** The devices behind gateways, and the groups whose key they share. */
import type { MeshDevice, MeshGroup, NewMeshDevice } from "@airlift/protocol/api/mesh";
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import type { CommandChannel } from "@airlift/protocol/zmesh/command-channel";
import type { Onboarding } from "@airlift/protocol/zmesh/onboarding";
import { type Kysely, sql } from "kysely";
import { decodeCursor, toPage } from "./cursor.ts";
import { storableText } from "./database.ts";
import type { Journal } from "./journal.ts";
import { onboardDevice } from "./mesh-onboarding.ts";
import { devicePlace, drawChannel, groupPlace, type MeshSecrets } from "./mesh-secrets.ts";
import type { Page, PageRequest } from "./ports.ts";
import type { Tables } from "./tables.ts";

/** A channel of the network's, with the numbers that were kept for its next frames. */
export interface ReservedChannel {
  readonly channel: CommandChannel;
  /** The first of the numbers; they go up by 1. */
  readonly firstFseq: number;
}

/** A group as the network speaks in it. */
export interface ReservedGroup extends ReservedChannel {
  readonly generation: number;
  readonly place: string;
}

/** Why nothing can be said to a device alone: its own key is not here, or no number of its channel is left. */
export type Muteness = "keyless" | "numberless";

const LARGEST_FSEQ = 2 ** 24 - 1;

export class MeshDevices {
  readonly #tables: Kysely<Tables>;
  readonly #journal: Journal;
  readonly #secrets: MeshSecrets;

  constructor(tables: Kysely<Tables>, journal: Journal, secrets: MeshSecrets) {
    this.#tables = tables;
    this.#journal = journal;
    this.#secrets = secrets;
  }

  /**
   * Takes a device in, with its group if it is the first of its make and model. The same label again changes nothing but what is said of it.
   *
   * @throws {UsageError} MESH_DEVICE_EXISTS (409) when the id or the name belongs to another device.
   */
  async onboard(label: Onboarding, asked: NewMeshDevice): Promise<MeshDevice> {
    await onboardDevice({ journal: this.#journal, secrets: this.#secrets }, label, asked);
    return (await this.get(label.deviceId)) as MeshDevice;
  }

  async get(endpoint: string): Promise<MeshDevice | undefined> {
    const [device] = await this.#read(sql`where d.endpoint = ${storableText(endpoint)}`);
    return device;
  }

  /** By endpoint. */
  async list(page: PageRequest): Promise<Page<MeshDevice>> {
    const after = page.cursor === undefined ? sql`` : sql`where d.endpoint > ${decodeCursor(page.cursor)}`;
    const rows = await this.#read(sql`${after} order by d.endpoint limit ${page.limit + 1}`);
    return toPage(rows, page.limit, { item: (device) => device, position: ({ endpoint }) => endpoint });
  }

  /** Those of these that are mesh devices. */
  async getMany(endpoints: readonly string[]): Promise<MeshDevice[]> {
    return endpoints.length === 0 ? [] : await this.#read(sql`where d.endpoint = any(${endpoints}::text[])`);
  }

  /** Endpoints of a group's devices, of these cells if they are given; and of those nobody knows where they are. */
  async membersOf(groupId: string, cells?: readonly string[]): Promise<MeshDevice[]> {
    const where = cells === undefined ? sql`` : sql`and (d.cell is null or d.cell = any(${cells}::text[]))`;
    return await this.#read(sql`where d.group_id = ${groupId} ${where}`);
  }

  async groups(): Promise<MeshGroup[]> {
    const { rows } = await sql<MeshGroup>`
      select g.id, g.manufacturer, g.model, g.name, g.generation, count(d.endpoint)::integer as "deviceCount",
        (count(*) filter (where d.joined_generation = g.generation))::integer as "keyCount"
      from mesh_groups g left join mesh_devices d on d.group_id = g.id group by g.id order by g.id`.execute(
      this.#tables,
    );
    return rows;
  }

  /** A new key for a group; each device gets it before its next broadcast. @throws {UsageError} UNKNOWN_GROUP (404) */
  async rotate(groupId: string): Promise<MeshGroup> {
    await this.#journal.write(async (transaction) => {
      const row = await transaction
        .updateTable("mesh_groups")
        .set({ generation: sql<number>`generation + 1`, next_fseq: 1 })
        .where("id", "=", storableText(groupId))
        .returning("generation")
        .executeTakeFirst();
      if (row === undefined) throw new UsageError("UNKNOWN_GROUP", `there is no group ${groupId}`, { groupId });
      await this.#secrets.keep(transaction, groupPlace(groupId, row.generation), drawChannel());
      const sentence = `the group ${groupId} has a new key: number ${row.generation}`;
      return {
        result: undefined,
        events: [{ kind: "mesh.key", sentence, facts: { groupId, generation: row.generation } }],
      };
    });
    return (await this.groups()).find(({ id }) => id === groupId) as MeshGroup;
  }

  /** Keeps numbers for frames in a group's channel: nobody else ever uses them. @throws {EnvironmentError} FSEQ_EXHAUSTED: the group needs a new key. */
  async reserveGroup(groupId: string, count: number): Promise<ReservedGroup> {
    const row = await this.#tables
      .updateTable("mesh_groups")
      .set({ next_fseq: nextFseq(count) })
      .where("id", "=", groupId)
      .returning(["name", "generation", "next_fseq"])
      .executeTakeFirstOrThrow();
    const place = groupPlace(groupId, row.generation);
    const keys = await this.#secrets.get(place);
    assertLeft(groupId, row.next_fseq);
    if (keys === undefined) throw new EnvironmentError("SEALED", "a group's key is not here", { groupId });
    const channel = { name: Buffer.from(row.name, "hex"), ...keys };
    return { channel, firstFseq: row.next_fseq - count, generation: row.generation, place };
  }

  /** As `reserveGroup`, in devices' own channels; counts as having asked them. */
  async reserveDevices(endpoints: readonly string[], count: number): Promise<ReadonlyMap<string, ReservedChannel>> {
    const { rows } = await sql<{ endpoint: string; name: string; next_fseq: number }>`
      with locked as (
        select endpoint from mesh_devices where endpoint = any(${endpoints}::text[]) order by endpoint for update)
      update mesh_devices d set next_fseq = ${nextFseq(count)}, asked_at = now(), ask_count = ask_count + 1
      from locked where d.endpoint = locked.endpoint returning d.endpoint, name, next_fseq`.execute(this.#tables);
    const keys = await this.#secrets.getMany(rows.map(({ endpoint }) => devicePlace(endpoint)));
    const reserved = new Map<string, ReservedChannel>();
    for (const { endpoint, name, next_fseq } of rows) {
      const own = keys.get(devicePlace(endpoint));
      if (own === undefined || next_fseq > LARGEST_FSEQ) continue;
      reserved.set(endpoint, { channel: { name: Buffer.from(name, "hex"), ...own }, firstFseq: next_fseq - count });
    }
    return reserved;
  }

  /** Of these, those that so many frames cannot be said to, each alone. */
  async muteAmong(endpoints: readonly string[], count: number): Promise<ReadonlyMap<string, Muteness>> {
    const { rows } = await sql<{ endpoint: string; isKeyless: boolean }>`
      select d.endpoint, s.place is null as "isKeyless" from mesh_devices d
      left join mesh_secrets s on s.place = ${devicePlace("")} || d.endpoint
      where d.endpoint = any(${endpoints}::text[]) and (s.place is null or d.next_fseq + ${count} > ${LARGEST_FSEQ})`.execute(
      this.#tables,
    );
    return new Map(rows.map(({ endpoint, isKeyless }) => [endpoint, isKeyless ? "keyless" : "numberless"]));
  }

  async #read(rest: ReturnType<typeof sql>): Promise<MeshDevice[]> {
    const { rows } = await sql<Omit<MeshDevice, "heardAt"> & { heardAt: Date | null }>`
      select d.endpoint, d.name, d.group_id as "groupId", d.joined_generation = g.generation as "hasGroupKey", d.cell,
        d.gateway_id as "gatewayId", d.heard_at as "heardAt", d.received_count as "receivedCount", d.deficit,
        d.battery as "batteryPercent"
      from mesh_devices d join mesh_groups g on g.id = d.group_id ${rest}`.execute(this.#tables);
    return rows.map((row) => ({ ...row, heardAt: row.heardAt?.toISOString() ?? null }));
  }
}

/** Numbers that do not exist are not given away, however often somebody asks. */
const nextFseq = (count: number) => sql<number>`least(next_fseq + ${count}, ${LARGEST_FSEQ + 1})`;

function assertLeft(groupId: string, nextFseq: number): void {
  if (nextFseq > LARGEST_FSEQ)
    throw new EnvironmentError("FSEQ_EXHAUSTED", `the group ${groupId} has used up its numbers and needs a new key`, {
      groupId,
    });
}
