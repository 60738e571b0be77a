/** A campaign in four steps that end in its plan: nothing is kept before the last. */
import { Button, Group, Text } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { ownerOf, personOf } from "../api/session.ts";
import { Failure } from "../parts/notices.tsx";
import { useStored } from "../parts/stored.ts";
import { useTitle } from "../parts/title.ts";
import { type CampaignDraft, specOf } from "./draft.ts";
import { emptyDraft } from "./proposal.ts";
import { campaignsQuery, createCampaign } from "./queries.ts";
import { Wizard } from "./wizard.tsx";

export function NewCampaignPage() {
  useTitle("New campaign");
  const owner = ownerOf(useQueryClient());
  // What was written outlives a page that is closed by mistake, and is there for whoever wrote it.
  const [draft, setDraft] = useStored<CampaignDraft>(
    `campaign-draft.${owner ? personOf(owner) : ""}`,
    emptyDraft(Intl.DateTimeFormat().resolvedOptions().timeZone),
  );
  const [beginnings, setBeginnings] = useState(0);
  return (
    <Wizard
      key={beginnings}
      title="New campaign"
      draft={draft}
      specOf={specOf}
      onChange={(part) => setDraft({ ...draft, ...part })}
      aside={
        <Button
          size="compact-sm"
          variant="default"
          onClick={() => {
            setDraft(emptyDraft(draft.timeZone));
            setBeginnings(beginnings + 1);
          }}
        >
          Begin anew
        </Button>
      }
      end={(planned) => <Creation planned={planned} onCreated={() => setDraft(emptyDraft(draft.timeZone))} />}
    />
  );
}

interface CreationProps {
  /** Undefined = there is no plan of it yet. */
  readonly planned: CampaignDraft | undefined;
  readonly onCreated: () => void;
}

function Creation({ planned, onCreated }: CreationProps) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const { mutate, error, isPending } = useMutation({
    mutationFn: (draft: CampaignDraft) => createCampaign(specOf(draft)),
    onSuccess: async (campaign) => {
      void client.invalidateQueries({ queryKey: campaignsQuery().queryKey });
      await navigate({ to: "/campaigns/$id", params: { id: campaign.id } });
      // Not before: the plan of an empty draft would be asked for.
      onCreated();
    },
  });
  return (
    <>
      {error && <Failure error={error} />}
      <Group>
        <Button disabled={!planned} loading={isPending} onClick={() => planned && mutate(planned)}>
          Create the draft
        </Button>
        <Text size="sm" c="dimmed">
          Nothing starts: a draft is submitted, approved if it has to be, and then started.
        </Text>
      </Group>
    </>
  );
}
