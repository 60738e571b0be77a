/** What every group of routes is given. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { CampaignEngine } from "../campaign/engine.ts";
import type { ServeConfig } from "../config.ts";
import type { Stores } from "../store/ports.ts";
import type { FleetCommands, MeshCommands, OperationCommands, UpdateCommands } from "./ports.ts";

/** What is told to campaigns. */
export type CampaignCommands = Pick<CampaignEngine, "command" | "retry">;

export interface ApiParts {
  /** Absent: there are no meshes, and no routes for them. */
  readonly mesh?: MeshCommands | undefined;
  readonly config: Pick<ServeConfig, "httpHost" | "publicHost" | "maxImageBytes" | "noAuth"> &
    Partial<
      Pick<
        ServeConfig,
        | "trustedProxies"
        | "tlsCertFile"
        | "tlsKeyFile"
        | "databaseUrl"
        | "plainDevices"
        | "trustedKeyFiles"
        | "allowHttpWebhooks"
        | "allowPrivateWebhooks"
      >
    >;
  /** Where devices are listened for. */
  readonly coapUrls?: readonly string[];
  readonly stores: Stores;
  readonly commands: UpdateCommands;
  readonly fleet: FleetCommands;
  /** Absent: the rules alone. They decide what is to be done, and nobody here does it. */
  readonly campaigns?: CampaignCommands | undefined;
  /** Absent: nothing is asked of devices, and the routes for that are not there. */
  readonly operations?: OperationCommands | undefined;
}

/** What the routes are given that ask devices. */
export type OperationParts = ApiParts & { readonly operations: OperationCommands };

/** What the routes are given that tell campaigns something. */
export type CampaignParts = ApiParts & { readonly campaigns: CampaignCommands };

/** Fastify with our schemas as its types. */
export type Api = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;
