/** /api/v1/devices: who is there, what runs on it, and what happened to it. */
import { Device, Event, pageOf } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import { z } from "zod";
import type { StoredDevice } from "../store/ports.ts";
import { PageQuery } from "./queries.ts";
import type { Api, ApiParts } from "./routes.ts";

export const OneDevice = z.object({ endpoint: z.string().min(1).max(255) });
export type OneDeviceParams = z.infer<typeof OneDevice>;

/** @throws {UsageError} UNKNOWN_DEVICE */
export async function requireDevice(
  { stores: { devices } }: Pick<ApiParts, "stores">,
  endpoint: string,
): Promise<StoredDevice> {
  const found = await devices.get(endpoint);
  if (found !== undefined) return found;
  // One that registered a moment ago may wait in the batch.
  await devices.flush();
  const device = await devices.get(endpoint);
  if (device !== undefined) return device;
  throw new UsageError("UNKNOWN_DEVICE", `no device ${endpoint} has registered`, { endpoint });
}

export function deviceRoutes(app: Api, { stores, fleet }: ApiParts): void {
  const withReachability = (device: StoredDevice): Device => ({ ...device, ...fleet.reachabilityOf(device.endpoint) });
  const find = async (endpoint: string) => withReachability(await requireDevice({ stores }, endpoint));

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
