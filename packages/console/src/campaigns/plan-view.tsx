/** What a campaign would do: waves, counts, bytes, airtime, end, and who is left out and why. */
import type { CampaignPlan } from "@airlift/protocol/api/campaign";
import { Alert, List, Stack, Text, Title } from "@mantine/core";
import { sizeText, spanText } from "../parts/amounts.ts";
import { Moment } from "../parts/instants.tsx";
import { Scrolls } from "../parts/scrolls.tsx";

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
      <Scrolls label="Waves of the plan">
        <table className="plain">
          <thead>
            <tr>
              <th scope="col">Wave</th>
              <th scope="col">Devices</th>
              <th scope="col">Bytes</th>
              <th scope="col">Expected end, with its soak time</th>
            </tr>
          </thead>
          <tbody>
            {waves.map((wave, index) => (
              // Waves may have the same name, and never change their places.
              // biome-ignore lint/suspicious/noArrayIndexKey: the place is the identity
              <tr key={index}>
                <th scope="row" className="anywhere">
                  {index + 1}. {wave.name}
                </th>
                <td>{wave.count.toLocaleString()}</td>
                <td>{sizeText(wave.bytes)}</td>
                <td>{wave.expectedEndAt === null ? "–" : <Moment at={wave.expectedEndAt} />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolls>
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
