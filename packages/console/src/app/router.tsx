/** Which page is at which address. Each is fetched when it is first opened. */
import { createRootRoute, createRoute, createRouter } from "@tanstack/react-router";
import { NotFound, PageFailure, PageOnItsWay } from "../parts/notices.tsx";
import { guarded } from "./guarded.tsx";
import { fetchedPage } from "./page-code.ts";
import { Shell } from "./shell.tsx";

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound, errorComponent: PageFailure });

const textOf = (value: unknown): string | undefined =>
  // A search parameter that looks like a number was made one.
  typeof value === "string" || typeof value === "number" ? `${value}` || undefined : undefined;

const overview = createRoute({
  getParentRoute: () => root,
  path: "/",
  component: guarded(
    "/",
    fetchedPage(() => import("../overview/overview-page.tsx"), "OverviewPage"),
  ),
});

export interface DevicesSearch {
  /** RSQL. */
  readonly query?: string;
  /** Absent = from A to Z. */
  readonly sort?: "-endpoint";
}

const devices = createRoute({
  getParentRoute: () => root,
  path: "/devices",
  validateSearch: (search): DevicesSearch => {
    const query = textOf(search["query"]);
    return { ...(query !== undefined && { query }), ...(search["sort"] === "-endpoint" && { sort: "-endpoint" }) };
  },
  component: guarded(
    "/devices",
    fetchedPage(() => import("../devices/devices-page.tsx"), "DevicesPage"),
  ),
});

/** The parts of a device's page, each at an address of its own. */
export const DEVICE_PARTS = ["timeline", "updates", "resources", "requests", "credentials"] as const;
export type DevicePart = (typeof DEVICE_PARTS)[number];

const device = createRoute({
  getParentRoute: () => root,
  path: "/devices/$endpoint",
  validateSearch: (search): { part?: DevicePart } => {
    const part = DEVICE_PARTS.find((one) => one === search["part"]);
    return part === undefined || part === "timeline" ? {} : { part };
  },
  component: guarded(
    "/devices/$endpoint",
    fetchedPage(() => import("../devices/device-page.tsx"), "DevicePage"),
  ),
});
const images = createRoute({
  getParentRoute: () => root,
  path: "/images",
  component: guarded(
    "/images",
    fetchedPage(() => import("../images/images-page.tsx"), "ImagesPage"),
  ),
});
const image = createRoute({
  getParentRoute: () => root,
  path: "/images/$id",
  component: guarded(
    "/images/$id",
    fetchedPage(() => import("../images/image-page.tsx"), "ImagePage"),
  ),
});
const campaigns = createRoute({
  getParentRoute: () => root,
  path: "/campaigns",
  component: guarded(
    "/campaigns",
    fetchedPage(() => import("../campaigns/campaigns-page.tsx"), "CampaignsPage"),
  ),
});
const newCampaign = createRoute({
  getParentRoute: () => root,
  path: "/campaigns/new",
  component: guarded(
    "/campaigns/new",
    fetchedPage(() => import("../campaigns/new-campaign-page.tsx"), "NewCampaignPage"),
  ),
});

/** The parts of a campaign's page, each at an address of its own. */
export const CAMPAIGN_PARTS = ["board", "devices", "timeline", "plan", "report"] as const;
export type CampaignPart = (typeof CAMPAIGN_PARTS)[number];

const campaign = createRoute({
  getParentRoute: () => root,
  path: "/campaigns/$id",
  validateSearch: (search): { part?: CampaignPart } => {
    const part = CAMPAIGN_PARTS.find((one) => one === search["part"]);
    return part === undefined || part === "board" ? {} : { part };
  },
  component: guarded(
    "/campaigns/$id",
    fetchedPage(() => import("../campaigns/campaign-page.tsx"), "CampaignPage"),
  ),
});
const editCampaign = createRoute({
  getParentRoute: () => root,
  path: "/campaigns/$id/edit",
  component: guarded(
    "/campaigns/$id/edit",
    fetchedPage(() => import("../campaigns/edit-campaign-page.tsx"), "EditCampaignPage"),
  ),
});
const mesh = createRoute({
  getParentRoute: () => root,
  path: "/mesh",
  component: guarded(
    "/mesh",
    fetchedPage(() => import("../mesh/mesh-page.tsx"), "MeshPage"),
  ),
});
const tokens = createRoute({
  getParentRoute: () => root,
  path: "/tokens",
  component: guarded(
    "/tokens",
    fetchedPage(() => import("../tokens/tokens-page.tsx"), "TokensPage"),
  ),
});
const audit = createRoute({
  getParentRoute: () => root,
  path: "/audit",
  component: guarded(
    "/audit",
    fetchedPage(() => import("../audit/audit-page.tsx"), "AuditPage"),
  ),
});
const webhooks = createRoute({
  getParentRoute: () => root,
  path: "/webhooks",
  component: guarded(
    "/webhooks",
    fetchedPage(() => import("../webhooks/webhooks-page.tsx"), "WebhooksPage"),
  ),
});
const settings = createRoute({
  getParentRoute: () => root,
  path: "/settings",
  component: guarded(
    "/settings",
    fetchedPage(() => import("../settings/settings-page.tsx"), "SettingsPage"),
  ),
});

export const router = createRouter({
  routeTree: root.addChildren([
    overview,
    devices,
    device,
    images,
    image,
    campaigns,
    newCampaign,
    campaign,
    editCampaign,
    mesh,
    audit,
    tokens,
    webhooks,
    settings,
  ]),
  defaultPreload: "intent",
  defaultPreloadStaleTime: 0,
  defaultPendingComponent: PageOnItsWay,
  // A page that fails leaves the way to the others.
  defaultErrorComponent: PageFailure,
  // Another record is another page: nothing that was written or opened for the one is shown with the other.
  defaultRemountDeps: ({ params }) => params,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
