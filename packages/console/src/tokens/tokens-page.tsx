/** Who may use the server: tokens of people and programs. A token's text is shown once, when it is made. */
import type { CreatedToken, NewToken, Role, Token } from "@airlift/protocol/api/credentials";
import { Button, Group, NativeSelect, Paper, Skeleton, Stack, Text, TextInput, Title } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { tokensQuery } from "../api/queries.ts";
import { ask } from "../api/request.ts";
import { ActionButton } from "../parts/action-button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Ago } from "../parts/instants.tsx";
import { Failure } from "../parts/notices.tsx";
import { SecretOnce } from "../parts/secret-once.tsx";
import { useTitle } from "../parts/title.ts";

export function TokensPage() {
  useTitle("Tokens");
  const client = useQueryClient();
  const { data, error, refetch, hasNextPage, fetchNextPage } = useInfiniteQuery(tokensQuery());
  const [isMaking, setMaking] = useState(false);
  const [made, setMade] = useState<CreatedToken>();
  const refresh = () => void client.invalidateQueries({ queryKey: ["tokens"] });
  const onMade = (token: CreatedToken) => {
    setMaking(false);
    setMade(token);
    refresh();
  };
  return (
    <Stack>
      <Group justify="space-between">
        <Title order={2}>Tokens</Title>
        <Button onClick={() => setMaking(true)}>Make a token …</Button>
      </Group>
      {error && <Failure error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeleton height={120} />}
      {data?.pages
        .flatMap(({ items }) => items)
        .map((token) => (
          <TokenPaper key={token.id} token={token} onDone={refresh} />
        ))}
      {hasNextPage && (
        <Button variant="default" onClick={() => void fetchNextPage()}>
          Older
        </Button>
      )}
      {isMaking && <TokenDialog onMade={onMade} onClose={() => setMaking(false)} />}
      {made && <SecretOnce title="The new token" values={[["Token", made.token]]} onClose={() => setMade(undefined)} />}
    </Stack>
  );
}

function TokenPaper({ token, onDone }: { readonly token: Token; readonly onDone: () => void }) {
  return (
    <Paper withBorder p="sm">
      <Group justify="space-between">
        <Text className="anywhere">
          <strong>{token.name}</strong> · {token.role}
          {token.revokedAt !== null && (
            <>
              {" "}
              · revoked <Ago at={token.revokedAt} />
            </>
          )}
        </Text>
        {token.revokedAt === null && (
          <ActionButton
            label="Revoke"
            color="red"
            consequence={`Whoever uses ${token.name} is refused from now on, and browsers that signed in with it are signed out. It cannot be undone.`}
            act={() => ask(`tokens/${encodeURIComponent(token.id)}`, { method: "DELETE" })}
            onDone={onDone}
          />
        )}
      </Group>
      <Text size="xs" c="dimmed">
        made <Ago at={token.createdAt} /> ·{" "}
        {token.lastUsedAt === null ? "never used" : <>last used {<Ago at={token.lastUsedAt} />}</>} ·{" "}
        {token.expiresAt === null ? "does not expire" : <>expires {<Ago at={token.expiresAt} />}</>}
      </Text>
    </Paper>
  );
}

const ROLES: readonly (readonly [role: Role, may: string])[] = [
  ["viewer", "sees everything but keys"],
  ["operator", "asks devices, adds images, updates"],
  ["approver", "approves campaigns as well"],
  ["admin", "hands out tokens and credentials as well"],
];
const LIFETIMES = [
  ["", "never"],
  ["86400", "in a day"],
  ["2592000", "in 30 days"],
  ["31536000", "in a year"],
] as const;

interface TokenDialogProps {
  readonly onMade: (token: CreatedToken) => void;
  readonly onClose: () => void;
}

function TokenDialog({ onMade, onClose }: TokenDialogProps) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [lifetimeS, setLifetimeS] = useState("2592000");
  const { mutate, error, isPending } = useMutation({
    mutationFn: (body: NewToken) => ask<CreatedToken>("tokens", { method: "POST", body }),
    onSuccess: onMade,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    mutate({ name: name.trim(), role, ...(lifetimeS !== "" && { expiresInS: Number(lifetimeS) }) });
  };
  return (
    <Dialog title="Make a token" onClose={onClose}>
      <form onSubmit={submit}>
        <Stack>
          <TextInput
            label="For whom, or for what"
            required
            maxLength={64}
            value={name}
            onChange={({ currentTarget }) => setName(currentTarget.value)}
          />
          <NativeSelect
            label="Role"
            value={role}
            data={ROLES.map(([value, may]) => ({ value, label: `${value}: ${may}` }))}
            onChange={({ currentTarget }) => setRole(currentTarget.value as Role)}
          />
          <NativeSelect
            label="Expires"
            value={lifetimeS}
            data={LIFETIMES.map(([value, label]) => ({ value, label }))}
            onChange={({ currentTarget }) => setLifetimeS(currentTarget.value)}
          />
          {error && <Failure error={error} />}
          <Group justify="flex-end">
            <Button type="submit" loading={isPending}>
              Make it
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
