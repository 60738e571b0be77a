/** Tags and note of a device, edited by whoever may; when two edit at the same time, the later one is shown both. */
import type { Device } from "@airlift/protocol/api/schemas";
import { Alert, Badge, Button, Group, Stack, TagsInput, Text, Textarea, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { deviceOf, deviceQuery } from "../api/queries.ts";
import { ApiError, ask } from "../api/request.ts";
import { useMay } from "../api/session.ts";
import { Clipped } from "../parts/clipped.tsx";
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
  /** What was seen when the editing began, or when a conflict was settled. */
  const [revision, setRevision] = useState(device.revision);
  const { mutate, error, isPending, reset } = useMutation({
    mutationFn: () => {
      const headers = { "if-match": `"${revision}"` };
      return ask<Device>(deviceOf(device.endpoint), { method: "PATCH", body: edit, headers });
    },
    onSuccess: (saved) => {
      client.setQueryData(deviceQuery(device.endpoint).queryKey, saved);
      onDone();
    },
    onError: () => void client.invalidateQueries(deviceQuery(device.endpoint)),
  });
  const isConflict = error instanceof ApiError && error.code === "ETAG_MISMATCH";
  const settle = (kept: Labels) => {
    setEdit(kept);
    setRevision(device.revision);
    reset();
  };
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
      {error && !isConflict && <Failure error={error} />}
      <Group justify="flex-end">
        <Button variant="default" onClick={onDone}>
          Leave it
        </Button>
        <Button loading={isPending} disabled={isConflict} onClick={() => mutate()}>
          Save
        </Button>
      </Group>
    </Stack>
  );
}

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
