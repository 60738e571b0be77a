/** A draft in the wizard once more. Only what was changed is sent; what somebody else has changed meanwhile is shown and settled. */
import type { Campaign } from "@airlift/protocol/api/campaign";
import { Button, Group, Skeleton, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError, type Tagged } from "../api/request.ts";
import { keysOfCampaign } from "../api/touched-queries.ts";
import { useLeaveGuard } from "../parts/leave-guard.ts";
import { Failure, isMissing } from "../parts/notices.tsx";
import { useTitle } from "../parts/title.ts";
import { type CampaignDraft, specOf } from "./draft.ts";
import { DraftClosed, NothingToEdit } from "./draft-closed.tsx";
import { DraftConflict } from "./draft-conflict.tsx";
import { changedMembers, editOf, mergeDrafts, newsOf } from "./draft-merge.ts";
import { campaignQuery, campaignsQuery, changeDraft } from "./queries.ts";
import { draftOf } from "./read-draft.ts";
import { Wizard } from "./wizard.tsx";

const route = getRouteApi("/campaigns/$id/edit");

export function EditCampaignPage() {
  const { id } = route.useParams();
  useTitle("Edit a draft");
  const { data, error, refetch } = useQuery({ ...campaignQuery(id), staleTime: 0 });
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton height={300} />;
  return <Edit key={id} seen={data} isDeleted={isMissing(error)} />;
}

interface EditProps {
  /** As it is now, or was when it was deleted. */
  readonly seen: Tagged<Campaign>;
  readonly isDeleted: boolean;
}

/** What is there now, and what it has become here; the editing goes on from what it began with. */
function useEdit({ seen, isDeleted }: EditProps) {
  const { id, spec, state } = seen.answer;
  const [base, setBase] = useState(seen);
  const [draft, setDraft] = useState<CampaignDraft>(() => draftOf(spec));
  const before = draftOf(base.answer.spec);
  const changed = changedMembers(before, draft);
  const client = useQueryClient();
  const navigate = useNavigate();
  const saving = useMutation({
    mutationFn: ({ answer, etag }: Tagged<Campaign>) => changeDraft(id, editOf(draftOf(answer.spec), draft), etag),
    onSuccess: async () => {
      for (const queryKey of [...keysOfCampaign(id), campaignsQuery().queryKey])
        void client.invalidateQueries({ queryKey });
      await navigate({ to: "/campaigns/$id", params: { id }, ignoreBlocker: true });
    },
    // The refusal is told when there is something to compare with.
    onError: () => client.invalidateQueries(campaignQuery(id)),
  });
  useLeaveGuard(changed.length > 0);
  const versions = { base: before, mine: draft, theirs: draftOf(spec) };
  const isClosed = isDeleted || state !== "draft";
  const isOvertaken = seen.etag !== base.etag && !isClosed;
  const isContested = isOvertaken && changed.length > 0 && newsOf(versions).length > 0;
  // One of the two has changed nothing, or both have come to the same: there is nothing to settle.
  if (isOvertaken && !isContested && !saving.isPending) {
    setBase(seen);
    setDraft(mergeDrafts(versions, []));
  }
  const isMismatch = saving.error instanceof ApiError && saving.error.code === "ETAG_MISMATCH";
  // Such a refusal was for what is not there any more.
  const isPast = isClosed || (isMismatch && saving.variables?.etag !== seen.etag);
  const settle = (merged: CampaignDraft) => {
    setDraft(merged);
    setBase(seen);
    saving.reset();
  };
  const error = isPast ? null : saving.error;
  return { base, draft, setDraft, changed, versions, isClosed, isContested, settle, error, saving };
}

function Edit({ seen, isDeleted }: EditProps) {
  const { base, draft, setDraft, changed, versions, isClosed, isContested, settle, error, saving } = useEdit({
    seen,
    isDeleted,
  });
  const { id } = seen.answer;
  if (isClosed && changed.length === 0) return <NothingToEdit id={id} />;
  return (
    <>
      {isClosed && <DraftClosed campaign={seen.answer} isDeleted={isDeleted} versions={versions} />}
      {isContested && (
        <DraftConflict
          versions={versions}
          by={seen.answer.changedBy.at(-1) ?? seen.answer.createdBy}
          onSettle={settle}
        />
      )}
      <Wizard
        title={`Edit ${base.answer.spec.name}`}
        draft={draft}
        // Of the rest of the spec, which has no fields, too.
        specOf={(edited) => ({ ...base.answer.spec, ...specOf(edited) })}
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
        end={(planned) => (
          <>
            {error && <Failure error={error} />}
            <Group>
              <Button
                disabled={!planned || isClosed || isContested || changed.length === 0}
                loading={saving.isPending}
                onClick={() => saving.mutate(base)}
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
