/** What a campaign would do: waves, counts, bytes, airtime, end, and who is left out and why. */
import type { CampaignPlan } from "@airlift/protocol/api/campaign";
import { Alert, List, Stack, Text, Title } from "@mantine/core";
import { sizeText, spanText } from "../parts/amounts.ts";
import { Moment } from "../parts/instants.tsx";
import { ShortTable } from "../parts/short-table.tsx";

export function PlanView({ plan }: { readonly plan: CampaignPlan }) {
  const { matchedCount, targetCount, waves, bytes, airtimeMs, expectedEndAt, exclusions, warnings } = plan;
  return (
    <Stack gap="sm">
      <Text>
        {matchedCount.toLocaleString()} devices match, {targetCount.toLocaleString()} would be updated;{" "}
        {sizeText(bytes)} would be handed out
        {airtimeMs !== null && `, ${spanText(airtimeMs / 1000)} on the air`}.{" "}
        {expectedEndAt === null ? (
          "When it would end cannot be told."
        ) : (
          <>
            It would end about <Moment at={expectedEndAt} />.
          </>
        )}
      </Text>
      <PlanWarnings warnings={warnings} />
      <ShortTable
        label="Waves of the plan"
        columns={[
          { name: "Wave", onCard: "title", cell: ({ name, number }) => `${number}. ${name}` },
          { name: "Devices", cell: ({ count }) => count.toLocaleString() },
          { name: "Bytes", cell: ({ bytes }) => sizeText(bytes) },
          {
            name: "Expected end, with its soak time",
            cell: ({ expectedEndAt }) => (expectedEndAt === null ? "–" : <Moment at={expectedEndAt} />),
          },
        ]}
        rows={waves.map((wave, index) => ({ ...wave, number: index + 1 }))}
        // Waves may have the same name, and never change their places.
        keyOf={({ number }) => number}
      />
      {exclusions.length > 0 && <Exclusions exclusions={exclusions} />}
    </Stack>
  );
}

/** What an operator should know before anything begins; nothing when there is nothing. */
export const PlanWarnings = ({ warnings }: Pick<CampaignPlan, "warnings">) =>
  warnings.length > 0 && (
    <Alert color="orange" title="Look at this first" role="alert">
      <List size="sm">
        {warnings.map((warning) => (
          <List.Item key={warning}>{warning}</List.Item>
        ))}
      </List>
    </Alert>
  );

const Exclusions = ({ exclusions }: Pick<CampaignPlan, "exclusions">) => (
  <Stack gap="xs">
    <Title order={4} size="h5">
      Left out
    </Title>
    <ul className="lines">
      {exclusions.map(({ reason, count, sentence, endpoints }) => (
        <li key={reason}>
          <Text size="sm">
            {count.toLocaleString()}: {sentence}
          </Text>
          <Text size="xs" c="dimmed" className="anywhere">
            {endpoints.slice(0, 10).join(", ")}
            {count > Math.min(10, endpoints.length) && " …"}
          </Text>
        </li>
      ))}
    </ul>
  </Stack>
);
