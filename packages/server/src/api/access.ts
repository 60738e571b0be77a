/** Who may ask for what: the least role of every route, in one table. A route that is not here keeps the server from starting. */
import { ROLES, type Role } from "@airlift/protocol/api/credentials";
import { BugError, UsageError } from "@airlift/protocol/lib/errors";
import type { FastifyInstance, FastifyRequest } from "fastify";

/** `open` = without a token. */
export type Access = Role | "open";

/** By method and pattern, as the route is registered. */
export const ACCESS: Readonly<Record<string, Access>> = {
  // Nothing of the fleet is in these.
  "GET /": "open",
  "GET /assets/*": "open",
  "GET /healthz": "open",
  "GET /readyz": "open",
  "GET /api/v1/openapi.json": "open",
  // Devices download without a token; who knows an image's id may have the image. See docs/threat-model.md.
  "GET /firmware/:image": "open",
  "HEAD /firmware/:image": "open",
  // Ciphertext, as it is on the air.
  "GET /zdm/sw/*": "open",
  // They look at what they are given themselves.
  "POST /api/v1/session": "open",
  "DELETE /api/v1/session": "open",
  "GET /api/v1/session/methods": "open",
  "GET /api/v1/session/oidc": "open",
  "GET /api/v1/session/oidc/callback": "open",

  // A gateway's own; see `assertOwnGateway`.
  "GET /api/v1/gateways/:id/orders": "gateway",
  "GET /api/v1/gateways/:id/contents/:name": "gateway",
  "POST /api/v1/gateways/:id/reports": "gateway",

  "GET /api/v1/gateways": "viewer",
  "GET /api/v1/gateways/:id": "viewer",
  "GET /api/v1/gateways/:id/airtime": "viewer",
  "GET /api/v1/mesh/devices": "viewer",
  "GET /api/v1/mesh/devices/:endpoint": "viewer",
  "GET /api/v1/mesh/groups": "viewer",
  "GET /api/v1/mesh/sessions": "viewer",
  "GET /api/v1/mesh/plan": "viewer",
  "GET /api/v1/mesh/manifest-key": "viewer",
  "GET /api/v1/campaigns/:id/broadcast": "viewer",
  "GET /metrics": "viewer",
  "GET /api/v1/session": "viewer",
  "GET /api/v1/server": "viewer",
  "GET /api/v1/statistics/versions": "viewer",
  "GET /api/v1/images": "viewer",
  "GET /api/v1/images/:id": "viewer",
  "GET /api/v1/devices": "viewer",
  "GET /api/v1/devices/:endpoint": "viewer",
  "GET /api/v1/device-preview": "viewer",
  "GET /api/v1/devices/:endpoint/campaigns": "viewer",
  "GET /api/v1/devices/:endpoint/events": "viewer",
  "GET /api/v1/devices/:endpoint/values": "viewer",
  "GET /api/v1/devices/:endpoint/objects": "viewer",
  "GET /api/v1/devices/:endpoint/observations": "viewer",
  "GET /api/v1/updates": "viewer",
  "GET /api/v1/updates/:id": "viewer",
  "GET /api/v1/updates/:id/exchanges": "viewer",
  "GET /api/v1/devices/:endpoint/queue": "viewer",
  "GET /api/v1/events": "viewer",
  "GET /api/v1/devices/:endpoint/credentials": "viewer",
  "GET /api/v1/authorities": "viewer",

  "GET /api/v1/campaigns": "viewer",
  "GET /api/v1/campaigns/:id": "viewer",
  "GET /api/v1/campaigns/:id/plan": "viewer",
  "GET /api/v1/campaigns/:id/targets": "viewer",
  "GET /api/v1/campaigns/:id/events": "viewer",
  // They change nothing.
  "POST /api/v1/campaigns/preview": "viewer",
  "POST /api/v1/campaigns/plan": "viewer",

  "POST /api/v1/campaigns": "operator",
  "PATCH /api/v1/campaigns/:id": "operator",
  "DELETE /api/v1/campaigns/:id": "operator",
  "POST /api/v1/campaigns/:id/submit": "operator",
  "POST /api/v1/campaigns/:id/approve": "approver",
  // Who submitted it may take it back, and nobody is harmed by a draft.
  "POST /api/v1/campaigns/:id/reject": "operator",
  "POST /api/v1/campaigns/:id/start": "operator",
  "POST /api/v1/campaigns/:id/pause": "operator",
  "POST /api/v1/campaigns/:id/resume": "operator",
  "POST /api/v1/campaigns/:id/stop": "operator",
  "POST /api/v1/campaigns/:id/abort": "operator",
  "POST /api/v1/campaigns/:id/rollback": "operator",
  "POST /api/v1/campaigns/:id/retry": "operator",
  "POST /api/v1/images": "operator",
  "POST /api/v1/uploads": "operator",
  "GET /api/v1/uploads/:id": "operator",
  "PATCH /api/v1/uploads/:id": "operator",
  "POST /api/v1/uploads/:id/finish": "operator",
  "DELETE /api/v1/uploads/:id": "operator",
  "PATCH /api/v1/devices/:endpoint": "operator",
  "POST /api/v1/device-import": "operator",
  "POST /api/v1/updates": "operator",
  "POST /api/v1/updates/:id/apply": "operator",
  "POST /api/v1/updates/:id/cancel": "operator",
  "POST /api/v1/updates/:id/retry": "operator",
  "POST /api/v1/devices/:endpoint/queue": "operator",
  "DELETE /api/v1/devices/:endpoint/queue/:id": "operator",
  "GET /api/v1/devices/:endpoint/resources/*": "operator",
  "PUT /api/v1/devices/:endpoint/resources/*": "operator",
  "PATCH /api/v1/devices/:endpoint/resources/*": "operator",
  "DELETE /api/v1/devices/:endpoint/resources/*": "operator",
  "POST /api/v1/devices/:endpoint/execute": "operator",
  "POST /api/v1/devices/:endpoint/create": "operator",
  "PUT /api/v1/devices/:endpoint/attributes": "operator",
  "GET /api/v1/devices/:endpoint/discover": "operator",
  "POST /api/v1/devices/:endpoint/composite/read": "operator",
  "POST /api/v1/devices/:endpoint/composite/write": "operator",
  "POST /api/v1/devices/:endpoint/observations": "operator",
  "DELETE /api/v1/devices/:endpoint/observations/:id": "operator",

  // Whoever hands out credentials decides who is a device.
  "POST /api/v1/mesh/devices": "admin",
  "POST /api/v1/mesh/groups/:id/rotate": "admin",
  "POST /api/v1/gateways": "admin",
  "DELETE /api/v1/gateways/:id": "admin",
  "POST /api/v1/devices/:endpoint/credentials": "admin",
  "POST /api/v1/devices/:endpoint/credentials/rotate": "admin",
  "DELETE /api/v1/devices/:endpoint/credentials/:id": "admin",
  "POST /api/v1/devices/:endpoint/allow-plain": "admin",
  "POST /api/v1/credentials": "admin",
  "POST /api/v1/authorities": "admin",
  "DELETE /api/v1/authorities/:fingerprint": "admin",
  "POST /api/v1/master-key/rotate": "admin",
  "GET /api/v1/tokens": "admin",
  "POST /api/v1/tokens": "admin",
  "DELETE /api/v1/tokens/:id": "admin",
  "GET /api/v1/audit": "admin",
  "GET /api/v1/audit/verification": "admin",
  "POST /api/v1/audit/cut": "admin",
  // Where events go is a way out of the fleet's data, and a URL may hold a receiver's secret.
  "GET /api/v1/webhooks": "admin",
  "POST /api/v1/webhooks": "admin",
  "GET /api/v1/webhooks/:id": "admin",
  "PATCH /api/v1/webhooks/:id": "admin",
  "DELETE /api/v1/webhooks/:id": "admin",
  "GET /api/v1/webhooks/:id/deliveries": "admin",
  "POST /api/v1/webhooks/:id/replay": "admin",
  "POST /api/v1/webhooks/:id/test": "admin",
};

export function isAllowed(role: Role, least: Access): boolean {
  if (least === "open") return true;
  // Nobody but a gateway speaks for one, and whoever hands out its tokens.
  if (least === "gateway") return role === "gateway" || role === "admin";
  return ROLES.indexOf(role) >= ROLES.indexOf(least);
}

/**
 * The least role of the route that a request met; what met none may be told so without a token.
 *
 * @throws {BugError} ROUTE_WITHOUT_ROLE, which `requireRoles` has made impossible.
 */
export function accessOf({ routeOptions: { url }, method }: FastifyRequest): Access {
  return url === undefined ? "open" : lookUp(`${method} ${url}`);
}

/**
 * Watches for routes that the table does not know; to be called before the first route is added.
 *
 * @returns To be called after the last one: throws {BugError} ROUTE_WITHOUT_ROLE with all of them.
 */
export function requireRoles(app: FastifyInstance): () => void {
  const missing: string[] = [];
  app.addHook("onRoute", ({ method, url }) => {
    for (const one of [method].flat()) if (!(`${one} ${url}` in ACCESS)) missing.push(`${one} ${url}`);
  });
  return () => {
    if (missing.length > 0) throw withoutRole(missing);
  };
}

/** @throws {UsageError} ROLE_REFUSED */
export function refuseLesserRole(role: Role, least: Access): void {
  if (isAllowed(role, least)) return;
  throw new UsageError("ROLE_REFUSED", `this wants the role ${least}, and the token has ${role}`, { least, role });
}

function lookUp(route: string): Access {
  const access = ACCESS[route];
  if (access === undefined) throw withoutRole([route]);
  return access;
}

const withoutRole = (routes: readonly string[]): BugError =>
  new BugError("ROUTE_WITHOUT_ROLE", `no role is stated in api/access.ts for ${routes.join(", ")}`, { routes });
