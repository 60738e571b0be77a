/** /api/v1/updates: bringing one image to one device. */
import { NewUpdate, pageOf, Update } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import { UPDATE_STATES } from "@airlift/protocol/update/device-update";
import { z } from "zod";
import { PageQuery } from "./queries.ts";
import type { Api, ApiParts } from "./routes.ts";

const OneUpdate = z.object({ id: z.string().min(1).max(64) });
const UpdateQuery = PageQuery.extend({ endpoint: z.string().optional(), state: z.enum(UPDATE_STATES).optional() });

export function updateRoutes(app: Api, parts: ApiParts): void {
  const { updates } = parts.stores;

  app.get(
    "/updates",
    {
      schema: {
        tags: ["updates"],
        summary: "Updates, newest first",
        querystring: UpdateQuery,
        response: { 200: pageOf(Update) },
      },
    },
    async ({ query: { endpoint, state, ...page } }) => await updates.list({ endpoint, state }, page),
  );

  app.get(
    "/updates/:id",
    { schema: { tags: ["updates"], summary: "One update", params: OneUpdate, response: { 200: Update } } },
    async (request) => await findUpdate(parts, request.params.id),
  );

  createRoute(app, parts);
  commandRoute(app, parts, "apply", "Apply what was downloaded");
  commandRoute(app, parts, "cancel", "Cancel an update that does not install yet");
}

function createRoute(app: Api, { stores, commands }: ApiParts): void {
  app.post(
    "/updates",
    { schema: { tags: ["updates"], summary: "Update one device", body: NewUpdate, response: { 201: Update } } },
    async (request, reply) => {
      const { endpoint } = request.body;
      if (!(await isKnown(stores, endpoint)))
        throw new UsageError("UNKNOWN_DEVICE", `no device ${endpoint} has registered`, { endpoint });
      const update = await stores.updates.create(request.body);
      await commands.start(update);
      return await reply.status(201).header("location", `/api/v1/updates/${update.id}`).send(update);
    },
  );
}

function commandRoute(app: Api, parts: ApiParts, command: "apply" | "cancel", summary: string): void {
  app.post(
    `/updates/:id/${command}`,
    { schema: { tags: ["updates"], summary, params: OneUpdate, response: { 200: Update } } },
    async (request) => {
      const { id } = await findUpdate(parts, request.params.id);
      await parts.commands[command](id);
      return await findUpdate(parts, id);
    },
  );
}

async function findUpdate({ stores }: ApiParts, id: string): Promise<Update> {
  const update = await stores.updates.get(id);
  if (update === undefined) throw new UsageError("UNKNOWN_UPDATE", `there is no update ${id}`, { updateId: id });
  return update;
}

/** A device that registered a moment ago may wait in the batch. */
async function isKnown({ devices }: ApiParts["stores"], endpoint: string): Promise<boolean> {
  if ((await devices.get(endpoint)) !== undefined) return true;
  await devices.flush();
  return (await devices.get(endpoint)) !== undefined;
}
