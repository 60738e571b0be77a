/** The questions pages ask, with the keys under which their answers are kept. */
import type { AuditLine } from "@airlift/protocol/api/audit";
import type { DeviceCampaign } from "@airlift/protocol/api/campaign";
import type { Credential, Token } from "@airlift/protocol/api/credentials";
import type { DeviceObject, LastValue, Observation } from "@airlift/protocol/api/operations";
import type {
  Device,
  DevicePreview,
  Event,
  Exchange,
  Image,
  QueuedRequest,
  Update,
} from "@airlift/protocol/api/schemas";
import type { ServerFacts, VersionStatistics } from "@airlift/protocol/api/statistics";
import type { Webhook, WebhookDelivery } from "@airlift/protocol/api/webhooks";
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { ask } from "./request.ts";

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

type Parameters = Readonly<Record<string, string | number | readonly string[] | undefined>>;

/** Rows asked for at a time while a list is scrolled. */
const PAGE_ROWS = 200;

/** A path with its query; a parameter with several values is named as often. */
export function pathOf(path: string, parameters: Parameters): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    for (const one of value === undefined ? [] : [value].flat()) query.append(name, String(one));
  return query.size === 0 ? path : `${path}?${query}`;
}

export const deviceOf = (endpoint: string, rest = ""): string => `devices/${encodeURIComponent(endpoint)}${rest}`;

/** A list that goes on as it is scrolled. */
export const listOf = <Item>(key: readonly unknown[], path: string, parameters: Parameters = {}) =>
  infiniteQueryOptions({
    queryKey: [...key, parameters],
    queryFn: ({ pageParam, signal }) =>
      ask<Page<Item>>(pathOf(path, { limit: PAGE_ROWS, ...parameters, cursor: pageParam }), { signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
  });

const oneOf = <Answer>(key: readonly unknown[], path: string) =>
  queryOptions({ queryKey: key, queryFn: ({ signal }) => ask<Answer>(path, { signal }) });

const itemsOf = <Item>(key: readonly unknown[], path: string) =>
  queryOptions({
    queryKey: key,
    queryFn: async ({ signal }) => (await ask<{ items: readonly Item[] }>(path, { signal })).items,
  });

export const signInMethodsQuery = () => oneOf<{ readonly oidc: boolean }>(["signInMethods"], "session/methods");

export const serverQuery = () => oneOf<ServerFacts>(["server"], "server");

export const versionsQuery = () => oneOf<VersionStatistics>(["statistics"], "statistics/versions");

export const previewQuery = (query: string | undefined) =>
  oneOf<DevicePreview>(["devices", "preview", query], pathOf("device-preview", { query }));

export const deviceQuery = (endpoint: string) => oneOf<Device>(["devices", "one", endpoint], deviceOf(endpoint));

export const deviceCampaignsQuery = (endpoint: string) =>
  itemsOf<DeviceCampaign>(["deviceCampaigns", endpoint], deviceOf(endpoint, "/campaigns"));

export const timelineQuery = (endpoint: string) => listOf<Event>(["events", endpoint], deviceOf(endpoint, "/events"));

export const objectsQuery = (endpoint: string) =>
  itemsOf<DeviceObject>(["devices", "objects", endpoint], deviceOf(endpoint, "/objects"));

export const valuesQuery = (endpoint: string) =>
  itemsOf<LastValue>(["values", endpoint], deviceOf(endpoint, "/values"));

export const observationsQuery = (endpoint: string) =>
  itemsOf<Observation>(["observations", endpoint], deviceOf(endpoint, "/observations"));

export const queueQuery = (endpoint: string) =>
  itemsOf<QueuedRequest>(["queue", endpoint], deviceOf(endpoint, "/queue"));

export const credentialsQuery = (endpoint: string) =>
  itemsOf<Credential>(["credentials", endpoint], deviceOf(endpoint, "/credentials"));

export const imagesQuery = () => listOf<Image>(["images", "list"], "images");

export const imageQuery = (id: string) => oneOf<Image>(["images", id], `images/${encodeURIComponent(id)}`);

export interface UpdateFilter {
  readonly endpoint?: string;
  readonly imageId?: string;
  readonly state?: readonly Update["state"][];
  readonly limit?: number;
}

export const updatesQuery = (filter: UpdateFilter = {}) =>
  listOf<Update>(["updates", "list"], "updates", { ...filter });

export const exchangesQuery = (updateId: string) =>
  itemsOf<Exchange>(["updates", "exchanges", updateId], `updates/${encodeURIComponent(updateId)}/exchanges`);

export const tokensQuery = () => listOf<Token>(["tokens"], "tokens");

export const auditQuery = () => listOf<AuditLine>(["audit"], "audit");

export const webhooksQuery = () => itemsOf<Webhook>(["webhooks", "list"], "webhooks");

export const deliveriesQuery = (id: string) =>
  listOf<WebhookDelivery>(["webhooks", "deliveries", id], `webhooks/${encodeURIComponent(id)}/deliveries`, {
    limit: 50,
  });
