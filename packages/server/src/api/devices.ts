/** /api/v1/devices: who is there, what runs on it, and what happened to it. */
import { Device, Event, pageOf } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import { z } from "zod";
import type { StoredDevice } from "../store/ports.ts";
import { PageQuery } from "./queries.ts";
import type { Api, ApiParts } from "./routes.ts";

const OneDevice = z.object({ endpoint: z.string().min(1).max(255) });

export function deviceRoutes(app: Api, { stores, fleet }: ApiParts): void {
  const find = async (endpoint: string): Promise<Device> => {
    const device = await stores.devices.get(endpoint);
    if (device === undefined)
      throw new UsageError("UNKNOWN_DEVICE", `no device ${endpoint} has registered`, { endpoint });
    return withReachability(device);
  };
  const withReachability = (device: StoredDevice): Device => ({ ...device, ...fleet.reachabilityOf(device.endpoint) });

  app.get(
    "/devices",
    {
      schema: {
        tags: ["devices"],
        summary: "Devices by endpoint",
        querystring: PageQuery,
        response: { 200: pageOf(Device) },
      },
    },
    async (request) => {
      const { items, next } = await stores.devices.list(request.query);
      return { items: items.map(withReachability), next };
    },
  );

  app.get(
    "/devices/:endpoint",
    { schema: { tags: ["devices"], summary: "One device", params: OneDevice, response: { 200: Device } } },
    async (request) => await find(request.params.endpoint),
  );

  app.get(
    "/devices/:endpoint/events",
    {
      schema: {
        tags: ["devices"],
        summary: "A device's timeline, newest first",
        params: OneDevice,
        querystring: PageQuery,
        response: { 200: pageOf(Event) },
      },
    },
    async (request) => {
      const { endpoint } = await find(request.params.endpoint);
      return await stores.events.list({ endpoint }, request.query);
    },
  );
}
