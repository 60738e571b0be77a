/** Where one shows a token. It goes to the server once and is not kept; what stays is a cookie that no script can read. */
import type { Session } from "@airlift/protocol/api/credentials";
import { Alert, Button, Paper, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import { signInMethodsQuery } from "../api/queries.ts";
import { ask } from "../api/request.ts";
import { Failure } from "../parts/notices.tsx";
import { useTitle } from "../parts/title.ts";
import { rememberPlace } from "./place-to-return.ts";

export function SignIn() {
  useTitle("Sign in");
  return (
    <main className="lone" id="main">
      <Paper withBorder p="xl">
        <Stack>
          <Title order={1} size="h3">
            Airlift
          </Title>
          <Refusal />
          <ProviderButton />
          <TokenForm />
          <Text size="sm" c="dimmed">
            A token comes from an administrator, or from <code className="mono">airlift token create</code>. The first
            one is written to the server's data folder when it starts for the first time.
          </Text>
        </Stack>
      </Paper>
    </main>
  );
}

/** What the server says of a sign-in at the provider that came to nothing. */
const REFUSALS: Readonly<Record<string, string>> = {
  OIDC_NO_ROLE: "Your organisation knows you, but gives you no role here. Ask for one, or sign in as somebody else.",
  OIDC_REFUSED: "The provider did not sign this browser in, or it took too long. Begin again.",
  OIDC_AWAY: "The provider does not answer. Try again later, or sign in with a token.",
};

function Refusal() {
  const [code] = useState(() => new URLSearchParams(location.search).get("refused"));
  // It is told once: whoever signs in, or comes back later, has nothing to do with it.
  useEffect(() => {
    if (code !== null) history.replaceState(history.state, "", location.pathname);
  }, [code]);
  if (code === null) return null;
  return (
    <Alert color="red" variant="light" title="You are not signed in" role="alert">
      {REFUSALS[code] ?? "The sign-in came to nothing. Begin again."}
    </Alert>
  );
}

/** Only where the server has a sign-in provider; the browser goes there and comes back with a session. */
function ProviderButton() {
  const { data: methods } = useQuery(signInMethodsQuery());
  if (methods?.oidc !== true) return null;
  return (
    <Button component="a" href="/api/v1/session/oidc" onClick={rememberPlace}>
      Sign in with your organisation
    </Button>
  );
}

function TokenForm() {
  const [token, setToken] = useState("");
  const client = useQueryClient();
  const { mutate, error, isPending } = useMutation({
    mutationFn: (body: { readonly token: string }) =>
      ask<Session>("session", { method: "POST", body, isRepeatable: true }),
    onSuccess: (session) => client.setQueryData(["session"], session),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    mutate({ token: token.trim() });
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <PasswordInput
          label="Token"
          placeholder="airlift_…"
          autoComplete="current-password"
          required
          autoFocus
          value={token}
          onChange={({ currentTarget }) => setToken(currentTarget.value)}
        />
        {error && <Failure error={error} />}
        <Button type="submit" loading={isPending}>
          Sign in
        </Button>
      </Stack>
    </form>
  );
}
