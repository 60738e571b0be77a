/** One device: who it is, what runs on it, and what happened to it. */
import type { Device } from "@airlift/protocol/api/schemas";
import { Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { ComponentType } from "react";
import { deviceQuery } from "../api/queries.ts";
import { useMay } from "../api/session.ts";
import type { DevicePart } from "../app/router.tsx";
import { useCurrentLinkInSight } from "../parts/current-link.ts";
import { Empty, Failure, isMissing } from "../parts/notices.tsx";
import { Presence } from "../parts/states.tsx";
import { useTitle } from "../parts/title.ts";
import { CredentialsPart } from "./credentials-part.tsx";
import { RequestsPart } from "./requests-part.tsx";
import { ResourcesPart } from "./resources-part.tsx";
import { StandingPart } from "./standing-part.tsx";
import { StartUpdate } from "./start-update.tsx";
import { UpdatesPart } from "./updates-part.tsx";

const route = getRouteApi("/devices/$endpoint");

/** What each part of the page is given. */
export interface PartProps {
  readonly device: Device;
}

const PARTS: Readonly<Record<DevicePart, readonly [name: string, part: ComponentType<PartProps>]>> = {
  timeline: ["Device", StandingPart],
  updates: ["Updates", UpdatesPart],
  resources: ["Resources", ResourcesPart],
  requests: ["Requests", RequestsPart],
  credentials: ["Credentials", CredentialsPart],
};

export function DevicePage() {
  const { endpoint } = route.useParams();
  const { part = "timeline" } = route.useSearch();
  useTitle(endpoint);
  const { data: device, error, refetch } = useQuery(deviceQuery(endpoint));
  const mayUpdate = useMay("operator");
  if (isMissing(error)) return <UnknownDevice endpoint={endpoint} />;
  if (error && !device) return <Failure error={error} retry={() => void refetch()} />;
  if (!device) return <Skeleton height={300} />;
  const [name, Part] = PARTS[part];
  return (
    <Stack>
      <Group justify="space-between">
        <Group wrap="nowrap" className="shrinks">
          <Title order={2} className="anywhere">
            {device.endpoint}
          </Title>
          <Presence device={device} />
        </Group>
        {mayUpdate && <StartUpdate device={device} />}
      </Group>
      <Text className="presence">{device.reachability}</Text>
      <PartLinks endpoint={endpoint} />
      <section aria-label={name}>
        <Part device={device} />
      </section>
    </Stack>
  );
}

/** The name stands in an address that may have been mistyped, or kept from before the device was deleted. */
const UnknownDevice = ({ endpoint }: { readonly endpoint: string }) => (
  <Empty title={`No device is called ${endpoint}`}>
    <Text c="dimmed">It has never registered here, or it was deleted. Names are told apart by every letter.</Text>
    <Link to="/devices">To the devices</Link>
  </Empty>
);

function PartLinks({ endpoint }: { readonly endpoint: string }) {
  const row = useCurrentLinkInSight();
  return (
    <nav ref={row} className="parts" aria-label="Parts of the device's page">
      {(Object.keys(PARTS) as DevicePart[]).map((part) => (
        <Link
          key={part}
          to="/devices/$endpoint"
          params={{ endpoint }}
          search={part === "timeline" ? {} : { part }}
          className="part"
          activeOptions={{ exact: true, includeSearch: true }}
          resetScroll={false}
        >
          {PARTS[part][0]}
        </Link>
      ))}
    </nav>
  );
}
