/** The HTTP server: every route, and what all of them share. */
import { UsageError } from "@airlift/protocol/lib/errors";
import { fastifySwagger } from "@fastify/swagger";
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from "fastify";
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import { Registry } from "prom-client";
import { serveConsole } from "./console.ts";
import { deviceRoutes } from "./devices.ts";
import { type EventFeedOptions, eventRoutes } from "./events.ts";
import { firmwareRoutes } from "./firmware.ts";
import { guardRequests } from "./guard.ts";
import { keepAnswers } from "./idempotency.ts";
import { imageRoutes } from "./images.ts";
import { serveMetrics } from "./metrics.ts";
import { sendProblem } from "./problem.ts";
import type { Api, ApiParts } from "./routes.ts";

import { updateRoutes } from "./updates.ts";
import { uploadRoutes } from "./uploads.ts";

export interface ApiOptions extends ApiParts {
  readonly log: FastifyBaseLogger;
  /** Where others have put their own figures; served at /metrics. */
  readonly metrics?: Registry;
  readonly feed?: EventFeedOptions;
}

/** JSON bodies are small; images are streamed and have a limit of their own. */
const LARGEST_JSON_BYTES = 64 * 1024;
/** A connection on which nothing moves is given up. */
const SILENT_CONNECTION_MS = 120_000;

/** Not listening yet; `listen` in `./listen.ts` does that. Close it before the stores. */
export async function createApi(options: ApiOptions): Promise<FastifyInstance> {
  const app: FastifyInstance = fastify({
    loggerInstance: options.log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: LARGEST_JSON_BYTES,
    connectionTimeout: SILENT_CONNECTION_MS,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 255 },
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(sendProblem);
  guardRequests(app, ownHosts(options));
  const answerPage = serveConsole(app);
  app.setNotFoundHandler((request, reply) => {
    if (answerPage(request, reply)) return reply;
    return sendProblem(
      new UsageError("NO_SUCH_ROUTE", `nothing is at ${request.method} ${request.url}`),
      request,
      reply,
    );
  });
  await describeApi(app);
  await app.register(async (root) => addRoutes(root, options));
  return app;
}

async function addRoutes(root: FastifyInstance, options: ApiOptions): Promise<void> {
  const { stores } = options;
  let listenerCount = () => 0;
  serveMetrics(root, options.metrics ?? new Registry(), {
    events: stores.events,
    listenerCount: () => listenerCount(),
  });
  await root.register(
    async (v1) => {
      const api: Api = v1.withTypeProvider<ZodTypeProvider>();
      keepAnswers(v1, stores.idempotency);
      imageRoutes(api, options);
      uploadRoutes(api, options);
      deviceRoutes(api, options);
      updateRoutes(api, options);
      listenerCount = eventRoutes(api, options, options.feed);
      v1.get("/openapi.json", { schema: { hide: true } }, async () => root.swagger());
    },
    { prefix: "/api/v1" },
  );
  firmwareRoutes(root.withTypeProvider<ZodTypeProvider>(), options);
  root.get("/healthz", { schema: { hide: true } }, async () => ({ status: "alive" }));
  root.get("/readyz", { schema: { hide: true } }, async () => {
    await stores.ping();
    return { status: "ready" };
  });
}

async function describeApi(app: FastifyInstance): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Airlift",
        version: "1",
        description: "Errors are RFC 9457 problem details with a stable `code`; lists page by `cursor`.",
      },
    },
    transform: jsonSchemaTransform,
  });
}

const ownHosts = ({ config }: ApiParts): string[] =>
  [config.httpHost, config.publicHost].flatMap((host) => (host === null ? [] : [host.toLowerCase()]));
