/** The operations of LwM2M on one device; what it answers goes to the values that are shown. */
import type {
  DiscoverAnswer,
  DiscoveredPlace,
  DoneAnswer,
  LastValue,
  NewObservation,
  NewValue,
  ReadAnswer,
} from "@airlift/protocol/api/operations";
import { useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { mergeValues } from "../api/live-lines.ts";
import { deviceOf, observationsQuery } from "../api/queries.ts";
import { ask } from "../api/request.ts";

/** All reject with an ApiError that says what the device, or the server in its place, answered. */
export interface DeviceOperations {
  read(path: string): Promise<void>;
  /** @param text As a person types it, "true" or "2.5"; the object model says what it is. */
  write(path: string, text: string): Promise<void>;
  execute(path: string): Promise<DoneAnswer>;
  discover(path: string): Promise<readonly DiscoveredPlace[]>;
  observe(path: string): Promise<void>;
  /** @param id The observation's. */
  leave(id: string): Promise<void>;
}

export function useDeviceOperations(endpoint: string): DeviceOperations {
  const client = useQueryClient();
  return useMemo(() => {
    const keep = ({ values }: ReadAnswer, by: LastValue["by"]) => {
      const receivedAt = new Date().toISOString();
      mergeValues(
        client,
        endpoint,
        values.map((value) => ({ ...value, receivedAt, by })),
      );
    };
    const recount = () => client.invalidateQueries(observationsQuery(endpoint));
    const read = async (path: string) => keep(await ask<ReadAnswer>(deviceOf(endpoint, `/resources${path}`)), "read");
    return {
      read,
      async write(path, value) {
        const body: NewValue = { value, typed: true };
        await ask<DoneAnswer>(deviceOf(endpoint, `/resources${path}`), { method: "PUT", body });
        // What the device made of it is what counts. Not everything that can be written can be read.
        await read(path).catch(() => undefined);
      },
      execute: (path) => ask<DoneAnswer>(deviceOf(endpoint, "/execute"), { method: "POST", body: { path } }),
      async discover(path) {
        const query = new URLSearchParams({ path });
        return (await ask<DiscoverAnswer>(deviceOf(endpoint, `/discover?${query}`))).items;
      },
      async observe(path) {
        const body = { paths: [path] };
        const { answer } = await ask<NewObservation>(deviceOf(endpoint, "/observations"), { method: "POST", body });
        keep(answer, "notify");
        await recount();
      },
      async leave(id) {
        await ask(deviceOf(endpoint, `/observations/${encodeURIComponent(id)}`), { method: "DELETE" });
        await recount();
      },
    };
  }, [client, endpoint]);
}
