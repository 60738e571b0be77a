/** The wave board: where all of the campaign stands, and each of its waves. */
import type { Campaign } from "@airlift/protocol/api/campaign";
import { Paper, Stack, Title } from "@mantine/core";
import { BroadcastPart } from "./broadcast-part.tsx";
import { OutcomeBar } from "./outcome-bar.tsx";
import { Pace } from "./pace.tsx";
import { Criteria, WaveLane } from "./wave-lane.tsx";

export function Board({ campaign }: { readonly campaign: Campaign }) {
  return (
    <Stack gap="md">
      <Paper withBorder p="md">
        <Stack gap="xs">
          <Title order={3} size="h4">
            All waves
          </Title>
          <OutcomeBar counts={campaign.counts} />
          <Pace
            counts={campaign.counts}
            deliveredBytes={campaign.waves.reduce((sum, wave) => sum + wave.deliveredBytes, 0)}
            startedAt={campaign.waves[0]?.startedAt ?? null}
            isRunning={campaign.state === "running"}
          />
          <Criteria criteria={campaign.criteria} />
        </Stack>
      </Paper>
      <BroadcastPart campaignId={campaign.id} />
      <div className="board">
        {campaign.waves.map((wave, index) => (
          // Waves never change their places.
          // biome-ignore lint/suspicious/noArrayIndexKey: the place is the identity
          <WaveLane key={index} wave={wave} number={index + 1} campaignState={campaign.state} />
        ))}
      </div>
    </Stack>
  );
}
