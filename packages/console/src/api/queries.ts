/** The questions pages ask, with the keys under which their answers are kept. */
import type { Device, Event, Image, Update } from "@airlift/protocol/api/schemas";
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { ask } from "./request.ts";

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

/** Rows asked for at a time while a list is scrolled. */
const PAGE_ROWS = 500;

const pathOf = (path: string, parameters: Readonly<Record<string, string | number | undefined>>): string => {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) query.set(name, String(value));
  return query.size === 0 ? path : `${path}?${query}`;
};

/** A list that goes on as it is scrolled. */
const listOf = <Item>(
  key: readonly unknown[],
  path: string,
  parameters: Readonly<Record<string, string | undefined>> = {},
) =>
  infiniteQueryOptions({
    queryKey: [...key, parameters],
    queryFn: ({ pageParam, signal }) =>
      ask<Page<Item>>(pathOf(path, { ...parameters, limit: PAGE_ROWS, cursor: pageParam }), { signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
  });

export const devicesQuery = (query: string | undefined) => listOf<Device>(["devices", "list"], "devices", { query });

export const deviceQuery = (endpoint: string) =>
  queryOptions({
    queryKey: ["devices", "one", endpoint],
    queryFn: ({ signal }) => ask<Device>(`devices/${encodeURIComponent(endpoint)}`, { signal }),
  });

export const timelineQuery = (endpoint: string) =>
  listOf<Event>(["events", endpoint], `devices/${encodeURIComponent(endpoint)}/events`);

export const imagesQuery = () => listOf<Image>(["images", "list"], "images");

export const updatesQuery = (endpoint?: string) => listOf<Update>(["updates", "list"], "updates", { endpoint });

export const updateQuery = (id: string) =>
  queryOptions({
    queryKey: ["updates", id],
    queryFn: ({ signal }) => ask<Update>(`updates/${encodeURIComponent(id)}`, { signal }),
  });
