/** /api/v1/devices/{endpoint}/…: the operations of LwM2M on one device, at once and answered by the device itself. */
import {
  DeviceObjectList,
  DiscoverAnswer,
  DiscoverQuery,
  DoneAnswer,
  LastValueList,
  NewAttributes,
  NewExecution,
  NewInstance,
  NewValue,
  NewValues,
  OperationQuery,
  PathList,
  ReadAnswer,
  ReadQuery,
} from "@airlift/protocol/api/operations";
import { z } from "zod";
import { OneDevice, type OneDeviceParams, requireDevice } from "./devices.ts";
import type { OperationTarget } from "./ports.ts";
import type { Api, OperationParts } from "./routes.ts";

/** What follows the endpoint's name is the path of the resource: "3/0/1", or with names. */
const OneResource = OneDevice.extend({ "*": z.string().min(1).max(512) });

const tags = ["operations"];

export function operationRoutes(app: Api, parts: OperationParts): void {
  const target = targetsOf(parts);
  resourceRoutes(app, parts, target);
  commandRoutes(app, parts, target);
  compositeRoutes(app, parts, target);
  knownRoutes(app, parts);
}

/** A device of the path, known to the store, and the time it may take. */
export type TargetOf = (params: OneDeviceParams, query: { readonly timeoutS: number }) => Promise<OperationTarget>;

export function targetsOf(parts: OperationParts): TargetOf {
  return async ({ endpoint }, { timeoutS }) => {
    await requireDevice(parts, endpoint);
    return { endpoint, timeoutMs: timeoutS * 1000 };
  };
}

function resourceRoutes(app: Api, { operations }: OperationParts, target: TargetOf): void {
  const url = "/devices/:endpoint/resources/*";
  app.get(
    url,
    {
      schema: { tags, summary: "Read", params: OneResource, querystring: ReadQuery, response: { 200: ReadAnswer } },
    },
    async ({ params, query }) => await operations.read(await target(params, query), [params["*"]], query.format),
  );
  for (const [method, mode, summary] of [
    ["PUT", "replace", "Write, replacing what is there"],
    ["PATCH", "update", "Write, changing only what is given"],
  ] as const) {
    app.route({
      method,
      url,
      schema: {
        tags,
        summary,
        params: OneResource,
        querystring: ReadQuery,
        body: NewValue,
        response: { 200: DoneAnswer },
      },
      handler: async ({ params, query, body }) =>
        await operations.write(await target(params, query), params["*"], { given: body, mode, format: query.format }),
    });
  }
  app.delete(
    url,
    {
      schema: {
        tags,
        summary: "Delete an instance",
        params: OneResource,
        querystring: OperationQuery,
        response: { 200: DoneAnswer },
      },
    },
    async ({ params, query }) => await operations.delete(await target(params, query), params["*"]),
  );
}

function commandRoutes(app: Api, { operations }: OperationParts, target: TargetOf): void {
  const shared = { tags, params: OneDevice, querystring: OperationQuery, response: { 200: DoneAnswer } };
  app.post(
    "/devices/:endpoint/execute",
    { schema: { ...shared, summary: "Execute a resource", body: NewExecution } },
    async ({ params, query, body }) => await operations.execute(await target(params, query), body),
  );
  app.post(
    "/devices/:endpoint/create",
    { schema: { ...shared, summary: "Create an instance", body: NewInstance } },
    async ({ params, query, body }) => await operations.create(await target(params, query), body),
  );
  app.put(
    "/devices/:endpoint/attributes",
    { schema: { ...shared, summary: "Write attributes of notifications", body: NewAttributes } },
    async ({ params, query, body: { path, attributes } }) =>
      await operations.writeAttributes(await target(params, query), path, attributes),
  );
  app.get(
    "/devices/:endpoint/discover",
    {
      schema: {
        tags,
        summary: "What is there, with attributes",
        params: OneDevice,
        querystring: DiscoverQuery,
        response: { 200: DiscoverAnswer },
      },
    },
    async ({ params, query }) => await operations.discover(await target(params, query), query.path),
  );
}

function compositeRoutes(app: Api, { operations }: OperationParts, target: TargetOf): void {
  app.post(
    "/devices/:endpoint/composite/read",
    {
      schema: {
        tags,
        summary: "Read several paths at once",
        params: OneDevice,
        querystring: ReadQuery,
        body: PathList,
        response: { 200: ReadAnswer },
      },
    },
    async ({ params, query, body }) => await operations.read(await target(params, query), body.paths, query.format),
  );
  app.post(
    "/devices/:endpoint/composite/write",
    {
      schema: {
        tags,
        summary: "Write several paths at once",
        params: OneDevice,
        querystring: ReadQuery,
        body: NewValues,
        response: { 200: DoneAnswer },
      },
    },
    async ({ params, query, body }) => await operations.writeComposite(await target(params, query), body, query.format),
  );
}

/** What is known without asking the device. */
function knownRoutes(app: Api, parts: OperationParts): void {
  const { operations } = parts;
  app.get(
    "/devices/:endpoint/values",
    {
      schema: {
        tags,
        summary: "What the device told last",
        params: OneDevice,
        response: { 200: LastValueList },
      },
    },
    async ({ params: { endpoint } }) => {
      await requireDevice(parts, endpoint);
      return { items: operations.lastValues(endpoint) };
    },
  );
  app.get(
    "/devices/:endpoint/objects",
    {
      schema: {
        tags,
        summary: "Registered objects with their versions",
        params: OneDevice,
        response: { 200: DeviceObjectList },
      },
    },
    async ({ params: { endpoint } }) => {
      await requireDevice(parts, endpoint);
      return { items: operations.objects(endpoint) };
    },
  );
}
