/** The steps in which a campaign is written, the last of which is its plan. */
import type { NewCampaign } from "@airlift/protocol/api/campaign";
import { Button, Group, Skeleton, Stack, Stepper, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { Failure } from "../parts/notices.tsx";
import type { CampaignDraft } from "./draft.ts";
import { LimitsStep } from "./limits-step.tsx";
import { PlanView } from "./plan-view.tsx";
import { ownChange, suited } from "./proposal.ts";
import { dryRunQuery, targetCountQuery } from "./queries.ts";
import type { StepProps } from "./step-props.ts";
import { TargetsStep } from "./targets-step.tsx";
import { WavesStep } from "./waves-step.tsx";

const STEPS = ["Image and devices", "Waves", "Limits", "Plan"] as const;
const LAST = STEPS.length - 1;

export interface WizardProps extends StepProps {
  readonly title: string;
  /** Beside the title. */
  readonly aside: ReactNode;
  /** The campaign as a whole, whose plan is shown at last. */
  readonly specOf: (draft: CampaignDraft) => NewCampaign;
  /** Below the plan; told of what it is the plan, once there is one. */
  readonly end: (planned: CampaignDraft | undefined) => ReactNode;
}

export function Wizard({ title, draft: written, onChange: onWritten, aside, specOf, end }: WizardProps) {
  const { step, setStep, place } = useSteps();
  // Not before its query is written.
  const { data: deviceCount, isLoading } = useQuery({ ...targetCountQuery(written.query), enabled: step > 0 });
  const draft = suited(written, deviceCount);
  const onChange = (change: Partial<CampaignDraft>) => onWritten(ownChange(draft, change));
  const isReady = draft.name.trim() !== "" && draft.image !== "" && draft.query.trim() !== "";
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Title order={2} className="anywhere">
          {title}
        </Title>
        {aside}
      </Group>
      <Stepper active={step} onStepClick={setStep} size="sm">
        {STEPS.map((label, index) => (
          <Stepper.Step
            key={label}
            label={label}
            allowStepSelect={index === 0 || isReady}
            aria-current={index === step ? "step" : undefined}
          />
        ))}
      </Stepper>
      <section ref={place} tabIndex={-1} className="unmarked" aria-label={`Step ${step + 1} of ${STEPS.length}`}>
        {step === 0 && <TargetsStep draft={draft} onChange={onChange} />}
        {isLoading && <Skeleton height={200} />}
        {step === 1 && !isLoading && <WavesStep draft={draft} onChange={onChange} />}
        {step === 2 && !isLoading && <LimitsStep draft={draft} onChange={onChange} deviceCount={deviceCount} />}
        {step === LAST && !isLoading && (
          <PlanStep spec={specOf(draft)} end={(isPlanned) => end(isPlanned ? draft : undefined)} />
        )}
      </section>
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

/** Whoever goes on to a step begins at its top, with eyes and with keys. */
function useSteps() {
  const [step, setStep] = useState(0);
  const place = useRef<HTMLElement>(null);
  const last = useRef(step);
  useEffect(() => {
    if (last.current === step) return;
    last.current = step;
    place.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [step]);
  return { step, setStep, place };
}

interface PlanStepProps {
  readonly spec: NewCampaign;
  readonly end: (isPlanned: boolean) => ReactNode;
}

function PlanStep({ spec, end }: PlanStepProps) {
  const plan = useQuery(dryRunQuery(spec));
  return (
    <Stack gap="md">
      {plan.isPending && <Skeleton height={200} />}
      {plan.error && <Failure error={plan.error} retry={() => void plan.refetch()} />}
      {plan.data && <PlanView plan={plan.data} />}
      <details>
        <summary>The campaign as it is sent, for a file</summary>
        <pre className="mono scrolls">{JSON.stringify(spec, null, 2)}</pre>
      </details>
      {end(plan.data !== undefined)}
    </Stack>
  );
}
