/** The devices behind gateways, and the groups whose key they share. */
import { randomBytes } from "node:crypto";
import type { MeshDevice, MeshGroup, NewMeshDevice } from "@airlift/protocol/api/mesh";
import { toHex } from "@airlift/protocol/lib/bytes";
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import type { CommandChannel } from "@airlift/protocol/zmesh/command-channel";
import { groupNameOf, type Onboarding } from "@airlift/protocol/zmesh/onboarding";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { type Kysely, sql } from "kysely";
import { decodeCursor, toPage } from "./cursor.ts";
import { storableJson, storableText } from "./database.ts";
import type { Journal } from "./journal.ts";
import { devicePlace, groupPlace, type MeshSecrets } from "./mesh-secrets.ts";
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
  async onboard({ deviceId: endpoint, channel }: Onboarding, asked: NewMeshDevice): Promise<MeshDevice> {
    await this.#journal.write(
      async (transaction) => {
        const groupId = await this.#groupOf(transaction, asked);
        const name = toHex(channel.name);
        await this.#assertFree(transaction, endpoint, channel);
        const place = devicePlace(endpoint);
        const before = await placeOf(transaction, endpoint);
        const isNew = await this.#secrets.keep(transaction, place, channel);
        const kept = await this.#secrets.get(place, transaction);
        if (!isNew && toHex(kept?.key ?? new Uint8Array()) !== toHex(channel.key))
          throw new UsageError("MESH_DEVICE_EXISTS", `${endpoint} is here already, with another key`, { endpoint });
        await transaction
          .insertInto("mesh_devices")
          .values({ endpoint, name, group_id: groupId, cell: asked.cell ?? null })
          .onConflict((conflict) =>
            conflict.column("endpoint").doUpdateSet({
              group_id: groupId,
              cell: asked.cell ?? null,
              // In another group it has that group's key yet to get.
              joined_generation: sql`case when mesh_devices.group_id = ${groupId} then mesh_devices.joined_generation else 0 end`,
            }),
          )
          .execute();
        await insertDevice(transaction, { endpoint, name, asked });
        const now = { groupId, cell: asked.cell ?? null };
        const sentence = onboardedText(endpoint, before, now);
        const event = { kind: "device.onboarded" as const, endpoint, facts: now };
        return { result: undefined, events: sentence === undefined ? [] : [{ ...event, sentence }] };
      },
      { endpoints: [endpoint], meshNames: [toHex(channel.name)] },
    );
    return (await this.get(endpoint)) as MeshDevice;
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
      const sentence = `the group ${groupId} has a new key, its ${row.generation}th`;
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

  async #assertFree(transaction: Kysely<Tables>, endpoint: string, { name }: CommandChannel): Promise<void> {
    const found = await sql`select from mesh_devices where name = ${toHex(name)} and endpoint <> ${endpoint}
      union all select from mesh_groups where name = ${toHex(name)}
      union all select from devices where endpoint = ${endpoint} and transport <> 'zmesh'`.execute(transaction);
    if (found.rows.length > 0)
      throw new UsageError("MESH_DEVICE_EXISTS", `the id ${endpoint}, or its name on air, belongs to another device`, {
        endpoint,
      });
  }

  async #groupOf(transaction: Kysely<Tables>, { manufacturer, model }: NewMeshDevice): Promise<string> {
    const found = await transaction
      .selectFrom("mesh_groups")
      .select("id")
      .where("manufacturer", "=", manufacturer)
      .where("model", "=", model)
      .executeTakeFirst();
    if (found !== undefined) return found.id;
    const id = `${slug(model)}-${randomBytes(3).toString("hex")}`;
    const name = toHex(groupNameOf(id, zmeshCrypto));
    const row = await transaction
      .insertInto("mesh_groups")
      .values({ id, manufacturer, model, name })
      .onConflict((conflict) => conflict.doNothing())
      .returning("id")
      .executeTakeFirst();
    if (row === undefined) return await this.#groupOf(transaction, { payload: "", manufacturer, model });
    await this.#secrets.keep(transaction, groupPlace(id, 1), drawChannel());
    return id;
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

interface MeshPlace {
  readonly groupId: string;
  readonly cell: string | null;
}

async function placeOf(tables: Kysely<Tables>, endpoint: string): Promise<MeshPlace | undefined> {
  const row = await tables
    .selectFrom("mesh_devices")
    .select(["group_id", "cell"])
    .where("endpoint", "=", endpoint)
    .executeTakeFirst();
  return row && { groupId: row.group_id, cell: row.cell };
}

/** Undefined when nothing is new. */
function onboardedText(endpoint: string, before: MeshPlace | undefined, now: MeshPlace): string | undefined {
  const cellText = ({ cell }: MeshPlace) => (cell === null ? "no known cell" : `the cell ${cell}`);
  if (before === undefined) return `${endpoint} was taken in as a mesh device of the group ${now.groupId}`;
  const moves = [
    ...(before.groupId === now.groupId ? [] : [`from the group ${before.groupId} to ${now.groupId}`]),
    ...(before.cell === now.cell ? [] : [`from ${cellText(before)} to ${cellText(now)}`]),
  ];
  return moves.length === 0 ? undefined : `${endpoint} was taken in again: it goes ${moves.join(", and ")}`;
}

const drawChannel = () => ({ key: randomBytes(16), iv: randomBytes(9) });

const slug = (model: string): string =>
  model
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 32) || "group";

/** Numbers that do not exist are not given away, however often somebody asks. */
const nextFseq = (count: number) => sql<number>`least(next_fseq + ${count}, ${LARGEST_FSEQ + 1})`;

function assertLeft(groupId: string, nextFseq: number): void {
  if (nextFseq > LARGEST_FSEQ)
    throw new EnvironmentError("FSEQ_EXHAUSTED", `the group ${groupId} has used up its numbers and needs a new key`, {
      groupId,
    });
}

/** A mesh device never registers: it is one as long as nobody takes it away. */
const LIFETIME_S = 10 * 365 * 86_400;

async function insertDevice(
  transaction: Kysely<Tables>,
  { endpoint, name, asked }: { readonly endpoint: string; readonly name: string; readonly asked: NewMeshDevice },
): Promise<void> {
  const now = new Date();
  const said = {
    manufacturer: asked.manufacturer,
    model: asked.model,
    ...(asked.hardware !== undefined && { hardware: asked.hardware }),
    ...(asked.version !== undefined && { version: asked.version }),
    cell: asked.cell ?? null,
  };
  await transaction
    .insertInto("devices")
    .values({
      endpoint,
      registration_id: `zmesh-${name}`,
      presence: "registered",
      transport: "zmesh",
      address: `zmesh:${name}`,
      lwm2m_version: "",
      binding: "",
      queue_mode: false,
      lifetime_s: LIFETIME_S,
      objects: storableJson({ rootSegments: [], contentFormats: [], objects: [] }),
      registered_at: now,
      last_seen_at: now,
      expires_at: new Date(now.getTime() + LIFETIME_S * 1000),
      ...said,
    })
    .onConflict((conflict) => conflict.column("endpoint").doUpdateSet({ ...said, version: heardOr(endpoint, asked) }))
    .execute();
}

/** What a device said of itself counts, whatever its label comes with the next time. */
const heardOr = (endpoint: string, { version }: NewMeshDevice) => sql<string | null>`case
  when exists (select from mesh_devices where endpoint = ${endpoint} and heard_at is not null) then devices.version
  else coalesce(${version ?? null}::text, devices.version) end`;
