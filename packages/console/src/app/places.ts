/** The pages that one can go to. */
import type { Role } from "@airlift/protocol/api/credentials";

export interface Place {
  readonly to: string;
  readonly name: string;
  /** After "g". */
  readonly key: string;
  /** The least role that may see it. */
  readonly least: Role;
  /** The API's noun it shows, when not every server has it. */
  readonly noun?: string;
}

export const PLACES: readonly Place[] = [
  { to: "/", name: "Overview", key: "o", least: "viewer" },
  { to: "/devices", name: "Devices", key: "d", least: "viewer" },
  { to: "/images", name: "Images", key: "i", least: "viewer" },
  { to: "/campaigns", name: "Campaigns", key: "c", least: "viewer" },
  { to: "/mesh", name: "Mesh", key: "m", least: "viewer", noun: "gateways" },
  { to: "/audit", name: "Audit", key: "a", least: "admin", noun: "audit" },
  { to: "/tokens", name: "Tokens", key: "t", least: "admin" },
  { to: "/webhooks", name: "Webhooks", key: "w", least: "admin", noun: "webhooks" },
  { to: "/settings", name: "Settings", key: "s", least: "viewer" },
];
