/** Who is told of events, and what became of it. */
import type { CreatedWebhook, NewWebhook, Webhook } from "@airlift/protocol/api/webhooks";
import { Badge, Button, Group, Paper, Skeleton, Stack, Text, TextInput, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { webhooksQuery } from "../api/queries.ts";
import { ask } from "../api/request.ts";
import { ActionButton } from "../parts/action-button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Ago } from "../parts/instants.tsx";
import { Empty, Failure } from "../parts/notices.tsx";
import { SecretOnce } from "../parts/secret-once.tsx";
import { useTitle } from "../parts/title.ts";
import { Deliveries } from "./deliveries.tsx";

export function WebhooksPage() {
  useTitle("Webhooks");
  const client = useQueryClient();
  const { data, error, refetch } = useQuery({ ...webhooksQuery(), staleTime: 0 });
  const [isMaking, setMaking] = useState(false);
  const [made, setMade] = useState<CreatedWebhook>();
  const refresh = () => void client.invalidateQueries({ queryKey: ["webhooks"] });
  const onMade = (webhook: CreatedWebhook) => {
    setMaking(false);
    setMade(webhook);
    refresh();
  };
  return (
    <Stack>
      <Group justify="space-between">
        <Title order={2}>Webhooks</Title>
        <Button onClick={() => setMaking(true)}>Add a webhook …</Button>
      </Group>
      {error && <Failure error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeleton height={120} />}
      {data?.length === 0 && (
        <Empty title="Nobody is told of events">
          <Text c="dimmed">A webhook sends them to an address of yours, signed, as they happen.</Text>
        </Empty>
      )}
      {data?.map((webhook) => (
        <WebhookPaper key={webhook.id} webhook={webhook} onDone={refresh} />
      ))}
      {isMaking && <WebhookDialog onMade={onMade} onClose={() => setMaking(false)} />}
      {made && (
        <SecretOnce
          title="The webhook's secret"
          values={[["Secret", made.secret]]}
          onClose={() => setMade(undefined)}
        />
      )}
    </Stack>
  );
}

function WebhookPaper({ webhook, onDone }: { readonly webhook: Webhook; readonly onDone: () => void }) {
  const [isOpen, setOpen] = useState(false);
  const { url, kinds, isEnabled, disabledReason, note, waitingCount, deadCount, createdAt } = webhook;
  return (
    <Paper withBorder p="sm">
      <Stack gap="xs">
        <Group justify="space-between" align="start">
          <Text className="mono anywhere">{url}</Text>
          <Badge variant="dot" tt="none" color={isEnabled ? "teal" : "gray"}>
            {isEnabled ? "on" : disabledReason === null ? "rests" : "disabled"}
          </Badge>
        </Group>
        {disabledReason !== null && <Text size="sm">It was disabled: {disabledReason}.</Text>}
        {note !== "" && <Text size="sm">{note}</Text>}
        <Text size="sm">
          {kinds.length === 0 ? "all events" : kinds.join(", ")} · {waitingCount.toLocaleString()} waiting ·{" "}
          {deadCount.toLocaleString()} given up
        </Text>
        <Text size="xs" c="dimmed">
          added <Ago at={createdAt} />
        </Text>
        <Group gap="xs">
          <Button size="compact-sm" variant="default" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            Deliveries
          </Button>
          <WebhookActions webhook={webhook} onDone={onDone} />
        </Group>
        {isOpen && <Deliveries webhookId={webhook.id} />}
      </Stack>
    </Paper>
  );
}

function WebhookActions({ webhook, onDone }: { readonly webhook: Webhook; readonly onDone: () => void }) {
  const { id, url, isEnabled, deadCount, waitingCount } = webhook;
  const path = `webhooks/${encodeURIComponent(id)}`;
  const body = { isEnabled: !isEnabled };
  return (
    <>
      <ActionButton
        label="Send a test"
        consequence={`One test event is sent to ${url} now, and tried once.`}
        act={() => ask(`${path}/test`, { method: "POST" })}
        onDone={onDone}
      />
      {deadCount > 0 && (
        <ActionButton
          label="Send again"
          consequence={`The ${deadCount.toLocaleString()} that were given up are sent once more. The receiver knows them by their ids.`}
          act={() => ask(`${path}/replay`, { method: "POST", body: {} })}
          onDone={onDone}
        />
      )}
      <ActionButton
        label={isEnabled ? "Let it rest" : "Wake it"}
        consequence={
          isEnabled
            ? "It is not told of anything until it is woken. What happens meanwhile is not sent later."
            : "It is told of what happens from now on."
        }
        act={() => ask(path, { method: "PATCH", body })}
        onDone={onDone}
      />
      <ActionButton
        label="Remove"
        color="red"
        consequence={`${url} is told of nothing any more; ${waitingCount.toLocaleString()} events that wait are dropped.`}
        act={() => ask(path, { method: "DELETE" })}
        onDone={onDone}
      />
    </>
  );
}

interface WebhookDialogProps {
  readonly onMade: (webhook: CreatedWebhook) => void;
  readonly onClose: () => void;
}

function WebhookDialog({ onMade, onClose }: WebhookDialogProps) {
  const [url, setUrl] = useState("");
  const [kinds, setKinds] = useState("");
  const [note, setNote] = useState("");
  const { mutate, error, isPending } = useMutation({
    mutationFn: (body: NewWebhook) => ask<CreatedWebhook>("webhooks", { method: "POST", body }),
    onSuccess: onMade,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const wanted = kinds.split(/[\s,]+/).filter((kind) => kind !== "") as NonNullable<NewWebhook["kinds"]>;
    mutate({ url: url.trim(), kinds: wanted, note });
  };
  return (
    <Dialog title="Add a webhook" onClose={onClose}>
      <form onSubmit={submit}>
        <Stack>
          <TextInput
            label="Address"
            type="url"
            required
            placeholder="https://"
            value={url}
            onChange={({ currentTarget }) => setUrl(currentTarget.value)}
          />
          <TextInput
            label="Events"
            description="kinds with commas between, as update.transition, device.registered; empty = all"
            value={kinds}
            onChange={({ currentTarget }) => setKinds(currentTarget.value)}
          />
          <TextInput
            label="Note"
            maxLength={256}
            value={note}
            onChange={({ currentTarget }) => setNote(currentTarget.value)}
          />
          {error && <Failure error={error} />}
          <Group justify="flex-end">
            <Button type="submit" loading={isPending}>
              Add it
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
