/** Tags and note of a device, edited by whoever may; when two edit at the same time, the one who has not saved is shown both. */
import type { Device } from "@airlift/protocol/api/schemas";
import { Alert, Badge, Button, Group, Stack, TagsInput, Text, Textarea, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { deviceOf, deviceQuery } from "../api/queries.ts";
import { ApiError, ask } from "../api/request.ts";
import { useMay } from "../api/session.ts";
import { Clipped } from "../parts/clipped.tsx";
import { useLeaveGuard } from "../parts/leave-guard.ts";
import { Failure } from "../parts/notices.tsx";

type Labels = Pick<Device, "tags" | "note">;

/** The longest that the API takes. */
const LONGEST_NOTE = 4096;

export function DeviceLabels({ device }: { readonly device: Device }) {
  const mayEdit = useMay("operator");
  const [isEditing, setEditing] = useState(false);
  return (
    <Stack gap="xs">
      <Group justify="space-between">
        <Title order={3} size="h5">
          Tags and note
        </Title>
        {mayEdit && !isEditing && (
          <Button size="compact-sm" variant="default" onClick={() => setEditing(true)}>
            Edit
          </Button>
        )}
      </Group>
      {isEditing ? <LabelsForm device={device} onDone={() => setEditing(false)} /> : <Shown {...device} />}
    </Stack>
  );
}

const Shown = ({ tags, note }: Labels) => (
  <>
    <Group gap={4}>
      {tags.map((tag) => (
        <Badge key={tag} variant="light" tt="none" title={tag}>
          {tag}
        </Badge>
      ))}
      {tags.length === 0 && <Text c="dimmed">No tags.</Text>}
    </Group>
    <Text component="div" className="note">
      {note === "" ? <span className="quiet">No note.</span> : <Clipped text={note} />}
    </Text>
  </>
);

interface LabelsFormProps {
  readonly device: Device;
  readonly onDone: () => void;
}

function LabelsForm({ device, onDone }: LabelsFormProps) {
  const client = useQueryClient();
  const [edit, setEdit] = useState<Labels>({ tags: device.tags, note: device.note });
  /** What was there when the editing began, or when a conflict was settled. */
  const [base, setBase] = useState(device);
  const { mutate, variables, error, isPending, reset } = useMutation({
    mutationFn: ({ revision }: Pick<Device, "revision">) => {
      const headers = { "if-match": `"${revision}"` };
      return ask<Device>(deviceOf(device.endpoint), { method: "PATCH", body: edit, headers });
    },
    onSuccess: (saved) => {
      client.setQueryData(deviceQuery(device.endpoint).queryKey, saved);
      onDone();
    },
    // The refusal is told when there is something to compare with.
    onError: () => client.invalidateQueries(deviceQuery(device.endpoint)),
  });
  const isChanged = !isSame(edit, base);
  useLeaveGuard(isChanged);
  const isOvertaken = device.revision !== base.revision && !isPending;
  const isConflict = isOvertaken && isChanged && !isSame(device, base) && !isSame(device, edit);
  // Nothing to settle: one of the two has changed nothing, or both have come to the same.
  if (isOvertaken && !isConflict) {
    setBase(device);
    if (!isChanged) setEdit({ tags: device.tags, note: device.note });
  }
  const settle = ({ tags, note }: Labels) => {
    setEdit({ tags, note });
    setBase(device);
    reset();
  };
  const isMismatch = error instanceof ApiError && error.code === "ETAG_MISMATCH";
  // Such a refusal was for what is not there any more.
  const isPast = isMismatch && variables?.revision !== device.revision;
  return (
    <Stack gap="xs">
      <TagsInput
        label="Tags"
        value={[...edit.tags]}
        maxTags={64}
        clearable
        onChange={(tags) => setEdit({ ...edit, tags })}
      />
      <Textarea
        label="Note"
        rows={4}
        maxLength={LONGEST_NOTE}
        value={edit.note}
        onChange={({ currentTarget }) => setEdit({ ...edit, note: currentTarget.value })}
      />
      {isConflict && <Conflict theirs={device} mine={edit} onSettle={settle} />}
      {error && !isPast && <Failure error={error} />}
      <Group justify="flex-end">
        <Button variant="default" onClick={onDone}>
          Leave it
        </Button>
        <Button loading={isPending} disabled={isConflict} onClick={() => mutate(base)}>
          Save
        </Button>
      </Group>
    </Stack>
  );
}

const isSame = (one: Labels, other: Labels): boolean =>
  one.note === other.note && JSON.stringify([...one.tags].sort()) === JSON.stringify([...other.tags].sort());

interface ConflictProps {
  readonly theirs: Labels;
  readonly mine: Labels;
  readonly onSettle: (kept: Labels) => void;
}

/** Nothing is lost: what the other one saved is shown, and one's own stays in the fields. */
function Conflict({ theirs, mine, onSettle }: ConflictProps) {
  const both = {
    tags: [...new Set([...theirs.tags, ...mine.tags])].sort(),
    note: theirs.note === mine.note ? mine.note : `${theirs.note}\n${mine.note}`.trim().slice(0, LONGEST_NOTE),
  };
  return (
    <Alert color="orange" variant="light" title="Someone else has changed this meanwhile" role="alert">
      <Stack gap="xs">
        <Text size="sm">They saved:</Text>
        <Shown tags={theirs.tags} note={theirs.note} />
        <Group gap="xs">
          <Button size="compact-sm" variant="default" onClick={() => onSettle(theirs)}>
            Take theirs
          </Button>
          <Button size="compact-sm" variant="default" onClick={() => onSettle(mine)}>
            Keep mine
          </Button>
          <Button size="compact-sm" variant="default" onClick={() => onSettle(both)}>
            Put both together
          </Button>
        </Group>
        <Text size="sm" c="dimmed">
          Nothing is saved before you press Save.
        </Text>
      </Stack>
    </Alert>
  );
}
