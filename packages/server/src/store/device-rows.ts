/** Rows of devices: which columns are read, and how each reads. */
import type { Kysely, Selectable } from "kysely";
import type { Transport } from "../fleet/sender.ts";
import type { KeptRegistration, StoredDevice } from "./ports.ts";
import type { DeviceTable, Tables } from "./tables.ts";

/** What a registration is made of. */
export const REGISTRATION_COLUMNS = [
  "endpoint",
  "registration_id",
  "presence",
  "transport",
  "address",
  "lwm2m_version",
  "binding",
  "queue_mode",
  "lifetime_s",
  "objects",
  "registered_at",
  "last_seen_at",
  "resources",
  "node_id",
  "home_id",
] as const;

/** A row of these columns. */
export type RegistrationRow = Pick<Selectable<DeviceTable>, (typeof REGISTRATION_COLUMNS)[number]>;

/** Every device with its newest update. */
export const selectDevices = (tables: Kysely<Tables>) =>
  tables
    .selectFrom("devices")
    .selectAll("devices")
    .select((select) =>
      select
        .selectFrom("updates")
        .select("updates.id")
        .whereRef("updates.endpoint", "=", "devices.endpoint")
        .orderBy("updates.seq", "desc")
        .limit(1)
        .as("update_id"),
    );

/** The registration that a row of a device that speaks LwM2M is. */
export function toRegistration(row: RegistrationRow): KeptRegistration {
  return {
    endpoint: row.endpoint,
    id: row.registration_id,
    presence: row.presence,
    // Rows of mesh devices are never read as registrations.
    transport: row.transport as Transport,
    address: row.address,
    lwm2mVersion: row.lwm2m_version,
    binding: row.binding,
    queueMode: row.queue_mode,
    lifetimeS: row.lifetime_s,
    objects: row.objects,
    registeredAtMs: row.registered_at.getTime(),
    lastSeenAtMs: row.last_seen_at.getTime(),
    ...(row.home_id !== null && row.home_id !== row.node_id && { home: row.home_id }),
    ...(Object.keys(row.resources).length > 0 && { resources: row.resources }),
  };
}

/** A row of `selectDevices` as the API shows it. */
export function toDevice(row: Selectable<DeviceTable> & { update_id: string | null }): StoredDevice {
  return {
    endpoint: row.endpoint,
    presence: row.presence,
    transport: row.transport,
    address: row.address,
    lwm2mVersion: row.lwm2m_version,
    binding: row.binding,
    lifetimeS: row.lifetime_s,
    registeredAt: row.registered_at.toISOString(),
    lastSeenAt: row.last_seen_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    manufacturer: row.manufacturer,
    model: row.model,
    version: row.version,
    hardware: row.hardware,
    firmware: row.firmware,
    objects: objectPaths(row.objects),
    updateId: row.update_id,
    tags: row.tags,
    note: row.note,
    revision: row.revision,
    cell: row.cell,
    signal: row.signal,
    battery: row.battery,
    utcOffset: row.utc_offset,
    timezone: row.timezone,
    resources: row.resources,
    failureCount: row.failure_count,
    node: row.node_id,
  };
}

/** Objects and instances as paths; an object without instances stands for itself. */
function objectPaths({ objects }: KeptRegistration["objects"]): string[] {
  return objects.flatMap(({ objectId, instances }) =>
    instances.length === 0 ? [`/${objectId}`] : instances.map((instance) => `/${objectId}/${instance}`),
  );
}
