/** /api/v1/devices/{endpoint}/queue: requests that wait until their device is awake. */
import { NewQueuedRequest, pageOf, QueuedRequest, QueuedRequestId } from "@airlift/protocol/api/schemas";
import { z } from "zod";
import { pathsOf } from "../fleet/queued-request.ts";
import type { RequestRecord } from "../store/request-queue-store.ts";
import { requireDevice } from "./devices.ts";
import type { Api, ApiParts } from "./routes.ts";

const OneDevice = z.object({ endpoint: z.string().min(1).max(255) });
const OneRequest = OneDevice.extend({ id: z.string().min(1).max(64) });

export function deviceQueueRoutes(app: Api, { stores, fleet: { queue } }: ApiParts): void {
  const tags = ["devices"];

  app.get(
    "/devices/:endpoint/queue",
    {
      schema: {
        tags,
        summary: "Requests that wait for a device in their order, then the last ones that have finished",
        params: OneDevice,
        response: { 200: pageOf(QueuedRequest) },
      },
    },
    async ({ params: { endpoint } }) => {
      await requireDevice({ stores }, endpoint);
      return { items: (await queue.list(endpoint)).map(toQueuedRequest), next: null };
    },
  );

  app.post(
    "/devices/:endpoint/queue",
    {
      schema: {
        tags,
        summary: "Ask something of a device as soon as it is awake",
        params: OneDevice,
        body: NewQueuedRequest,
        response: { 202: QueuedRequestId },
      },
    },
    async ({ params: { endpoint }, body }, reply) => {
      await requireDevice({ stores }, endpoint);
      const { ttlS, ...content } = body;
      const id = await queue.submit(endpoint, content, ttlS === undefined ? {} : { ttlS });
      reply.header("location", `/api/v1/devices/${encodeURIComponent(endpoint)}/queue`);
      return reply.code(202).send({ id });
    },
  );

  app.delete(
    "/devices/:endpoint/queue/:id",
    { schema: { tags, summary: "Take back a request that has not been sent", params: OneRequest } },
    async ({ params: { endpoint, id } }, reply) => {
      await queue.cancel(endpoint, id);
      return reply.code(204).send();
    },
  );
}

function toQueuedRequest(record: RequestRecord): QueuedRequest {
  const { id, endpoint, state, attempts, outcome, answer } = record;
  const { query, ...content } = record.content;
  const iso = (atMs: number): string => new Date(atMs).toISOString();
  return {
    id,
    endpoint,
    ...content,
    paths: [...pathsOf(record.content)],
    ...(query !== undefined && { query: [...query] }),
    state,
    attempts,
    submittedAt: iso(record.submittedAtMs),
    expiresAt: iso(record.expiresAtMs),
    finishedAt: record.finishedAtMs === null ? null : iso(record.finishedAtMs),
    outcome,
    answer,
  };
}
