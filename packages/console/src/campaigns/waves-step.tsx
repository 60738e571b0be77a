/** In which order devices get it, and what a wave has to come to before the next one begins. */
import { Button, Group, NativeSelect, Paper, Stack, Text } from "@mantine/core";
import { newWave, type WaveDraft } from "./draft.ts";
import { Field } from "./field.tsx";
import type { StepProps } from "./step-props.ts";

const SHARES = [
  { value: "percent", label: "percent of all" },
  { value: "count", label: "number" },
  { value: "query", label: "those that match" },
  { value: "remaining", label: "whoever is left" },
];

export function WavesStep({ draft: { waves }, onChange }: StepProps) {
  const change = (key: string, part: Partial<WaveDraft>) =>
    onChange({ waves: waves.map((wave) => (wave.key === key ? { ...wave, ...part } : wave)) });
  return (
    <Stack gap="sm">
      <Text size="sm" c="dimmed">
        A wave starts when the one before it has reached its success and has soaked. The last one takes whoever is left.
      </Text>
      {waves.map((wave, index) => (
        <WaveFields
          key={wave.key}
          wave={wave}
          number={index + 1}
          onChange={(part) => change(wave.key, part)}
          onRemove={
            waves.length > 1 ? () => onChange({ waves: waves.filter(({ key }) => key !== wave.key) }) : undefined
          }
        />
      ))}
      <Group>
        <Button
          variant="default"
          onClick={() => onChange({ waves: [...waves.slice(0, -1), newWave(), ...waves.slice(-1)] })}
        >
          Add a wave before the last
        </Button>
      </Group>
    </Stack>
  );
}

interface WaveFieldsProps {
  readonly wave: WaveDraft;
  readonly number: number;
  readonly onChange: (part: Partial<WaveDraft>) => void;
  readonly onRemove: (() => void) | undefined;
}

function WaveFields({ wave, number, onChange, onRemove }: WaveFieldsProps) {
  return (
    <Paper withBorder p="sm" component="fieldset">
      <legend>Wave {number}</legend>
      <Group align="end" gap="sm">
        <Field label="Name" value={wave.name} onText={(name) => onChange({ name })} />
        <NativeSelect
          label="Devices"
          value={wave.share}
          data={SHARES}
          onChange={({ currentTarget }) => onChange({ share: currentTarget.value as WaveDraft["share"] })}
        />
        {wave.share !== "remaining" && (
          <Field
            label={wave.share === "query" ? "Query" : wave.share === "count" ? "How many" : "Percent"}
            value={wave.size}
            onText={(size) => onChange({ size })}
          />
        )}
        <Field
          label="Success, percent"
          w="9rem"
          value={wave.successPercent}
          onText={(successPercent) => onChange({ successPercent })}
        />
        <Field
          label="Then soak for"
          placeholder="30m, 2h, 1d"
          w="8rem"
          value={wave.soak}
          onText={(soak) => onChange({ soak })}
        />
        {onRemove && (
          <Button variant="default" onClick={onRemove} aria-label={`Remove wave ${number}`}>
            Remove
          </Button>
        )}
      </Group>
    </Paper>
  );
}
