/** /api/v1/devices/{endpoint}/campaigns: what a device waits for that nothing has been asked of yet. */
import { DeviceCampaign } from "@airlift/protocol/api/campaign";
import { pageOf } from "@airlift/protocol/api/schemas";
import type { CampaignOfDevice } from "../store/campaign-reading.ts";
import { showTargets } from "./campaign-view.ts";
import { OneDevice, requireDevice } from "./devices.ts";
import { PageQuery } from "./queries.ts";
import type { Api, ApiParts } from "./routes.ts";

export function deviceCampaignRoutes(app: Api, { stores }: ApiParts): void {
  const { campaigns } = stores;
  const show = async ({ kept, target }: CampaignOfDevice): Promise<DeviceCampaign[]> => {
    const { id, state } = kept.campaign;
    const updateIds = await campaigns.updateIds(id, [target.endpoint]);
    return showTargets(kept, [target], { updateIds, utcMs: Date.now() }).map((shown) => ({
      ...shown,
      campaignName: kept.spec.name,
      campaignState: state,
      waveName: kept.spec.waves[shown.wave]?.name ?? `${shown.wave + 1}`,
    }));
  };

  app.get(
    "/devices/:endpoint/campaigns",
    {
      schema: {
        tags: ["devices"],
        summary: "The running and paused campaigns that have a device, newest first, each with why it stands there",
        params: OneDevice,
        querystring: PageQuery,
        response: { 200: pageOf(DeviceCampaign) },
      },
    },
    async ({ params: { endpoint }, query }) => {
      await requireDevice({ stores }, endpoint);
      const { items, next } = await campaigns.ofDevice(endpoint, query);
      return { items: (await Promise.all(items.map(show))).flat(), next };
    },
  );
}
