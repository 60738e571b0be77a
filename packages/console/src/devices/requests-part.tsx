/** Requests that wait until the device is awake, and what became of the last ones. */
import type { NewQueuedRequest, QueuedRequest } from "@airlift/protocol/api/schemas";
import { Button, Group, NativeSelect, Paper, Skeleton, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { deviceOf, queueQuery } from "../api/queries.ts";
import { ask } from "../api/request.ts";
import { useMay } from "../api/session.ts";
import { ActionButton } from "../parts/action-button.tsx";
import { Ago } from "../parts/instants.tsx";
import { Empty, Failure } from "../parts/notices.tsx";
import type { PartProps } from "./device-page.tsx";

export function RequestsPart({ device: { endpoint } }: PartProps) {
  const mayAsk = useMay("operator");
  const client = useQueryClient();
  const { data, error, refetch } = useQuery(queueQuery(endpoint));
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton height={80} />;
  const refresh = () => void client.invalidateQueries(queueQuery(endpoint));
  return (
    <Stack>
      {mayAsk && <RequestForm endpoint={endpoint} onDone={refresh} />}
      {data.length === 0 && <Empty title="No request waits" />}
      {data.map((request) => (
        <RequestPaper key={request.id} request={request} mayCancel={mayAsk} onDone={refresh} />
      ))}
    </Stack>
  );
}

interface RequestPaperProps {
  readonly request: QueuedRequest;
  readonly mayCancel: boolean;
  readonly onDone: () => void;
}

const RequestPaper = ({ request, mayCancel, onDone }: RequestPaperProps) => (
  <Paper withBorder p="sm">
    <Group justify="space-between">
      <Text>
        <span className="mono">
          {request.operation} {request.paths.join(" ")}
        </span>{" "}
        · {request.outcome ?? request.state}
        {request.answer && (
          <>
            {" "}
            <span className="mono">{request.answer.code}</span> {answerText(request.answer)}
          </>
        )}
      </Text>
      {mayCancel && request.state === "waiting" && (
        <ActionButton
          label="Take it back"
          consequence={`${request.endpoint} is not asked. The request leaves the queue.`}
          act={() => ask(deviceOf(request.endpoint, `/queue/${encodeURIComponent(request.id)}`), { method: "DELETE" })}
          onDone={onDone}
        />
      )}
    </Group>
    <Text size="xs" c="dimmed">
      asked for <Ago at={request.submittedAt} />
      {request.finishedAt === null ? (
        <>
          {" "}
          · given up <Ago at={request.expiresAt} />
        </>
      ) : (
        <>
          {" "}
          · ended <Ago at={request.finishedAt} />
        </>
      )}
      {request.attempts > 1 && ` · sent ${request.attempts} times`}
    </Text>
  </Paper>
);

const PLAIN_TEXT = 0;

/** What can be read of an answer: text as it is, everything else by its size. */
function answerText({ contentFormat, payload }: NonNullable<QueuedRequest["answer"]>): string {
  if (payload === "") return "";
  const octets = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
  return contentFormat === PLAIN_TEXT
    ? new TextDecoder().decode(octets).slice(0, 200)
    : `${octets.length} octets of format ${contentFormat ?? "unknown"}`;
}

const encodeText = (text: string): string =>
  btoa(Array.from(new TextEncoder().encode(text), (octet) => String.fromCharCode(octet)).join(""));

const OPERATIONS = ["read", "write", "execute"] as const;

function RequestForm({ endpoint, onDone }: { readonly endpoint: string; readonly onDone: () => void }) {
  const [operation, setOperation] = useState<(typeof OPERATIONS)[number]>("read");
  const [path, setPath] = useState("/3/0");
  const [text, setText] = useState("");
  const { mutate, error, isPending } = useMutation({
    mutationFn: (body: NewQueuedRequest) => ask(deviceOf(endpoint, "/queue"), { method: "POST", body }),
    onSuccess: onDone,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const payload = operation === "write" && { payload: encodeText(text), contentFormat: PLAIN_TEXT };
    mutate({ operation, path: path.trim(), ...payload });
  };
  return (
    <form onSubmit={submit} aria-label="Ask when it is awake">
      <Group align="end" gap="xs">
        <NativeSelect
          label="Operation"
          data={[...OPERATIONS]}
          value={operation}
          onChange={({ currentTarget }) => setOperation(currentTarget.value as typeof operation)}
        />
        <TextInput label="Path" value={path} onChange={({ currentTarget }) => setPath(currentTarget.value)} />
        {operation === "write" && (
          <TextInput
            label="Value as text"
            value={text}
            onChange={({ currentTarget }) => setText(currentTarget.value)}
          />
        )}
        <Button type="submit" variant="default" loading={isPending}>
          Ask when it is awake
        </Button>
      </Group>
      {error && <Failure error={error} />}
    </form>
  );
}
