/** A draft that was submitted or deleted while one was editing: what one has changed is not in it, and is not lost either. */
import type { Campaign } from "@airlift/protocol/api/campaign";
import { Alert, Button, Group, Stack, Text } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Empty, Failure } from "../parts/notices.tsx";
import { specOf } from "./draft.ts";
import { changedMembers, contested, labelOf, memberText, mergeDrafts, type Versions } from "./draft-merge.ts";
import { campaignsQuery, createCampaign } from "./queries.ts";

export interface DraftClosedProps {
  /** As it is now, or was when it was deleted. */
  readonly campaign: Campaign;
  readonly isDeleted: boolean;
  readonly versions: Versions;
}

export function DraftClosed({ campaign, isDeleted, versions }: DraftClosedProps) {
  const { base, mine } = versions;
  const navigate = useNavigate();
  const client = useQueryClient();
  const show = (id: string) => navigate({ to: "/campaigns/$id", params: { id }, ignoreBlocker: true });
  const copying = useMutation({
    // Theirs is as they have submitted it; what I have changed goes on top.
    mutationFn: () => createCampaign({ ...campaign.spec, ...specOf(mergeDrafts(versions, contested(versions))) }),
    onSuccess: async ({ id }) => {
      void client.invalidateQueries(campaignsQuery());
      await show(id);
    },
  });
  const leave = () => (isDeleted ? navigate({ to: "/campaigns", ignoreBlocker: true }) : show(campaign.id));
  return (
    <Alert
      color="orange"
      variant="light"
      title={isDeleted ? "Somebody has deleted this draft" : "This is not a draft any more"}
      role="alert"
      mb="md"
    >
      <Stack gap="xs">
        <Text size="sm">
          {isDeleted
            ? "It cannot be saved."
            : `How it stands now: ${campaign.sentence}. If it is sent back to be a draft again, you can go on here.`}{" "}
          What you have changed is not in it:
        </Text>
        {changedMembers(base, mine).map((member) => (
          <Text key={member} size="sm" className="anywhere">
            {labelOf(member)}: {memberText(mine, member)}
          </Text>
        ))}
        {copying.error && <Failure error={copying.error} />}
        <Group gap="xs">
          <Button size="compact-sm" variant="default" loading={copying.isPending} onClick={() => copying.mutate()}>
            Make a new draft with my changes
          </Button>
          <Button size="compact-sm" variant="default" onClick={() => void leave()}>
            Give my changes up
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}

/** For those who have changed nothing. */
export const NothingToEdit = ({ id }: { readonly id: string }) => (
  <Empty title="This is not a draft any more">
    <Link to="/campaigns/$id" params={{ id }}>
      To the campaign
    </Link>
  </Empty>
);
