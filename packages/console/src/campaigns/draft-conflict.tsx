/** What somebody else has saved while one was editing: taken over where one has not touched it, asked about where both have. */
import { Alert, Button, Group, Radio, Stack, Text } from "@mantine/core";
import { useState } from "react";
import type { CampaignDraft } from "./draft.ts";
import { contested, labelOf, type Member, memberText, mergeDrafts, newsOf, type Versions } from "./draft-merge.ts";

export interface DraftConflictProps {
  readonly versions: Versions;
  /** Who has changed it last. */
  readonly by: string;
  readonly onSettle: (merged: CampaignDraft) => void;
}

export function DraftConflict({ versions, by, onSettle }: DraftConflictProps) {
  const { mine, theirs } = versions;
  const [choices, setChoices] = useState<Partial<Record<Member, "mine" | "theirs">>>({});
  const disputed = contested(versions);
  const takenOver = newsOf(versions).filter((member) => !disputed.includes(member));
  const isSettled = disputed.every((member) => choices[member] !== undefined);
  const keep = () =>
    onSettle(
      mergeDrafts(
        versions,
        disputed.filter((member) => choices[member] === "mine"),
      ),
    );
  return (
    <Alert color="orange" variant="light" title="Someone else has changed this draft meanwhile" role="alert" mb="md">
      <Stack gap="xs">
        {takenOver.length > 0 && <Text size="sm">Changed by {by} and taken over, since you have not touched it:</Text>}
        {takenOver.map((member) => (
          <Text key={member} size="sm" className="anywhere">
            {labelOf(member)}: {memberText(theirs, member)}
          </Text>
        ))}
        {disputed.map((member) => (
          <Radio.Group
            key={member}
            label={`${labelOf(member)}: both of you have changed it`}
            value={choices[member] ?? ""}
            onChange={(choice) => setChoices({ ...choices, [member]: choice === "mine" ? "mine" : "theirs" })}
          >
            <Stack gap={4} mt={4}>
              <Radio value="theirs" label={`${by}: ${memberText(theirs, member)}`} className="anywhere" />
              <Radio value="mine" label={`you: ${memberText(mine, member)}`} className="anywhere" />
            </Stack>
          </Radio.Group>
        ))}
        <Group gap="xs">
          <Button size="compact-sm" variant="default" disabled={!isSettled} onClick={keep}>
            Put both together
          </Button>
          <Button size="compact-sm" variant="default" onClick={() => onSettle(theirs)}>
            Take all of theirs
          </Button>
        </Group>
        <Text size="sm" c="dimmed">
          Nothing is saved before you press Save.
        </Text>
      </Stack>
    </Alert>
  );
}
