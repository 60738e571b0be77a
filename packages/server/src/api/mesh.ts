/** /api/v1/mesh: devices behind gateways, their groups, the broadcasts; and the contents that a device fetches by itself. */
import {
  BroadcastSection,
  ManifestKey,
  MeshDevice,
  MeshGroup,
  MeshPlan,
  MeshPlanQuery,
  MeshSession,
  NewMeshDevice,
} from "@airlift/protocol/api/mesh";
import { pageOf } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import { z } from "zod";
import { requireCampaign } from "./campaigns.ts";
import type { MeshCommands } from "./ports.ts";
import { PageQuery } from "./queries.ts";
import type { Api, ApiParts } from "./routes.ts";

type MeshParts = ApiParts & { readonly mesh: MeshCommands };

const tags = ["mesh"];
const OneDevice = z.object({ endpoint: z.string().min(1).max(255) });
const OneGroup = z.object({ id: z.string().min(1).max(64) });
const OneCampaign = z.object({ id: z.string().min(1).max(64) });

export function meshRoutes(app: Api, parts: MeshParts): void {
  const { stores, mesh } = parts;
  const { devices, sessions } = stores.mesh;
  app.get(
    "/mesh/devices",
    {
      schema: {
        tags,
        summary: "Mesh devices, by endpoint",
        querystring: PageQuery,
        response: { 200: pageOf(MeshDevice) },
      },
    },
    async ({ query }) => await devices.list(query),
  );
  app.post(
    "/mesh/devices",
    {
      schema: {
        tags,
        summary: "Take a device in by the text of its label",
        body: NewMeshDevice,
        response: { 201: MeshDevice },
      },
    },
    async ({ body }, reply) => await reply.status(201).send(await mesh.onboard(body)),
  );
  app.get(
    "/mesh/devices/:endpoint",
    { schema: { tags, summary: "One mesh device", params: OneDevice, response: { 200: MeshDevice } } },
    async ({ params: { endpoint } }) => {
      const device = await devices.get(endpoint);
      if (device !== undefined) return device;
      throw new UsageError("UNKNOWN_DEVICE", `no mesh device ${endpoint} was taken in`, { endpoint });
    },
  );
  app.get(
    "/mesh/groups",
    { schema: { tags, summary: "Groups of mesh devices", response: { 200: pageOf(MeshGroup) } } },
    async () => ({ items: await devices.groups(), next: null }),
  );
  app.post(
    "/mesh/groups/:id/rotate",
    { schema: { tags, summary: "Give a group a new key", params: OneGroup, response: { 200: MeshGroup } } },
    async ({ params }) => await devices.rotate(params.id),
  );
  app.get(
    "/mesh/sessions",
    {
      schema: {
        tags,
        summary: "Broadcasts, newest first",
        querystring: PageQuery.extend({ campaignId: z.string().max(64).optional() }),
        response: { 200: pageOf(MeshSession) },
      },
    },
    async ({ query: { campaignId, ...page } }) => await sessions.list(campaignId, page),
  );
  app.get(
    "/mesh/manifest-key",
    { schema: { tags, summary: "The key that devices are to trust for manifests", response: { 200: ManifestKey } } },
    async () => ({ algorithm: "ed25519" as const, publicKeyPem: await mesh.manifestKeyPem() }),
  );
  planRoutes(app, parts);
}

function planRoutes(app: Api, { stores, mesh }: MeshParts): void {
  app.get(
    "/mesh/plan",
    {
      schema: {
        tags,
        summary: "What a broadcast would take; AIRTIME_OVER_BUDGET when the law does not allow it",
        querystring: MeshPlanQuery,
        response: { 200: MeshPlan },
      },
    },
    async ({ query: { campaignId, imageId, withinS } }) => {
      if (campaignId !== undefined && imageId !== undefined)
        throw new UsageError("MESH_PLAN", "a campaign has its image: say for which campaign, or for which image");
      const kept = campaignId === undefined ? undefined : await requireCampaign({ stores }, campaignId);
      const image = kept?.policy.image.id ?? imageId;
      if (image === undefined) throw new UsageError("MESH_PLAN", "say for which campaign, or for which image");
      const endpoints =
        campaignId === undefined ? await stores.mesh.endpointsFor(image) : await stores.mesh.targetsOf(campaignId);
      return await mesh.preview(image, endpoints, withinS * 1000);
    },
  );
  app.get(
    "/campaigns/:id/broadcast",
    {
      schema: {
        tags: ["campaigns"],
        summary: "What a campaign's broadcasts come to; null when it has none",
        params: OneCampaign,
        response: { 200: BroadcastSection.nullable() },
      },
    },
    async ({ params }) => {
      await requireCampaign({ stores }, params.id);
      return await stores.mesh.sessions.broadcastOf(params.id);
    },
  );
}

/** `/zdm/sw/<MANUFACTURER>-<MODEL>-<VERSION>[/manifest]/<SEQ>`: one packet, as it would come over the air. */
export function namedContentRoutes(app: Api, { mesh }: MeshParts): void {
  app.get(
    "/zdm/sw/*",
    { schema: { tags: ["firmware"], summary: "One packet of a broadcast content, by its name and SEQ" } },
    async (request, reply) => {
      // As it was written: an escaped hyphen is another name than a bare one.
      const payload = await mesh.packetAt(request.raw.url?.split("?")[0]?.slice(1) ?? "");
      if (payload === undefined) throw new UsageError("UNKNOWN_CONTENT", "no packet of a content has this name");
      reply
        .header("cache-control", "public, max-age=31536000, immutable")
        .header("content-type", "application/octet-stream");
      return await reply.send(Buffer.from(payload));
    },
  );
}
