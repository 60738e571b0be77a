/** Who asked for which change, and whether the log itself is whole. */
import type { AuditLine, AuditVerification } from "@airlift/protocol/api/audit";
import { Alert, Button, Group, Skeleton, Stack, Title } from "@mantine/core";
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { auditQuery } from "../api/queries.ts";
import { ask } from "../api/request.ts";
import { Moment } from "../parts/instants.tsx";
import { Empty, Failure } from "../parts/notices.tsx";
import { useTitle } from "../parts/title.ts";
import { type Column, VirtualRows } from "../parts/virtual-rows.tsx";

/** Is in front of every path; without it the end, which says what was done, is in sight. */
const API_PREFIX = " /api/v1/";

const whoText = ({ who, role }: AuditLine): string => `${who}${role === null ? "" : ` (${role})`}`;
const actionText = ({ action }: AuditLine): string => action.replace(API_PREFIX, " ");
const answerText = ({ outcome }: AuditLine): string => `${outcome} ${outcome < 400 ? "done" : "refused"}`;

const COLUMNS: readonly Column<AuditLine>[] = [
  { name: "No.", width: "4.5rem", cell: ({ id }) => id },
  { name: "At", width: "12.5rem", cell: ({ at }) => <Moment at={at} /> },
  { name: "Who", width: "minmax(8rem, 1fr)", cell: whoText },
  { name: "From", width: "9rem", cell: ({ peer }) => peer },
  {
    name: "What",
    width: "minmax(22rem, 3fr)",
    onCard: "title",
    cell: (line) => (
      <span className="mono" title={line.action}>
        {actionText(line)}
      </span>
    ),
  },
  { name: "Answer", width: "8rem", onCard: "mark", cell: answerText },
];

export function AuditPage() {
  useTitle("Audit");
  const { data, error, refetch, hasNextPage, fetchNextPage } = useInfiniteQuery({ ...auditQuery(), staleTime: 0 });
  const lines = data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={2}>Audit</Title>
        <Button variant="default" onClick={() => void refetch()}>
          Look again
        </Button>
      </Group>
      <Verification />
      {error && <Failure error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeleton height={300} />}
      {data && lines.length === 0 && <Empty title="Nobody has changed anything yet" />}
      {lines.length > 0 && (
        <VirtualRows
          label="Changes"
          columns={COLUMNS}
          rows={lines}
          keyOf={({ id }) => `${id}`}
          onEnd={() => hasNextPage && void fetchNextPage()}
        />
      )}
    </Stack>
  );
}

/** Every line carries the hash of the one before it; the server follows the chain when it is asked to. */
function Verification() {
  const { mutate, data, error, isPending } = useMutation({
    mutationFn: () => ask<AuditVerification>("audit/verification"),
  });
  return (
    <>
      <Group>
        <Button size="compact-sm" variant="default" loading={isPending} onClick={() => mutate()}>
          Is the log whole?
        </Button>
      </Group>
      {error && <Failure error={error} />}
      {data && (
        <Alert
          variant="light"
          color={data.isWhole ? "teal" : "red"}
          title={data.isWhole ? "It is whole" : `It is broken at line ${data.brokenAtId ?? "unknown"}`}
          role="status"
        >
          {data.isWhole
            ? "Every line follows from the one before it."
            : "A line was changed or is missing. Compare with a checkpoint that you kept elsewhere."}
          {data.checkpoint !== null && <div className="mono anywhere">checkpoint {data.checkpoint}</div>}
        </Alert>
      )}
    </>
  );
}
