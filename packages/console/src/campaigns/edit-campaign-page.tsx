/** A draft in the wizard once more. Only what was changed is sent; what somebody else has changed meanwhile is shown and settled. */
import type { Campaign } from "@airlift/protocol/api/campaign";
import { Button, Group, Skeleton, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useBlocker, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError, type Tagged } from "../api/request.ts";
import { Empty, Failure } from "../parts/notices.tsx";
import { useTitle } from "../parts/title.ts";
import { type CampaignDraft, specOf } from "./draft.ts";
import { DraftConflict } from "./draft-conflict.tsx";
import { changedMembers, editOf } from "./draft-merge.ts";
import { campaignQuery, changeDraft } from "./queries.ts";
import { draftOf } from "./read-draft.ts";
import { Wizard } from "./wizard.tsx";

const route = getRouteApi("/campaigns/$id/edit");

export function EditCampaignPage() {
  const { id } = route.useParams();
  useTitle("Edit a draft");
  const { data, error, refetch } = useQuery({ ...campaignQuery(id), staleTime: 0 });
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton height={300} />;
  if (data.answer.state !== "draft")
    return (
      <Empty title="This is not a draft any more">
        <Link to="/campaigns/$id" params={{ id }}>
          To the campaign
        </Link>
      </Empty>
    );
  return <Edit key={id} seen={data} />;
}

/** What is there now, and what it has become here; the editing goes on from what it began with. */
function Edit({ seen }: { readonly seen: Tagged<Campaign> }) {
  const { id, spec } = seen.answer;
  const [base, setBase] = useState(seen);
  const [draft, setDraft] = useState<CampaignDraft>(() => draftOf(spec));
  const before = draftOf(base.answer.spec);
  const changed = changedMembers(before, draft);
  const client = useQueryClient();
  const navigate = useNavigate();
  const saving = useMutation({
    mutationFn: () => changeDraft(id, editOf(before, draft), base.etag),
    onSuccess: async () => {
      void client.invalidateQueries({ queryKey: ["campaigns"] });
      await navigate({ to: "/campaigns/$id", params: { id }, ignoreBlocker: true });
    },
    onError: () => void client.invalidateQueries(campaignQuery(id)),
  });
  useBlocker({
    shouldBlockFn: () => changed.length > 0 && !window.confirm("Leave the page, and what you have changed?"),
    enableBeforeUnload: () => changed.length > 0,
  });
  const isOvertaken = seen.etag !== base.etag;
  // Who has changed nothing has nothing to settle.
  if (isOvertaken && changed.length === 0 && !saving.isPending) {
    setBase(seen);
    setDraft(draftOf(spec));
  }
  const isRefused = saving.error instanceof ApiError && saving.error.code === "ETAG_MISMATCH";
  const settle = (merged: CampaignDraft) => {
    setDraft(merged);
    setBase(seen);
    saving.reset();
  };
  return (
    <>
      {isOvertaken && (
        <DraftConflict
          versions={{ base: before, mine: draft, theirs: draftOf(spec) }}
          by={seen.answer.createdBy}
          onSettle={settle}
        />
      )}
      <Wizard
        title={`Edit ${base.answer.spec.name}`}
        draft={draft}
        // Of the rest of the spec, which has no fields, too.
        spec={{ ...base.answer.spec, ...specOf(draft) }}
        onChange={(part) => setDraft({ ...draft, ...part })}
        aside={
          <Button
            size="compact-sm"
            variant="default"
            renderRoot={(props) => <Link to="/campaigns/$id" params={{ id }} {...props} />}
          >
            Leave it
          </Button>
        }
        end={(isPlanned) => (
          <>
            {saving.error && !isRefused && <Failure error={saving.error} />}
            <Group>
              <Button
                disabled={!isPlanned || isOvertaken || changed.length === 0}
                loading={saving.isPending}
                onClick={() => saving.mutate()}
              >
                Save the draft
              </Button>
              <Text size="sm" c="dimmed">
                {changed.length === 0 ? "Nothing is changed yet." : "Its devices are dealt out anew."}
              </Text>
            </Group>
          </>
        )}
      />
    </>
  );
}
