/** One wave on the board: its outcomes, its criteria against their limits, its clock. */
import type { Campaign, CriterionStanding, Wave } from "@airlift/protocol/api/campaign";
import { Group, Paper, Stack, Text, Title } from "@mantine/core";
import { useNow } from "../parts/now.ts";
import { CampaignState } from "./campaign-state.tsx";
import { OutcomeBar, wordsOf } from "./outcome-bar.tsx";
import { Pace } from "./pace.tsx";

/** In these its devices are begun and told to apply. */
const OPEN: readonly Wave["state"][] = ["running", "soaking", "passed"];

export interface WaveLaneProps {
  readonly wave: Wave;
  readonly number: number;
  readonly campaignState: Campaign["state"];
}

export function WaveLane({ wave, number, campaignState }: WaveLaneProps) {
  const { name, state, sentence, counts, criteria, soakUntil, startedAt, deliveredBytes } = wave;
  return (
    <Paper withBorder p="md" component="section" aria-label={`Wave ${number}: ${name}`}>
      <Stack gap="xs">
        <Group justify="space-between" wrap="nowrap">
          <Title order={4} size="h5" className="anywhere">
            {number}. {name}
          </Title>
          {/* A paused campaign holds its waves where they are. */}
          <CampaignState state={campaignState === "paused" && state === "running" ? "paused" : state} />
        </Group>
        <Text size="sm">{sentence}</Text>
        {state === "soaking" && soakUntil !== null && <SoakClock until={soakUntil} />}
        <OutcomeBar counts={counts} />
        {startedAt !== null && (
          <Pace
            counts={counts}
            deliveredBytes={deliveredBytes}
            startedAt={startedAt}
            isRunning={campaignState === "running" && OPEN.includes(state)}
          />
        )}
        <Criteria criteria={criteria} />
      </Stack>
    </Paper>
  );
}

function SoakClock({ until }: { readonly until: string }) {
  const seconds = Math.max(0, Math.round((Date.parse(until) - useNow()) / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const pad = (value: number) => `${value}`.padStart(2, "0");
  return (
    <Text size="sm">
      soaks for another{" "}
      <span className="mono">
        {hours}:{pad(minutes)}:{pad(seconds % 60)}
      </span>
    </Text>
  );
}

/** Each with how near it is to its limit. */
export const Criteria = ({ criteria }: { readonly criteria: readonly CriterionStanding[] }) =>
  criteria.length > 0 && (
    <ul className="criteria">
      {criteria.map((standing, index) => (
        // Criteria have no name of their own and never change their places.
        // biome-ignore lint/suspicious/noArrayIndexKey: the place is the identity
        <li key={index}>
          <meter
            min={0}
            max={1}
            value={nearness(standing)}
            low={0.5}
            high={0.8}
            optimum={0}
            // The sentence beside it says all of it.
            aria-hidden
          />
          <Text size="sm">
            {standing.sentence} → {wordsOf(standing.criterion.do)}
          </Text>
        </li>
      ))}
    </ul>
  );

/** 0 = nothing counted, 1 = at the limit. */
function nearness({ criterion: { threshold }, matched, executed }: CriterionStanding): number {
  if ("count" in threshold) return Math.min(1, matched / threshold.count);
  const percent = executed === 0 ? 0 : (100 * matched) / executed;
  return threshold.percent === 0 ? Number(matched > 0) : Math.min(1, percent / threshold.percent);
}
