/** Devices that were heard in a batch: how far their numbers are, and what their words change. */
import { toHex } from "@airlift/protocol/lib/bytes";
import { BATTERY_UNKNOWN, type StatusEvent } from "@airlift/protocol/zmesh/status-event";
import { type Kysely, sql } from "kysely";
import { readStatus } from "../mesh/status-news.ts";
import { type MeshChange, readMeshUpdates } from "./mesh-updates.ts";
import type { Tables } from "./tables.ts";

/** A device that speaks in a batch, and what it came to say. */
export interface Speaker {
  readonly endpoint: string;
  readonly groupName: string;
  readonly generation: number;
  lastFseq: number;
  newest: StatusEvent | undefined;
  hasJoined: boolean;
  wasHeard: boolean;
}

/** One thing that it said. */
export interface Opened {
  readonly speaker: Speaker;
  readonly status: StatusEvent;
}

/** By their names on air; their rows are locked. */
export async function readSpeakers(
  transaction: Kysely<Tables>,
  names: readonly string[],
): Promise<Map<string, Speaker>> {
  const { rows } = await sql<{
    endpoint: string;
    name: string;
    last_fseq: number;
    group_name: string;
    generation: number;
  }>`
      select d.endpoint, d.name, d.last_fseq, g.name as group_name, g.generation
      from mesh_devices d join mesh_groups g on g.id = d.group_id
      where d.name = any(${names}::text[]) order by d.endpoint for update of d`.execute(transaction);
  const speakers = new Map<string, Speaker>();
  for (const { endpoint, name, last_fseq, group_name, generation } of rows)
    speakers.set(name, {
      endpoint,
      groupName: group_name,
      generation,
      lastFseq: last_fseq,
      newest: undefined,
      hasJoined: false,
      wasHeard: false,
    });
  return speakers;
}

/** Those that were heard. */
export async function saveSpeakers(
  transaction: Kysely<Tables>,
  gatewayId: string,
  speakers: readonly Speaker[],
): Promise<void> {
  const heard = speakers.filter(({ wasHeard }) => wasHeard);
  if (heard.length === 0) return;
  const newest = (pick: (status: StatusEvent) => number | null) =>
    heard.map(({ newest: one }) => (one ? pick(one) : null));
  await sql`
    with heard as (
      select * from unnest(
        ${heard.map(({ endpoint }) => endpoint)}::text[], ${heard.map(({ lastFseq }) => lastFseq)}::integer[],
        ${heard.map(({ hasJoined, generation }) => (hasJoined ? generation : null))}::integer[],
        ${newest(({ receivedCount }) => receivedCount)}::integer[], ${newest(({ deficit }) => deficit)}::integer[],
        ${newest(({ batteryPercent }) => (batteryPercent === BATTERY_UNKNOWN ? null : batteryPercent))}::integer[]
      ) as heard(endpoint, fseq, generation, received, deficit, battery)),
    seen as (
      update devices set last_seen_at = now(), battery = coalesce(heard.battery, devices.battery)
      from heard where devices.endpoint = heard.endpoint)
    update mesh_devices d set last_fseq = heard.fseq, joined_generation = coalesce(heard.generation, d.joined_generation),
      gateway_id = ${gatewayId}, heard_at = now(), ask_count = 0, received_count = coalesce(heard.received, d.received_count),
      deficit = coalesce(heard.deficit, d.deficit), battery = coalesce(heard.battery, d.battery)
    from heard where d.endpoint = heard.endpoint`.execute(transaction);
}

/** A status is for the device's update that is under way, if it is of its content. */
export async function changesOf(transaction: Kysely<Tables>, opened: readonly Opened[]): Promise<MeshChange[]> {
  if (opened.length === 0) return [];
  const endpoints = [...new Set(opened.map(({ speaker }) => speaker.endpoint))];
  const updates = await readMeshUpdates(transaction, sql`u.endpoint = any(${endpoints}::text[])`);
  const imageIds = [...new Set(updates.map(({ imageId }) => imageId))];
  if (imageIds.length === 0) return [];
  const rows = await transaction.selectFrom("mesh_releases").selectAll().where("image_id", "in", imageIds).execute();
  const releases = new Map(rows.map((row) => [row.image_id, row]));
  const ofEndpoint = new Map(updates.map((update) => [update.endpoint, update]));
  const changes = new Map<string, MeshChange>();
  for (const { speaker, status } of opened) {
    const update = ofEndpoint.get(speaker.endpoint);
    const release = update && releases.get(update.imageId);
    if (update === undefined || release?.name !== toHex(status.name)) continue;
    const { image, version } = release.packed;
    const state = changes.get(update.updateId)?.state ?? update.state;
    const { lengthBytes, chunkBytes } = image;
    const news = readStatus(status, { state, imageVersion: version, lengthBytes, chunkBytes });
    if (news !== undefined) changes.set(update.updateId, { updateId: update.updateId, ...news });
  }
  return [...changes.values()];
}
