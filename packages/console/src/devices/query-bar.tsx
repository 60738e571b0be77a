/** The query of the table of devices, with those that the viewer keeps. */
import { Button, CloseButton, Group, Stack, Text, TextInput } from "@mantine/core";
import { Link, useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import type { DevicesSearch } from "../app/router.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { useStored } from "../parts/stored.ts";

interface SavedQuery {
  readonly name: string;
  readonly query: string;
}

/** What everybody asks sooner or later. */
const USUAL: readonly SavedQuery[] = [
  { name: "Registered", query: "presence==registered" },
  { name: "Silent for a day", query: "lastSeen=lt=-24h" },
];

export function QueryBar({ search }: { readonly search: DevicesSearch }) {
  const navigate = useNavigate();
  const [text, setText] = useState(search.query ?? "");
  const [saved, setSaved] = useStored<readonly SavedQuery[]>("queries", []);
  const [isSaving, setSaving] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const { query: _, ...others } = search;
    void navigate({ to: "/devices", search: { ...others, ...(text.trim() !== "" && { query: text.trim() }) } });
  };
  const remove = (name: string) => setSaved(saved.filter((one) => one.name !== name));
  return (
    <Stack gap="xs">
      <form onSubmit={submit}>
        <Group align="end" gap="xs">
          <TextInput
            flex={1}
            label="Query"
            data-search
            placeholder={"model==Sensor;version=lt=2.0;tags==pilot"}
            value={text}
            onChange={({ currentTarget }) => setText(currentTarget.value)}
          />
          <Button type="submit" variant="default">
            Show
          </Button>
          <Button variant="default" disabled={search.query === undefined} onClick={() => setSaving(true)}>
            Keep …
          </Button>
        </Group>
      </form>
      <Chips saved={saved} current={search.query} onRemove={remove} />
      {isSaving && (
        <SaveDialog
          query={search.query ?? ""}
          onSave={(one) => setSaved([...saved.filter(({ name }) => name !== one.name), one].slice(-20))}
          onClose={() => setSaving(false)}
        />
      )}
    </Stack>
  );
}

interface ChipsProps {
  readonly saved: readonly SavedQuery[];
  readonly current: string | undefined;
  readonly onRemove: (name: string) => void;
}

const Chips = ({ saved, current, onRemove }: ChipsProps) => (
  <Group gap="xs" role="group" aria-label="Kept queries">
    <Link
      to="/devices"
      search={{}}
      activeOptions={{ exact: true }}
      className="chip"
      data-current={current === undefined || undefined}
    >
      All
    </Link>
    {USUAL.map(({ name, query }) => (
      <Link
        key={name}
        to="/devices"
        search={{ query }}
        activeOptions={{ exact: true }}
        className="chip"
        data-current={current === query || undefined}
      >
        {name}
      </Link>
    ))}
    {saved.map(({ name, query }) => (
      <span key={name} className="chip" data-current={current === query || undefined}>
        <Link to="/devices" search={{ query }} activeOptions={{ exact: true }} title={query}>
          {name}
        </Link>
        <CloseButton size="xs" aria-label={`Forget ${name}`} onClick={() => onRemove(name)} />
      </span>
    ))}
  </Group>
);

interface SaveDialogProps {
  readonly query: string;
  readonly onSave: (one: SavedQuery) => void;
  readonly onClose: () => void;
}

function SaveDialog({ query, onSave, onClose }: SaveDialogProps) {
  const [name, setName] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSave({ name: name.trim(), query });
    onClose();
  };
  return (
    <Dialog title="Keep this query" onClose={onClose}>
      <form onSubmit={submit}>
        <Stack>
          <Text className="mono anywhere">{query}</Text>
          <TextInput
            label="Name"
            required
            maxLength={40}
            value={name}
            onChange={({ currentTarget }) => setName(currentTarget.value)}
          />
          <Group justify="flex-end">
            <Button type="submit" disabled={name.trim() === ""}>
              Keep it in this browser
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
