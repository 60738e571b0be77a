/** /api/v1/updates: bringing one image to one device. */
import { Exchanges, Image, NewUpdate, pageOf, Update } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import { UPDATE_STATES } from "@airlift/protocol/update/device-update";
import { z } from "zod";
import { explain } from "../delivery/explain.ts";
import { findMismatch } from "../delivery/image-match.ts";
import type { StoredDevice } from "../store/ports.ts";
import { PageQuery } from "./queries.ts";
import type { Api, ApiParts } from "./routes.ts";

const OneUpdate = z.object({ id: z.string().min(1).max(64) });
const state = z.enum(UPDATE_STATES);
const UpdateQuery = PageQuery.extend({
  endpoint: z.string().optional(),
  imageId: Image.shape.id.optional(),
  /** Named several times = in one of these. */
  state: z.union([state.transform((one) => [one]), z.array(state).min(1)]).optional(),
});

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
    async ({ query: { endpoint, imageId, state: states, ...page } }) => {
      const { items, next } = await updates.list({ endpoint, imageId, states }, page);
      return { items: await explained(parts, items), next };
    },
  );

  app.get(
    "/updates/:id",
    { schema: { tags: ["updates"], summary: "One update", params: OneUpdate, response: { 200: Update } } },
    async (request) => await showUpdate(parts, request.params.id),
  );

  exchangeRoute(app, parts);
  createRoute(app, parts);
  retryRoute(app, parts);
}

/** What only the server can do that drives the update. */
export function updateCommandRoutes(app: Api, parts: ApiParts): void {
  commandRoute(app, parts, "apply", "Apply what was downloaded");
  commandRoute(app, parts, "cancel", "Cancel an update that does not install yet");
}

function exchangeRoute(app: Api, parts: ApiParts): void {
  app.get(
    "/updates/:id/exchanges",
    {
      schema: {
        tags: ["updates"],
        summary:
          "What the device was asked and what it answered: the last 200 exchanges of the last 3 attempts, oldest first",
        params: OneUpdate,
        response: { 200: Exchanges },
      },
    },
    async (request) => {
      const { id } = await findUpdate(parts, request.params.id);
      const { exchanges } = parts.stores;
      await exchanges.flush();
      return { items: await exchanges.list(id) };
    },
  );
}

function createRoute(app: Api, parts: ApiParts): void {
  const { commands } = parts;
  app.post(
    "/updates",
    {
      schema: {
        tags: ["updates"],
        summary: "Update one device; 200 with the running update when the very same is under way already",
        body: NewUpdate,
        response: { 200: Update, 201: Update },
      },
    },
    async (request, reply) => {
      const wish = request.body;
      await assertFits(parts, wish);
      const { update, isNew } = await createOrJoin(parts, wish);
      if (isNew) await commands.start(update);
      return await reply
        .status(isNew ? 201 : 200)
        .header("location", `/api/v1/updates/${update.id}`)
        .send(isNew ? update : await showUpdate(parts, update.id));
    },
  );
}

type CheckedWish = z.output<typeof NewUpdate>;

/** @throws {UsageError} UNKNOWN_DEVICE, UNKNOWN_IMAGE (404); IMAGE_MISMATCH (409) unless it is forced. */
async function assertFits({ stores }: ApiParts, { endpoint, imageId, target, force }: CheckedWish): Promise<void> {
  const device = await findDevice(stores, endpoint);
  if (device === undefined)
    throw new UsageError("UNKNOWN_DEVICE", `no device ${endpoint} has registered`, { endpoint });
  const image = await stores.images.get(imageId);
  if (image === undefined) throw new UsageError("UNKNOWN_IMAGE", `there is no image ${imageId}`, { imageId });
  const mismatch = force ? undefined : findMismatch(image, device, target);
  if (mismatch === undefined) return;
  throw new UsageError("IMAGE_MISMATCH", `the image is not for this device: ${mismatch}; force it if you know better`, {
    endpoint,
    imageId,
  });
}

/** Who asks twice for the same gets the one that runs: two operators, or one whose connection was lost. */
async function createOrJoin({ stores }: ApiParts, wish: CheckedWish): Promise<{ update: Update; isNew: boolean }> {
  try {
    return { update: await stores.updates.create(wish), isNew: true };
  } catch (error) {
    if (!(error instanceof UsageError && error.code === "UPDATE_RUNNING")) throw error;
    const running = await stores.updates.get(`${error.facts["updateId"]}`);
    if (running === undefined || !isSame(running, wish)) throw error;
    return { update: running, isNew: false };
  }
}

const isSame = (running: Update, wish: CheckedWish): boolean =>
  running.imageId === wish.imageId && running.target === wish.target && running.apply === wish.apply;

function retryRoute(app: Api, { stores, commands }: ApiParts): void {
  app.post(
    "/updates/:id/retry",
    {
      schema: {
        tags: ["updates"],
        summary: "The next attempt of an update that has failed, fallen silent, fallen back or was cancelled",
        params: OneUpdate,
        response: { 200: Update },
      },
    },
    async (request) => {
      const update = await stores.updates.reopen(request.params.id);
      await commands.start(update);
      return update;
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
      return await showUpdate(parts, id);
    },
  );
}

async function findUpdate({ stores }: ApiParts, id: string): Promise<Update> {
  const update = await stores.updates.get(id);
  if (update === undefined) throw new UsageError("UNKNOWN_UPDATE", `there is no update ${id}`, { updateId: id });
  return update;
}

/** An update with a sentence that is true now. */
async function showUpdate(parts: ApiParts, id: string): Promise<Update> {
  const update = await findUpdate(parts, id);
  return (await explained(parts, [update]))[0] ?? update;
}

async function explained({ stores, fleet }: ApiParts, updates: readonly Update[]): Promise<Update[]> {
  const unfinished = updates.filter(({ finishedAt }) => finishedAt === null).map(({ endpoint }) => endpoint);
  const devices = await stores.devices.getMany(unfinished);
  const nowMs = Date.now();
  return updates.map((update) => {
    const device = devices.get(update.endpoint);
    const asleepSinceMs = fleet.asleepSinceMs(update.endpoint);
    const known = device && { ...device, ...(asleepSinceMs !== undefined && { asleepSinceMs }) };
    return { ...update, sentence: explain(update, known, nowMs) };
  });
}

/** A device that registered a moment ago may wait in the batch. */
async function findDevice({ devices }: ApiParts["stores"], endpoint: string): Promise<StoredDevice | undefined> {
  const known = await devices.get(endpoint);
  if (known !== undefined) return known;
  await devices.flush();
  return await devices.get(endpoint);
}
