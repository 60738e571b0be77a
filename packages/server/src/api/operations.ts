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
  QueuedAnswer,
  ReadAnswer,
  ReadQuery,
} from "@airlift/protocol/api/operations";
import { z } from "zod";
import type { OperationWish } from "../fleet/operation-wish.ts";
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

interface Asked {
  readonly params: OneDeviceParams;
  readonly query: { readonly timeoutS: number; readonly queue: "true" | "false" };
}

/** Asks the device now, or has the request wait for it, as the query says; 202 is what the second is answered with. */
function asking(parts: OperationParts, target: TargetOf) {
  return async <Answer>(
    { params, query }: Asked,
    reply: { code(status: 202): unknown },
    { wish, now }: { wish: OperationWish; now: (target: OperationTarget) => Promise<Answer> },
  ): Promise<Answer | QueuedAnswer> => {
    const found = await target(params, query);
    if (query.queue === "false") return await now(found);
    const content = await parts.operations.contentOf(found.endpoint, wish);
    const id = await parts.fleet.queue.submit(found.endpoint, content);
    reply.code(202);
    return { id };
  };
}

function resourceRoutes(app: Api, parts: OperationParts, target: TargetOf): void {
  const { operations } = parts;
  const ask = asking(parts, target);
  const url = "/devices/:endpoint/resources/*";
  app.get(
    url,
    {
      schema: {
        tags,
        summary: "Read",
        params: OneResource,
        querystring: ReadQuery,
        response: { 200: ReadAnswer, 202: QueuedAnswer },
      },
    },
    (request, reply) => {
      const { params, query } = request;
      const paths = [params["*"]];
      const wish = { operation: "read", paths, format: query.format } as const;
      return ask(request, reply, { wish, now: (at) => operations.read(at, paths, query.format) });
    },
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
        response: { 200: DoneAnswer, 202: QueuedAnswer },
      },
      handler: (request, reply) => {
        const path = request.params["*"];
        const write = { given: request.body, mode, format: request.query.format };
        const wish = { operation: mode === "replace" ? "write" : "update", path, write } as const;
        return ask(request, reply, { wish, now: (at) => operations.write(at, path, write) });
      },
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
        response: { 200: DoneAnswer, 202: QueuedAnswer },
      },
    },
    (request, reply) => {
      const path = request.params["*"];
      const wish = { operation: "delete", path, isDiscover: false } as const;
      return ask(request, reply, { wish, now: (at) => operations.delete(at, path) });
    },
  );
}

function commandRoutes(app: Api, parts: OperationParts, target: TargetOf): void {
  const { operations } = parts;
  const ask = asking(parts, target);
  const shared = {
    tags,
    params: OneDevice,
    querystring: OperationQuery,
    response: { 200: DoneAnswer, 202: QueuedAnswer },
  };
  app.post(
    "/devices/:endpoint/execute",
    { schema: { ...shared, summary: "Execute a resource", body: NewExecution } },
    (request, reply) => {
      const { body } = request;
      const wish = { operation: "execute", path: body.path, execution: body } as const;
      return ask(request, reply, { wish, now: (at) => operations.execute(at, body) });
    },
  );
  app.post(
    "/devices/:endpoint/create",
    { schema: { ...shared, summary: "Create an instance", body: NewInstance } },
    (request, reply) => {
      const { body } = request;
      const wish = { operation: "create", path: body.path, instance: body } as const;
      return ask(request, reply, { wish, now: (at) => operations.create(at, body) });
    },
  );
  app.put(
    "/devices/:endpoint/attributes",
    { schema: { ...shared, summary: "Write attributes of notifications", body: NewAttributes } },
    (request, reply) => {
      const { path, attributes } = request.body;
      const wish = { operation: "writeAttributes", path, attributes } as const;
      return ask(request, reply, { wish, now: (at) => operations.writeAttributes(at, path, attributes) });
    },
  );
  app.get(
    "/devices/:endpoint/discover",
    {
      schema: {
        tags,
        summary: "What is there, with attributes",
        params: OneDevice,
        querystring: DiscoverQuery,
        response: { 200: DiscoverAnswer, 202: QueuedAnswer },
      },
    },
    (request, reply) => {
      const { path } = request.query;
      const wish = { operation: "discover", path, isDiscover: true } as const;
      return ask(request, reply, { wish, now: (at) => operations.discover(at, path) });
    },
  );
}

function compositeRoutes(app: Api, parts: OperationParts, target: TargetOf): void {
  const { operations } = parts;
  const ask = asking(parts, target);
  app.post(
    "/devices/:endpoint/composite/read",
    {
      schema: {
        tags,
        summary: "Read several paths at once",
        params: OneDevice,
        querystring: ReadQuery,
        body: PathList,
        response: { 200: ReadAnswer, 202: QueuedAnswer },
      },
    },
    (request, reply) => {
      const { format } = request.query;
      const { paths } = request.body;
      const wish = { operation: paths.length === 1 ? "read" : "readComposite", paths, format } as const;
      return ask(request, reply, { wish, now: (at) => operations.read(at, paths, format) });
    },
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
        response: { 200: DoneAnswer, 202: QueuedAnswer },
      },
    },
    (request, reply) => {
      const { body: values, query } = request;
      const wish = { operation: "writeComposite", values, format: query.format } as const;
      return ask(request, reply, { wish, now: (at) => operations.writeComposite(at, values, query.format) });
    },
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
      return operations.lastValues(endpoint);
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
