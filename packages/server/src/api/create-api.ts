/** The HTTP server: every route, and what all of them share. */

import type { Server as TlsServer } from "node:tls";
import { plainWords } from "@airlift/protocol/api/plain-words";
import { UsageError } from "@airlift/protocol/lib/errors";
import { offsetAt } from "@airlift/runtime/zone-offset";
import { fastifySwagger } from "@fastify/swagger";
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from "fastify";
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import { Registry } from "prom-client";
import { z } from "zod";
import { CampaignEngine } from "../campaign/engine.ts";
import { ACCESS, requireRoles } from "./access.ts";
import { auditRoutes } from "./audit.ts";
import { keepAuditTrail } from "./audit-trail.ts";
import { campaignCommandRoutes } from "./campaign-commands.ts";
import { describeCampaigns } from "./campaign-metrics.ts";
import { campaignRoutes } from "./campaigns.ts";
import { serveConsole } from "./console.ts";
import { credentialRoutes } from "./credentials.ts";
import { deviceCampaignRoutes } from "./device-campaigns.ts";
import { deviceQueueRoutes } from "./device-queue.ts";
import { deviceRoutes, type OneDeviceParams } from "./devices.ts";
import { type EventFeedOptions, eventRoutes } from "./events.ts";
import { firmwareRoutes } from "./firmware.ts";
import { type Elsewhere, forwardRequests } from "./forwarding.ts";
import { gatewayRoutes } from "./gateways.ts";
import { guardRequests } from "./guard.ts";
import { keepAnswers } from "./idempotency.ts";
import { imageRoutes } from "./images.ts";
import { meshRoutes, namedContentRoutes } from "./mesh.ts";
import { serveMetrics } from "./metrics.ts";
import { observationRoutes } from "./observations.ts";
import type { OidcOptions } from "./oidc.ts";
import { oidcRoutes } from "./oidc-routes.ts";
import { operationRoutes } from "./operations.ts";
import { identifyRequests, type PrincipalOptions } from "./principal.ts";
import { sendProblem } from "./problem.ts";
import type { Api, ApiParts } from "./routes.ts";
import { serverRoutes } from "./server.ts";
import { sessionRoutes } from "./sessions.ts";
import type { TlsFiles } from "./tls-files.ts";
import { tokenRoutes } from "./tokens.ts";
import { updateCommandRoutes, updateRoutes } from "./updates.ts";
import { uploadRoutes } from "./uploads.ts";
import { webhookRoutes } from "./webhooks.ts";

export interface ApiOptions extends ApiParts {
  readonly log: FastifyBaseLogger;
  /** Where others have put their own figures; served at /metrics. */
  readonly metrics?: Registry;
  readonly feed?: EventFeedOptions;
  readonly attempts?: PrincipalOptions["attempts"];
  /** A provider to sign in with, besides tokens. */
  readonly oidc?: OidcOptions | undefined;
  /** Certificate and key; absent = HTTP without TLS. */
  readonly tls?: TlsFiles | undefined;
}

/** JSON bodies are small; images are streamed and have a limit of their own. */
const LARGEST_JSON_BYTES = 64 * 1024;
/** A connection on which nothing moves is given up. */
const SILENT_CONNECTION_MS = 120_000;

/**
 * Not listening yet; `listen` in `./listen.ts` does that. Close it before the stores.
 *
 * @throws {BugError} ROUTE_WITHOUT_ROLE
 */
export async function createApi(options: ApiOptions): Promise<FastifyInstance> {
  const app = fastify({
    ...tlsOptions(options.tls),
    trustProxy: trustedProxies(options),
    loggerInstance: options.log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: LARGEST_JSON_BYTES,
    connectionTimeout: SILENT_CONNECTION_MS,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 255 },
  }) as FastifyInstance;
  options.tls?.serve(app.server as unknown as TlsServer);
  // Whoever wrote a request is told what was expected in words of ours.
  z.config({ localeError: plainWords });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(sendProblem);
  const refuseMissingRoles = requireRoles(app);
  const { noAuth } = options.config;
  guardRequests(app, { ownHosts: ownHosts(options), noAuth, isTls: options.tls !== undefined });
  keepAuditTrail(app, options.stores.audit);
  const check = identifyRequests(app, { tokens: options.stores.tokens, noAuth, attempts: options.attempts });
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
  await app.register(async (root) => addRoutes(root, options, check));
  refuseMissingRoles();
  return app;
}

/** Slow or silent clients hold no connection; nothing older than TLS 1.2 (RFC 8996). */
const tlsOptions = (tls: TlsFiles | undefined) =>
  tls === undefined ? {} : { https: { ...tls.current, minVersion: "TLSv1.2" as const } };

const trustedProxies = ({ config: { trustedProxies = [] } }: ApiOptions): string[] | false =>
  trustedProxies.length > 0 ? [...trustedProxies] : false;

async function addRoutes(
  root: FastifyInstance,
  options: ApiOptions,
  check: ReturnType<typeof identifyRequests>,
): Promise<void> {
  const { stores } = options;
  let listenerCount = () => 0;
  const metrics = options.metrics ?? new Registry();
  describeCampaigns(metrics, stores);
  serveMetrics(root, metrics, {
    stores,
    listenerCount: () => listenerCount(),
  });
  await root.register(
    async (v1) => {
      const api: Api = v1.withTypeProvider<ZodTypeProvider>();
      keepAnswers(v1, stores.idempotency, stores.credentials);
      imageRoutes(api, options);
      uploadRoutes(api, options);
      deviceRoutes(api, options);
      const { operations } = options;
      if (operations)
        await v1.register(async (near) => {
          forwardRequests(near, stores.nodes, holderOf(options));
          operationRoutes(near.withTypeProvider<ZodTypeProvider>(), { ...options, operations });
          observationRoutes(near.withTypeProvider<ZodTypeProvider>(), { ...options, operations });
        });
      credentialRoutes(api, options);
      tokenRoutes(api, options);
      sessionRoutes(api, options, check);
      oidcRoutes(api, options, options.oidc);
      deviceQueueRoutes(api, options);
      updateRoutes(api, options);
      await v1.register(async (near) => {
        forwardRequests(near, stores.nodes, driverOf(options));
        updateCommandRoutes(near.withTypeProvider<ZodTypeProvider>(), options);
      });
      if (options.mesh) {
        const parts = { ...options, mesh: options.mesh };
        gatewayRoutes(api, parts);
        meshRoutes(api, parts);
      }
      campaignRoutes(api, options);
      deviceCampaignRoutes(api, options);
      const campaigns = options.campaigns ?? new CampaignEngine(stores.campaigns, offsetAt);
      campaignCommandRoutes(api, { ...options, campaigns });
      serverRoutes(api, options);
      auditRoutes(api, options);
      webhookRoutes(api, options);
      listenerCount = eventRoutes(api, options, options.feed);
      v1.get("/openapi.json", { schema: { hide: true } }, async () => root.swagger());
    },
    { prefix: "/api/v1" },
  );
  firmwareRoutes(root.withTypeProvider<ZodTypeProvider>(), options);
  if (options.mesh) namedContentRoutes(root.withTypeProvider<ZodTypeProvider>(), { ...options, mesh: options.mesh });
  root.get("/healthz", { schema: { hide: true } }, async () => ({ status: "alive" }));
  root.get("/readyz", { schema: { hide: true } }, async () => {
    await stores.ping();
    return { status: "ready" };
  });
}

/** The server that has the device of a request, when it is another one. What may wait is put on record at any. */
const holderOf = ({ fleet, stores }: ApiOptions): Elsewhere => ({
  find: async ({ params }) => {
    const { endpoint } = params as OneDeviceParams;
    return fleet.isHere(endpoint) ? undefined : await stores.nodes.holderOf(endpoint);
  },
  canDoHere: ({ query }) => (query as { queue?: string }).queue === "true",
});

/** The server that drives the update of a request, when it is another one. */
const driverOf = ({ commands, stores }: ApiOptions): Elsewhere => ({
  find: async ({ params }) => {
    const { id } = params as { id: string };
    return commands.isRunning(id) ? undefined : await stores.nodes.driverOf(id);
  },
});

async function describeApi(app: FastifyInstance): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Airlift",
        version: "1",
        description: "Errors are RFC 9457 problem details with a stable `code`; lists page by `cursor`.",
      },
      components: {
        securitySchemes: {
          token: { type: "http", scheme: "bearer", description: "A token of `airlift token create`: airlift_…" },
          session: { type: "apiKey", in: "cookie", name: "__Host-airlift_session", description: "A signed-in browser" },
        },
      },
    },
    transform: withRole,
  });
}

/** Says of each route which role it wants. */
const withRole: typeof jsonSchemaTransform = (route) => {
  const described = jsonSchemaTransform(route);
  const access = ACCESS[`${[route.route.method].flat()[0]} ${route.url}`] ?? "admin";
  const security = access === "open" ? [] : [{ token: [] }, { session: [] }];
  return { ...described, schema: { ...described.schema, security, "x-role": access } };
};

const ownHosts = ({ config }: ApiParts): string[] =>
  [config.httpHost, config.publicHost].flatMap((host) => (host === null ? [] : [host.toLowerCase()]));
