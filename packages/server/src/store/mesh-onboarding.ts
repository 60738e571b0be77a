/** Taking devices in, each with the group of its make and model. */
import { randomBytes } from "node:crypto";
import type { NewMeshDevice } from "@airlift/protocol/api/mesh";
import { equalBytes, toHex } from "@airlift/protocol/lib/bytes";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { CommandChannel } from "@airlift/protocol/zmesh/command-channel";
import { groupNameOf, type Onboarding } from "@airlift/protocol/zmesh/onboarding";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { type Kysely, sql } from "kysely";
import { storableJson } from "./database.ts";
import type { Journal } from "./journal.ts";
import { devicePlace, drawChannel, groupPlace, type MeshSecrets } from "./mesh-secrets.ts";
import type { Tables } from "./tables.ts";

/** Where it goes. */
interface OnboardingStores {
  readonly journal: Journal;
  readonly secrets: MeshSecrets;
}

/**
 * Takes a device in, with its group if it is the first of its make and model. The same label again changes nothing but what is said of it.
 *
 * @throws {UsageError} MESH_DEVICE_EXISTS (409) when the id or the name belongs to another device, or the label says another key, IV or name.
 */
export async function onboardDevice(
  { journal, secrets }: OnboardingStores,
  { deviceId: endpoint, channel }: Onboarding,
  asked: NewMeshDevice,
): Promise<void> {
  await journal.write(
    async (transaction) => {
      const groupId = await groupOf(transaction, secrets, asked);
      const name = toHex(channel.name);
      await assertFree(transaction, endpoint, channel);
      const place = devicePlace(endpoint);
      const before = await placeOf(transaction, endpoint);
      const isNew = await secrets.keep(transaction, place, channel);
      const kept = await secrets.get(place, transaction);
      const isSame = kept !== undefined && equalBytes(kept.key, channel.key) && equalBytes(kept.iv, channel.iv);
      if (!isNew && !(isSame && (before === undefined || before.name === name)))
        throw new UsageError("MESH_DEVICE_EXISTS", `${endpoint} is here already, with another label`, { endpoint });
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
}

async function assertFree(transaction: Kysely<Tables>, endpoint: string, { name }: CommandChannel): Promise<void> {
  const found = await sql`select from mesh_devices where name = ${toHex(name)} and endpoint <> ${endpoint}
    union all select from mesh_groups where name = ${toHex(name)}
    union all select from devices where endpoint = ${endpoint} and transport <> 'zmesh'`.execute(transaction);
  if (found.rows.length > 0)
    throw new UsageError("MESH_DEVICE_EXISTS", `the id ${endpoint}, or its name on air, belongs to another device`, {
      endpoint,
    });
}

/** Made with its first key when this is the first device of its make and model. */
async function groupOf(
  transaction: Kysely<Tables>,
  secrets: MeshSecrets,
  { manufacturer, model }: Pick<NewMeshDevice, "manufacturer" | "model">,
): Promise<string> {
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
  if (row === undefined) return await groupOf(transaction, secrets, { manufacturer, model });
  await secrets.keep(transaction, groupPlace(id, 1), drawChannel());
  return id;
}

const slug = (model: string): string =>
  model
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 32) || "group";

interface MeshPlace {
  readonly groupId: string;
  readonly cell: string | null;
}

async function placeOf(
  tables: Kysely<Tables>,
  endpoint: string,
): Promise<(MeshPlace & { readonly name: string }) | undefined> {
  const row = await tables
    .selectFrom("mesh_devices")
    .select(["group_id", "cell", "name"])
    .where("endpoint", "=", endpoint)
    .executeTakeFirst();
  return row && { groupId: row.group_id, cell: row.cell, name: row.name };
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
