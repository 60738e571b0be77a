/** Which answers an event makes stale, as beginnings of their query keys. */
import type { Event } from "@airlift/protocol/api/schemas";

type Keys = readonly (readonly unknown[])[];

const nothing = (): Keys => [];
/** The device itself, and whatever counts devices. */
const device = ({ endpoint }: Event): Keys => [
  ["devices", "one", endpoint],
  ["devices", "preview"],
  ["devices", "objects", endpoint],
  ["observations", endpoint],
];
const presence = (event: Event): Keys => [...device(event), ["statistics"]];
const update = ({ endpoint }: Event): Keys => [
  ["updates"],
  ["devices", "one", endpoint],
  ["devices", "preview"],
  ["deviceCampaigns", endpoint],
];
const credential = ({ endpoint }: Event): Keys => [["credentials", endpoint]];
const token = (): Keys => [["tokens"]];
/** Of this campaign and no other. Its devices, its timeline and the list of all follow their events themselves. */
export const keysOfCampaign = (campaignId: string | null): Keys => [
  ...["one", "plan", "broadcast"].map((part) => ["campaigns", part, campaignId]),
  ["campaigns", "in"],
];
const campaign = ({ campaignId }: Event): Keys => [...keysOfCampaign(campaignId), ["deviceCampaigns"]];
const broadcast = (): Keys => [["mesh", "sessions"], ["gateways"], ["campaigns", "broadcast"]];
const gateway = (): Keys => [["gateways"]];

/** A new kind has to find its place here before this compiles. */
const TOUCHED: Readonly<Record<Event["kind"], (event: Event) => Keys>> = {
  "device.registered": presence,
  "device.updated": device,
  "device.deregistered": presence,
  "device.expired": presence,
  "device.refused": device,
  "device.plainAllowed": device,
  "device.bootstrapped": device,
  "device.reported": device,
  "device.request": ({ endpoint }) => [["queue", endpoint]],
  "device.value": nothing,
  "device.flood": device,
  "device.edited": device,
  "device.onboarded": (event) => [...device(event), ["mesh", "groups"]],
  "image.added": () => [["images"]],
  "update.transition": update,
  "update.note": update,
  "update.progress": nothing,
  "credential.added": credential,
  "credential.ended": credential,
  "authority.added": nothing,
  "authority.removed": nothing,
  "token.created": token,
  "token.revoked": token,
  "campaign.transition": campaign,
  "campaign.note": campaign,
  "wave.transition": campaign,
  "mesh.session": broadcast,
  "mesh.key": () => [["mesh", "groups"]],
  "gateway.added": gateway,
  "gateway.removed": gateway,
  "gateway.warning": gateway,
  "webhook.disabled": () => [["webhooks"]],
};

/** A kind that a newer server tells of touches nothing that this page knows. */
export const touchedBy = (event: Event): Keys => (TOUCHED[event.kind] ?? nothing)(event);
