/** A campaign in four steps that end in its plan: nothing is kept before the last. */
import type { CampaignPlan } from "@airlift/protocol/api/campaign";
import { Button, Group, Skeleton, Stack, Stepper, Text, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { Failure } from "../parts/notices.tsx";
import { useStored } from "../parts/stored.ts";
import { useTitle } from "../parts/title.ts";
import { type CampaignDraft, emptyDraft, specOf } from "./draft.ts";
import { LimitsStep } from "./limits-step.tsx";
import { PlanView } from "./plan-view.tsx";
import { createCampaign, planCampaign } from "./queries.ts";
import { TargetsStep } from "./targets-step.tsx";
import { WavesStep } from "./waves-step.tsx";

const STEPS = ["Image and devices", "Waves", "Limits", "Plan"] as const;
const LAST = STEPS.length - 1;

export interface StepProps {
  readonly draft: CampaignDraft;
  readonly onChange: (change: Partial<CampaignDraft>) => void;
}

export function NewCampaignPage() {
  useTitle("New campaign");
  // What was written outlives a page that is closed by mistake.
  const [draft, setDraft] = useStored<CampaignDraft>(
    "campaign-draft",
    emptyDraft(Intl.DateTimeFormat().resolvedOptions().timeZone),
  );
  const [step, setStep] = useState(0);
  const change = (part: Partial<CampaignDraft>) => setDraft({ ...draft, ...part });
  const isReady = draft.name.trim() !== "" && draft.image !== "" && draft.query.trim() !== "";
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Title order={2}>New campaign</Title>
        <Button
          size="compact-sm"
          variant="default"
          onClick={() => {
            setDraft(emptyDraft(draft.timeZone));
            setStep(0);
          }}
        >
          Begin anew
        </Button>
      </Group>
      <Stepper active={step} onStepClick={setStep} size="sm">
        {STEPS.map((label, index) => (
          <Stepper.Step key={label} label={label} allowStepSelect={index === 0 || isReady} />
        ))}
      </Stepper>
      {step === 0 && <TargetsStep draft={draft} onChange={change} />}
      {step === 1 && <WavesStep draft={draft} onChange={change} />}
      {step === 2 && <LimitsStep draft={draft} onChange={change} />}
      {step === LAST && <PlanStep draft={draft} onCreated={() => setDraft(emptyDraft(draft.timeZone))} />}
      <Group justify="space-between">
        <Button variant="default" disabled={step === 0} onClick={() => setStep(step - 1)}>
          Back
        </Button>
        {step < LAST && (
          <Button disabled={!isReady} onClick={() => setStep(step + 1)}>
            Next
          </Button>
        )}
      </Group>
      {!isReady && (
        <Text size="sm" c="dimmed">
          A name, an image and a query are the least.
        </Text>
      )}
    </Stack>
  );
}

function PlanStep({ draft, onCreated }: { readonly draft: CampaignDraft; readonly onCreated: () => void }) {
  const spec = specOf(draft);
  const navigate = useNavigate();
  const client = useQueryClient();
  const plan = useQuery<CampaignPlan>({
    queryKey: ["campaigns", "dry-run", spec],
    queryFn: () => planCampaign(spec),
    retry: false,
    staleTime: 0,
  });
  const creation = useMutation({
    mutationFn: () => createCampaign(spec),
    onSuccess: async (campaign) => {
      void client.invalidateQueries({ queryKey: ["campaigns", "list"] });
      await navigate({ to: "/campaigns/$id", params: { id: campaign.id } });
      // Not before: the plan of an empty draft would be asked for.
      onCreated();
    },
  });
  return (
    <Stack gap="md">
      {plan.isPending && <Skeleton height={200} />}
      {plan.error && <Failure error={plan.error} retry={() => void plan.refetch()} />}
      {plan.data && <PlanView plan={plan.data} />}
      <details>
        <summary>The campaign as it is sent, for a file</summary>
        <pre className="mono scrolls">{JSON.stringify(spec, null, 2)}</pre>
      </details>
      {creation.error && <Failure error={creation.error} />}
      <Group>
        <Button disabled={!plan.data} loading={creation.isPending} onClick={() => creation.mutate()}>
          Create the draft
        </Button>
        <Text size="sm" c="dimmed">
          Nothing starts: a draft is submitted, approved if it has to be, and then started.
        </Text>
      </Group>
    </Stack>
  );
}
