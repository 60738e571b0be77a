/** /api/v1/devices: who is there, what runs on it, what operators call it, and what happened to it. */
import {
  Device,
  DeviceEdit,
  DeviceLines,
  DevicePreview,
  Event,
  ImportAnswer,
  pageOf,
} from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import { z } from "zod";
import { parseQuery } from "../campaign/query/parse-query.ts";
import type { StoredDevice } from "../store/ports.ts";
import { PageQuery } from "./queries.ts";
import type { Api, ApiParts } from "./routes.ts";

export const OneDevice = z.object({ endpoint: z.string().min(1).max(255) });
export type OneDeviceParams = z.infer<typeof OneDevice>;

/** @throws {UsageError} UNKNOWN_DEVICE */
export async function requireDevice(
  { stores: { devices, events } }: Pick<ApiParts, "stores">,
  endpoint: string,
): Promise<StoredDevice> {
  const found = await devices.get(endpoint);
  if (found !== undefined) return found;
  // One that registered a moment ago may wait in the batch.
  await devices.flush();
  const device = await devices.get(endpoint);
  if (device !== undefined) return device;
  // Whoever misses a new device wants to know that it tried, and why it was refused.
  const [last] = (await events.list({ endpoint }, { limit: 1 })).items;
  const tried = last === undefined ? "" : `; what came under that name last, ${last.at}: ${last.sentence}`;
  throw new UsageError("UNKNOWN_DEVICE", `no device ${endpoint} has registered${tried}`, { endpoint });
}

/** RSQL over what devices are and said: `model==pump;version=lt=2.0.0`. */
const Query = z.object({ query: z.string().min(1).max(4096).optional() });
const DeviceQuery = PageQuery.extend({ ...Query.shape, sort: z.enum(["endpoint", "-endpoint"]).default("endpoint") });
const Revision = z.object({ "if-match": z.string().max(64).optional() });

/** Devices of a preview. */
const SAMPLE_ROWS = 10;
const LARGEST_IMPORT_BYTES = 8 * 2 ** 20;

const selectionOf = (query: string | undefined) => ({
  ...(query !== undefined && { query: parseQuery(query) }),
  utcMs: Date.now(),
});

const reachabilityFrom =
  (fleet: ApiParts["fleet"]) =>
  (device: StoredDevice): Device => ({ ...device, ...fleet.reachabilityOf(device.endpoint) });

export function deviceRoutes(app: Api, { stores, fleet }: ApiParts): void {
  const withReachability = reachabilityFrom(fleet);
  const find = async (endpoint: string) => withReachability(await requireDevice({ stores }, endpoint));

  app.get(
    "/devices",
    {
      schema: {
        tags: ["devices"],
        summary: "Devices by endpoint, all or those that a query finds",
        querystring: DeviceQuery,
        response: { 200: pageOf(Device) },
      },
    },
    async ({ query: { query, sort, ...page } }) => {
      const selection = { ...selectionOf(query), isDescending: sort === "-endpoint" };
      const { items, next } = await stores.inventory.list(selection, page);
      return { items: items.map(withReachability), next };
    },
  );

  app.get(
    "/devices/:endpoint",
    { schema: { tags: ["devices"], summary: "One device", params: OneDevice, response: { 200: Device } } },
    async (request, reply) => {
      const device = await find(request.params.endpoint);
      return await reply.header("etag", etagOf(device)).send(withReachability(device));
    },
  );
  inventoryRoutes(app, { stores, fleet });

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
      return await stores.events.list({ endpoint, withoutEchoes: true }, request.query);
    },
  );
}

/** Apart from the paths below it: an endpoint may be called anything. */
function inventoryRoutes(app: Api, { stores: { inventory }, fleet }: Pick<ApiParts, "stores" | "fleet">): void {
  const withReachability = reachabilityFrom(fleet);

  app.get(
    "/device-preview",
    {
      schema: {
        tags: ["devices"],
        summary: "How many devices a query finds, and some of them",
        querystring: Query,
        response: { 200: DevicePreview },
      },
    },
    async (request) => {
      const selection = selectionOf(request.query.query);
      const { items } = await inventory.list(selection, { limit: SAMPLE_ROWS });
      return { ...(await inventory.count(selection)), sample: items.map(withReachability) };
    },
  );

  app.patch(
    "/devices/:endpoint",
    {
      schema: {
        tags: ["devices"],
        summary: "Change a device's tags and note; If-Match guards against others' changes",
        params: OneDevice,
        headers: Revision,
        body: DeviceEdit,
        response: { 200: Device },
      },
    },
    async (request, reply) => {
      const device = await inventory.edit(
        request.params.endpoint,
        request.body,
        revisionOf(request.headers["if-match"]),
      );
      return await reply.header("etag", etagOf(device)).send(withReachability(device));
    },
  );

  app.post(
    "/device-import",
    {
      bodyLimit: LARGEST_IMPORT_BYTES,
      schema: {
        tags: ["devices"],
        summary: "Tags and notes of many devices; the same again changes nothing",
        body: DeviceLines,
        response: { 200: ImportAnswer },
      },
    },
    async (request) => {
      // Of two lines about one device the later counts.
      const lines = new Map(request.body.lines.map((line) => [line.endpoint, line]));
      return { unknown: await inventory.importLines([...lines.values()]) };
    },
  );
}

const etagOf = ({ revision }: StoredDevice): string => `"${revision}"`;

/** @throws {UsageError} ETAG_MISMATCH for one that no device ever had. */
function revisionOf(ifMatch: string | undefined): number | undefined {
  if (ifMatch === undefined || ifMatch === "*") return undefined;
  const revision = /^"(\d{1,15})"$/.exec(ifMatch)?.[1];
  if (revision === undefined) throw new UsageError("ETAG_MISMATCH", `no device has the ETag ${ifMatch}`);
  return Number(revision);
}
