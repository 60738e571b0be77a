/** Every page with who may open it, and under which name one can go there: the one table that routes, navigation and keys read. */
import type { Role } from "@airlift/protocol/api/credentials";

interface PageFacts {
  /** The least role for which the page is of use: what it shows, or all that can be done there, takes it. */
  readonly least: Role;
  /** In the navigation. */
  readonly name?: string;
  /** After "g". */
  readonly key?: string;
  /** The API's noun it shows, when not every server has it. */
  readonly noun?: string;
}

/** By route; in the navigation in this order. */
export const PAGES = {
  "/": { least: "viewer", name: "Overview", key: "o" },
  "/devices": { least: "viewer", name: "Devices", key: "d" },
  "/devices/$endpoint": { least: "viewer" },
  "/images": { least: "viewer", name: "Images", key: "i" },
  "/images/$id": { least: "viewer" },
  "/campaigns": { least: "viewer", name: "Campaigns", key: "c" },
  "/campaigns/new": { least: "operator" },
  "/campaigns/$id": { least: "viewer" },
  "/campaigns/$id/edit": { least: "operator" },
  "/mesh": { least: "viewer", name: "Mesh", key: "m", noun: "gateways" },
  "/audit": { least: "admin", name: "Audit", key: "a", noun: "audit" },
  "/tokens": { least: "admin", name: "Tokens", key: "t" },
  "/webhooks": { least: "admin", name: "Webhooks", key: "w", noun: "webhooks" },
  "/settings": { least: "viewer", name: "Settings", key: "s" },
} as const satisfies Readonly<Record<string, PageFacts>>;

export type PagePath = keyof typeof PAGES;

/** A page that one can go to. */
export interface Place extends PageFacts {
  readonly to: PagePath;
  readonly name: string;
  readonly key: string;
}

export const PLACES: readonly Place[] = Object.entries<PageFacts>(PAGES).flatMap(([to, { name, key, ...facts }]) =>
  name === undefined || key === undefined ? [] : [{ ...facts, to: to as PagePath, name, key }],
);
