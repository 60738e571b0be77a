/** Which page is at which address. Each is fetched when it is first opened. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { NotFound, PageFailure } from "../parts/notices.tsx";
import { Shell } from "./shell.tsx";

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound, errorComponent: PageFailure });

const overview = createRoute({
  getParentRoute: () => root,
  path: "/",
  component: lazyRouteComponent(() => import("../overview/overview-page.tsx"), "OverviewPage"),
});
const devices = createRoute({
  getParentRoute: () => root,
  path: "/devices",
  validateSearch: ({ query }): { query?: string } => (typeof query === "string" && query !== "" ? { query } : {}),
  component: lazyRouteComponent(() => import("../devices/devices-page.tsx"), "DevicesPage"),
});
const device = createRoute({
  getParentRoute: () => root,
  path: "/devices/$endpoint",
  component: lazyRouteComponent(() => import("../devices/device-page.tsx"), "DevicePage"),
});
const images = createRoute({
  getParentRoute: () => root,
  path: "/images",
  component: lazyRouteComponent(() => import("../images/images-page.tsx"), "ImagesPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([overview, devices, device, images]),
  defaultPreload: "intent",
  defaultPreloadStaleTime: 0,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
