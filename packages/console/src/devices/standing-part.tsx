/** How a device stands: what goes on, what it is, what operators call it, and what happened to it. */
import { Paper, Stack, Title } from "@mantine/core";
import { DeviceCampaigns } from "./campaigns-part.tsx";
import { DeviceFacts } from "./device-facts.tsx";
import { DeviceLabels } from "./device-labels.tsx";
import type { PartProps } from "./device-page.tsx";
import { TimelinePart } from "./timeline-part.tsx";
import { CurrentUpdate } from "./updates-part.tsx";

export const StandingPart = ({ device }: PartProps) => (
  <Stack>
    {device.updateId !== null && <CurrentUpdate device={device} />}
    <DeviceCampaigns device={device} />
    <div className="columns">
      <Paper withBorder p="md">
        <DeviceFacts device={device} />
      </Paper>
      <Paper withBorder p="md">
        <DeviceLabels key={device.endpoint} device={device} />
      </Paper>
    </div>
    <Title order={3} size="h4">
      Timeline
    </Title>
    <TimelinePart device={device} />
  </Stack>
);
