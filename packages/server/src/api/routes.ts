/** What every group of routes is given. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { ServeConfig } from "../config.ts";
import type { Stores } from "../store/ports.ts";
import type { FleetCommands, MeshCommands, OperationCommands, UpdateCommands } from "./ports.ts";

export interface ApiParts {
  /** Absent: there are no meshes, and no routes for them. */
  readonly mesh?: MeshCommands | undefined;
  readonly config: Pick<ServeConfig, "httpHost" | "publicHost" | "maxImageBytes" | "noAuth"> &
    Partial<Pick<ServeConfig, "trustedProxies" | "tlsCertFile" | "tlsKeyFile">>;
  readonly stores: Stores;
  readonly commands: UpdateCommands;
  readonly fleet: FleetCommands;
  /** Absent: nothing is asked of devices, and the routes for that are not there. */
  readonly operations?: OperationCommands | undefined;
}

/** What the routes are given that ask devices. */
export type OperationParts = ApiParts & { readonly operations: OperationCommands };

/** Fastify with our schemas as its types. */
export type Api = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;
