/** What an operator can tell a campaign now, each with its consequence. */
import type { Campaign } from "@airlift/protocol/api/campaign";
import type { CampaignCommand } from "@airlift/protocol/update/campaign";
import { Button, Group } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import type { Tagged } from "../api/request.ts";
import { useMay } from "../api/session.ts";
import { ActionButton } from "../parts/action-button.tsx";
import { failedCount } from "./outcome-bar.tsx";
import { PlanWarnings } from "./plan-view.tsx";
import { campaignQuery, campaignsQuery, deleteDraft, planQuery, retryDevices, tellCampaign } from "./queries.ts";

interface Offer {
  readonly command: CampaignCommand;
  readonly label: string;
  readonly color?: string;
  readonly least: "operator" | "approver";
  readonly states: readonly Campaign["state"][];
  readonly consequence: (campaign: Campaign) => string;
}

const devices = (count: number): string => `${count.toLocaleString()} device${count === 1 ? "" : "s"}`;

/** Those that a pause or stop still reaches. */
const notApplied = ({ counts }: Campaign): number => counts.pending + counts.active + counts.held;

const abortText = (campaign: Campaign): string =>
  campaign.state === "running" || campaign.state === "paused"
    ? ` The campaign itself is aborted first: ${devices(notApplied(campaign))} will not be updated by it.`
    : "";

const OFFERS: readonly Offer[] = [
  {
    command: "submit",
    label: "Submit",
    least: "operator",
    states: ["draft"],
    consequence: ({ approvalReason }) =>
      approvalReason !== null
        ? `It can no longer be changed. It needs approval by somebody else before it can start: ${approvalReason}.`
        : "It can no longer be changed, and can be started.",
  },
  {
    command: "approve",
    label: "Approve",
    color: "teal",
    least: "approver",
    states: ["awaitingApproval"],
    consequence: ({ createdBy, changedBy, counts }) =>
      `You say that it may go to ${devices(counts.total)} as ${[...new Set([createdBy, ...changedBy])].join(", ")} wrote it. It still has to be started.`,
  },
  {
    command: "reject",
    label: "Send back",
    least: "approver",
    states: ["awaitingApproval"],
    consequence: () => "It becomes a draft again and can be changed.",
  },
  {
    command: "start",
    label: "Start",
    color: "teal",
    least: "operator",
    states: ["ready"],
    consequence: ({ waves, counts }) =>
      `The first wave (${waves[0]?.name}, ${devices(waves[0]?.counts.total ?? 0)}) begins now; ${devices(counts.total)} in all. Each downloads the image, and installs it and restarts when its windows allow.`,
  },
  {
    command: "pause",
    label: "Pause",
    color: "orange",
    least: "operator",
    states: ["running"],
    consequence: (campaign) =>
      `Nothing new starts, and none of the ${devices(notApplied(campaign))} that have not installed yet is told to. Devices that install already finish.`,
  },
  {
    command: "resume",
    label: "Resume",
    color: "teal",
    least: "operator",
    states: ["paused"],
    consequence: () => "It goes on where it stood. What its criteria have counted so far is forgiven.",
  },
  {
    command: "stop",
    label: "Stop",
    color: "red",
    least: "operator",
    states: ["ready", "running", "paused"],
    consequence: (campaign) =>
      `For good: ${devices(notApplied(campaign))} will not be updated by it. Transfers are cancelled; devices that install already finish.`,
  },
  {
    command: "rollback",
    label: "Roll back",
    color: "red",
    least: "operator",
    states: ["running", "paused", "finished", "stopped", "aborted"],
    consequence: (campaign) =>
      `${devices(campaign.counts.succeeded)} that it has updated get the image back that was prepared for that: each downloads it, installs it and restarts.${abortText(campaign)}`,
  },
];

/** Words that are for what was looked at: when somebody has changed it since, they are refused. */
const FOR_WHAT_WAS_SEEN: readonly CampaignCommand[] = ["submit", "approve"];

/** Words after which it is late for the plan's warnings. */
const BEFORE_IT_BEGINS: readonly CampaignCommand[] = ["submit", "approve", "start"];

function Warnings({ id }: { readonly id: string }) {
  const { data } = useQuery(planQuery(id));
  return data && <PlanWarnings warnings={data.warnings} />;
}

export function CampaignCommands({ seen }: { readonly seen: Tagged<Campaign> }) {
  const { answer: campaign, etag } = seen;
  const client = useQueryClient();
  const navigate = useNavigate();
  const may = { operator: useMay("operator"), approver: useMay("approver") };
  const refresh = () => void client.invalidateQueries({ queryKey: campaignQuery(campaign.id).queryKey });
  const offers = OFFERS.filter(
    ({ command, least, states }) =>
      may[least] && states.includes(campaign.state) && (command !== "rollback" || campaign.rollbackId !== null),
  );
  const { id, name, state, counts } = campaign;
  const badCount = counts.silent + counts.fellBack + counts.cancelled + failedCount(counts);
  return (
    <Group gap="xs" className="no-print">
      {offers.map(({ command, label, color, consequence }) => (
        <ActionButton
          key={command}
          label={`${label} ${name.slice(0, 40)}`}
          short={label}
          {...(color !== undefined && { color, variant: "filled" as const })}
          consequence={
            <>
              {consequence(campaign)}
              {BEFORE_IT_BEGINS.includes(command) && <Warnings id={id} />}
            </>
          }
          act={() => tellCampaign(id, command, FOR_WHAT_WAS_SEEN.includes(command) ? etag : null)}
          onDone={refresh}
        />
      ))}
      {may.operator && badCount > 0 && (state === "running" || state === "paused") && (
        <ActionButton
          label={`Retry all ${badCount.toLocaleString()} that ended badly`}
          short={`Retry all ${badCount.toLocaleString()}`}
          consequence={`${devices(badCount)} that failed, fell silent, fell back or were cancelled: each gets another attempt and downloads the image again, as its wave, windows and limits allow.`}
          act={() => retryDevices(id)}
          onDone={refresh}
        />
      )}
      {may.operator && state === "draft" && (
        <Button
          size="compact-sm"
          variant="default"
          aria-label={`Edit ${name.slice(0, 40)}`}
          renderRoot={(props) => <Link to="/campaigns/$id/edit" params={{ id }} {...props} />}
        >
          Edit
        </Button>
      )}
      {may.operator && state === "draft" && (
        <ActionButton
          label="Delete the draft"
          short="Delete"
          consequence="The draft is gone. No device has heard of it."
          act={() => deleteDraft(id)}
          onDone={() => {
            void client.invalidateQueries({ queryKey: campaignsQuery().queryKey });
            void navigate({ to: "/campaigns" });
          }}
        />
      )}
    </Group>
  );
}
