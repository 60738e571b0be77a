/** One campaign: the wave board, the devices, the timeline, the plan, and a report to print. */
import type { Campaign } from "@airlift/protocol/api/campaign";
import { Button, Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { Tagged } from "../api/request.ts";
import { useImageName } from "../parts/image-name.ts";
import { Moment } from "../parts/instants.tsx";
import { Empty, Failure, isMissing } from "../parts/notices.tsx";
import { saveFile } from "../parts/save-file.ts";
import { useTitle } from "../parts/title.ts";
import { Board } from "./board.tsx";
import { CampaignState } from "./campaign-state.tsx";
import { CampaignCommands } from "./commands.tsx";
import { PlanView } from "./plan-view.tsx";
import { campaignQuery, planQuery } from "./queries.ts";
import { ReportPart } from "./report-part.tsx";
import { TargetsPart } from "./targets-part.tsx";
import { TimelinePart } from "./timeline-part.tsx";

const route = getRouteApi("/campaigns/$id");

const PARTS = [
  ["board", "Waves"],
  ["devices", "Devices"],
  ["timeline", "Timeline"],
  ["plan", "Plan"],
  ["report", "Report"],
] as const;

export function CampaignPage() {
  const { id } = route.useParams();
  const { part = "board" } = route.useSearch();
  const { data: seen, error, refetch } = useQuery(campaignQuery(id));
  const campaign = seen?.answer;
  useTitle(campaign?.name ?? "Campaign");
  if (isMissing(error))
    return (
      <Empty title="There is no such campaign">
        <Text c="dimmed">If it was a draft, somebody has deleted it.</Text>
        <Link to="/campaigns">To the campaigns</Link>
      </Empty>
    );
  if (error && !campaign) return <Failure error={error} retry={() => void refetch()} />;
  if (!seen || !campaign) return <Skeleton height={300} />;
  return (
    <Stack gap="md">
      <Head seen={seen} />
      <nav className="parts no-print" aria-label="Parts of the campaign">
        {PARTS.map(([name, label]) => (
          <Link
            key={name}
            to="/campaigns/$id"
            params={{ id }}
            search={name === "board" ? {} : { part: name }}
            className="part"
            activeOptions={{ exact: true, includeSearch: true }}
            resetScroll={false}
          >
            {label}
          </Link>
        ))}
      </nav>
      {part === "board" && <Board campaign={campaign} />}
      {part === "devices" && <TargetsPart campaign={campaign} />}
      {part === "timeline" && <TimelinePart campaignId={id} />}
      {part === "plan" && <Plan campaign={campaign} />}
      {part === "report" && <ReportPart campaign={campaign} />}
    </Stack>
  );
}

function Head({ seen }: { readonly seen: Tagged<Campaign> }) {
  const campaign = seen.answer;
  const { name, state, sentence, spec, createdBy, changedBy, createdAt, approvedBy, approvalReason } = campaign;
  const { rollbackId, rollbackOf } = campaign;
  const imageName = useImageName(campaign.imageId);
  return (
    <Stack gap="xs">
      <Group justify="space-between">
        <Group gap="sm">
          <Title order={2} className="anywhere">
            {name}
          </Title>
          <CampaignState state={state} />
        </Group>
        <SaveButton campaign={campaign} />
      </Group>
      <Text role="status">{sentence}</Text>
      <Text size="sm" c="dimmed">
        {imageName} to devices with <span className="mono anywhere">{spec.targets.query}</span> · created by {createdBy}
        , <Moment at={createdAt} />
        {changedBy.length > 0 && ` · changed by ${changedBy.join(", ")}`}
        {approvedBy !== null && ` · approved by ${approvedBy}`}
        {approvedBy === null &&
          rollbackOf === null &&
          approvalReason !== null &&
          ` · needs approval: ${approvalReason}`}
        {rollbackId !== null && (
          <>
            {" · "}
            <Link to="/campaigns/$id" params={{ id: rollbackId }}>
              its rollback
            </Link>
          </>
        )}
        {rollbackOf !== null && (
          <>
            {" · "}
            <Link to="/campaigns/$id" params={{ id: rollbackOf }}>
              the campaign that it undoes
            </Link>
          </>
        )}
      </Text>
      <CampaignCommands seen={seen} />
    </Stack>
  );
}

function Plan({ campaign: { id, state } }: { readonly campaign: Campaign }) {
  const { data, error, isPending } = useQuery(planQuery(id));
  if (error) return <Failure error={error} />;
  if (isPending) return <Skeleton height={200} />;
  return (
    <Stack gap="sm">
      {!NOT_BEGUN.includes(state) && (
        <Text size="sm" c="dimmed">
          This is what the campaign would do if it began now: devices that have its image already are left out.
        </Text>
      )}
      <PlanView plan={data} />
    </Stack>
  );
}

const NOT_BEGUN: readonly Campaign["state"][] = ["draft", "awaitingApproval", "ready"];

/** Everything that the API tells. */
function SaveButton({ campaign }: { readonly campaign: Campaign }) {
  const save = () => {
    const content = new Blob([JSON.stringify(campaign, null, 2)], { type: "application/json" });
    saveFile(content, `campaign-${campaign.id}.json`);
  };
  return (
    <Button size="compact-sm" variant="default" className="no-print" onClick={save}>
      Save as JSON
    </Button>
  );
}
