/** /api/v1/devices/{endpoint}/observations: what a device is asked to tell; its values come as events `device.value`. */
import { NewObservation, ObservationList, PathList, ReadQuery } from "@airlift/protocol/api/operations";
import { z } from "zod";
import { OneDevice, requireDevice } from "./devices.ts";
import { targetsOf } from "./operations.ts";
import type { Api, OperationParts } from "./routes.ts";

const OneObservation = OneDevice.extend({ id: z.string().min(1).max(64) });
/** There is nobody yet to take the values of an observation that begins while no one looks. */
const ObserveQuery = ReadQuery.extend({
  queue: z.literal("false", "an observation cannot wait for a device that sleeps").default("false"),
});
const tags = ["operations"];

export function observationRoutes(app: Api, parts: OperationParts): void {
  const { operations } = parts;
  const target = targetsOf(parts);
  app.get(
    "/devices/:endpoint/observations",
    { schema: { tags, summary: "Observations kept", params: OneDevice, response: { 200: ObservationList } } },
    async ({ params: { endpoint } }) => {
      await requireDevice(parts, endpoint);
      return { items: await operations.observationsOf(endpoint) };
    },
  );
  app.post(
    "/devices/:endpoint/observations",
    {
      schema: {
        tags,
        summary: "Observe one path, or several as one",
        params: OneDevice,
        querystring: ObserveQuery,
        body: PathList,
        response: { 201: NewObservation },
      },
    },
    async ({ params, query, body }, reply) => {
      const answer = await operations.observe(await target(params, query), body.paths, query.format);
      return await reply.status(201).send(answer);
    },
  );
  app.delete(
    "/devices/:endpoint/observations/:id",
    { schema: { tags, summary: "Withdraw an observation", params: OneObservation, response: { 204: z.null() } } },
    async ({ params: { endpoint, id } }, reply) => {
      await operations.cancel(endpoint, id);
      return await reply.status(204).send(null);
    },
  );
}
