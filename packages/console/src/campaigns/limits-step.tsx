/** What stops it by itself, how fast it goes and when, who has to approve it, and what undoes it. */

import { CRITERION_ACTIONS, CRITERION_OUTCOMES } from "@airlift/protocol/update/campaign";
import { Button, Checkbox, Group, NativeSelect, Paper, Stack, Text, Title } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { imagesQuery } from "../api/queries.ts";
import { type CriterionDraft, newCriterion } from "./draft.ts";
import { Field } from "./field.tsx";
import { wordsOf } from "./outcome-bar.tsx";
import { leastJudged } from "./proposal.ts";
import type { StepProps } from "./step-props.ts";
import { ImageSelect } from "./targets-step.tsx";

export interface LimitsStepProps extends StepProps {
  /** Undefined = not known. */
  readonly deviceCount: number | undefined;
}

export function LimitsStep({ draft, onChange, deviceCount }: LimitsStepProps) {
  const { data } = useInfiniteQuery(imagesQuery());
  const images = data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <Stack gap="md">
      <CriteriaFields draft={draft} onChange={onChange} deviceCount={deviceCount} />
      <PaceFields draft={draft} onChange={onChange} />
      <WindowFields draft={draft} onChange={onChange} />
      <Checkbox
        label="Send a delta where there is one from what a device runs: these devices decode deltas"
        checked={draft.mayBeDelta}
        onChange={({ currentTarget }) => onChange({ mayBeDelta: currentTarget.checked })}
      />
      <Title order={3} size="h4">
        Approval and way back
      </Title>
      <Checkbox
        label="Somebody else has to approve it"
        checked={draft.needsApproval}
        onChange={({ currentTarget }) => onChange({ needsApproval: currentTarget.checked })}
      />
      <Checkbox
        label="A lower version may be installed (needs approval)"
        checked={draft.mayDowngrade}
        onChange={({ currentTarget }) => onChange({ mayDowngrade: currentTarget.checked })}
      />
      <ImageSelect
        label="Rollback: what devices get back that it has updated (a lower version needs approval)"
        images={images}
        value={draft.rollbackImage}
        none="no rollback is prepared"
        onChange={(rollbackImage) => onChange({ rollbackImage })}
      />
    </Stack>
  );
}

function CriteriaFields({ draft: { criteria }, onChange, deviceCount }: LimitsStepProps) {
  const add = () =>
    onChange({ criteria: [...criteria, newCriterion({ minimumExecuted: `${leastJudged(deviceCount)}` })] });
  const change = (key: string, part: Partial<CriterionDraft>) =>
    onChange({ criteria: criteria.map((one) => (one.key === key ? { ...one, ...part } : one)) });
  return (
    <Stack gap="sm">
      <Title order={3} size="h4">
        It stops by itself
      </Title>
      {criteria.length === 0 && <Text c="dimmed">Nothing stops it but you.</Text>}
      {criteria.map((criterion, index) => (
        <CriterionFields
          key={criterion.key}
          criterion={criterion}
          number={index + 1}
          onChange={(part) => change(criterion.key, part)}
          onRemove={() => onChange({ criteria: criteria.filter(({ key }) => key !== criterion.key) })}
        />
      ))}
      <Group>
        <Button variant="default" onClick={add}>
          Add a criterion
        </Button>
      </Group>
    </Stack>
  );
}

/** Not a kind of failure. */
const isWhole = (outcome: CriterionDraft["outcomes"][number]): boolean =>
  outcome === "failed" || outcome === "silent" || outcome === "fellBack";

interface CriterionFieldsProps {
  readonly criterion: CriterionDraft;
  readonly number: number;
  readonly onChange: (part: Partial<CriterionDraft>) => void;
  readonly onRemove: () => void;
}

function CriterionFields({ criterion, number, onChange, onRemove }: CriterionFieldsProps) {
  const { outcomes, unit, limit, minimumExecuted, action } = criterion;
  return (
    <Paper withBorder p="sm" component="fieldset">
      <legend>Criterion {number}</legend>
      <Stack gap="sm">
        <Checkbox.Group
          label="When devices"
          value={[...outcomes]}
          onChange={(value) => onChange({ outcomes: value as typeof outcomes })}
        >
          <Group gap="sm" mt={4}>
            {CRITERION_OUTCOMES.filter(isWhole).map((outcome) => (
              <Checkbox key={outcome} value={outcome} label={wordsOf(outcome)} />
            ))}
          </Group>
          <details open={outcomes.some((outcome) => !isWhole(outcome)) || undefined}>
            <summary>or failed in certain ways only</summary>
            <Group gap="sm" mt={4}>
              {CRITERION_OUTCOMES.filter((outcome) => !isWhole(outcome)).map((outcome) => (
                <Checkbox key={outcome} value={outcome} label={wordsOf(outcome)} />
              ))}
            </Group>
          </details>
        </Checkbox.Group>
        <Group align="end" gap="sm">
          <Field label="reach" w="6rem" value={limit} onText={(limit) => onChange({ limit })} />
          <NativeSelect
            label="of those that ended"
            value={unit}
            data={[
              { value: "percent", label: "percent" },
              { value: "count", label: "devices" },
            ]}
            onChange={({ currentTarget }) => onChange({ unit: currentTarget.value as typeof unit })}
          />
          <Field
            label="but not before"
            description="devices have ended"
            w="9rem"
            value={minimumExecuted}
            onText={(minimumExecuted) => onChange({ minimumExecuted })}
          />
          <NativeSelect
            label="then"
            value={action}
            data={CRITERION_ACTIONS.map((one) => ({ value: one, label: wordsOf(one) }))}
            onChange={({ currentTarget }) => onChange({ action: currentTarget.value as typeof action })}
          />
          <Button variant="default" onClick={onRemove} aria-label={`Remove criterion ${number}`}>
            Remove
          </Button>
        </Group>
      </Stack>
    </Paper>
  );
}

const PaceFields = ({ draft, onChange }: StepProps) => (
  <Group align="end">
    <Field label="Devices worked on at once" value={draft.inFlight} onText={(inFlight) => onChange({ inFlight })} />
    <Field
      label="Starts a minute"
      placeholder="no limit"
      value={draft.startsPerMinute}
      onText={(startsPerMinute) => onChange({ startsPerMinute })}
    />
  </Group>
);

const WindowFields = ({ draft, onChange }: StepProps) => (
  <Stack gap="sm">
    <Title order={3} size="h4">
      Windows, in each device's own time zone
    </Title>
    <Group align="end">
      <Field
        label="Downloads begin at"
        description="cron; empty = any time"
        placeholder="0 22 * * *"
        value={draft.downloadCron}
        onText={(downloadCron) => onChange({ downloadCron })}
      />
      <Field
        label="open for"
        aria-label="Downloads are open for"
        w="6rem"
        value={draft.downloadFor}
        onText={(downloadFor) => onChange({ downloadFor })}
      />
      <Field
        label="Installations begin at"
        description="cron; empty = any time"
        placeholder="0 2 * * mon-fri"
        value={draft.applyCron}
        onText={(applyCron) => onChange({ applyCron })}
      />
      <Field
        label="open for"
        aria-label="Installations are open for"
        w="6rem"
        value={draft.applyFor}
        onText={(applyFor) => onChange({ applyFor })}
      />
      <Field
        label="Time zone of devices that report none"
        value={draft.timeZone}
        onText={(timeZone) => onChange({ timeZone })}
      />
    </Group>
  </Stack>
);
