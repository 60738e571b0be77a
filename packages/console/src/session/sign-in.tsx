/** Where one shows a token. It goes to the server once and is not kept; what stays is a cookie that no script can read. */
import type { Session } from "@airlift/protocol/api/credentials";
import { Alert, Button, Paper, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { focusManager, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import { signInMethodsQuery } from "../api/queries.ts";
import { ask } from "../api/request.ts";
import { sessionQuery, signedIn } from "../api/session.ts";
import { Failure } from "../parts/notices.tsx";
import { useTitle } from "../parts/title.ts";
import { rememberPlace } from "./place-to-return.ts";

export interface SignInProps {
  /** Whose page is kept behind it, and is theirs again when they sign in; undefined = there is none. */
  readonly owner: Session | undefined;
}

export function SignIn({ owner }: SignInProps) {
  useTitle("Sign in");
  const isReturn = owner !== undefined;
  useRest(isReturn);
  return (
    <main className={isReturn ? "lone before-page" : "lone"} id={isReturn ? "sign-in" : "main"}>
      <Paper withBorder p="xl">
        <Stack>
          <Title order={1} size="h3">
            Airlift
          </Title>
          {owner && (
            <Alert color="orange" variant="light" title="Your session has ended" role="alert">
              The page is behind this as you left it, {owner.name}: sign in and go on. Anybody else begins with a page
              of their own.
            </Alert>
          )}
          <Refusal />
          <ProviderButton isReturn={isReturn} />
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

/** The page behind asks nothing while nobody is signed in, and goes on when somebody is, in another tab perhaps. */
function useRest(isReturn: boolean): void {
  const client = useQueryClient();
  useEffect(() => {
    if (!isReturn) return undefined;
    focusManager.setFocused(false);
    const look = () => document.hidden || void client.refetchQueries(sessionQuery());
    document.addEventListener("visibilitychange", look);
    return () => {
      focusManager.setFocused(undefined);
      document.removeEventListener("visibilitychange", look);
    };
  }, [client, isReturn]);
}

/** What the server says of a sign-in at the provider that came to nothing. */
const REFUSALS: Readonly<Record<string, string>> = {
  OIDC_NO_ROLE: "Your organisation knows you, but gives you no role here. Ask for one, or sign in as somebody else.",
  OIDC_REFUSED: "The provider did not sign this browser in, or it took too long. Begin again.",
  OIDC_AWAY: "The provider does not answer. Try again later, or sign in with a token.",
  OIDC_SETUP:
    "This server and the provider are not set up for each other. Tell whoever runs this server: its log says where.",
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
function ProviderButton({ isReturn }: { readonly isReturn: boolean }) {
  const { data: methods } = useQuery(signInMethodsQuery());
  if (methods?.oidc !== true) return null;
  const href = "/api/v1/session/oidc";
  if (!isReturn)
    return (
      <Button component="a" href={href} onClick={rememberPlace}>
        Sign in with your organisation
      </Button>
    );
  // To go there from here would be the end of the page that is kept.
  return (
    <>
      <Button component="a" href={href} target="_blank">
        Sign in with your organisation
      </Button>
      <Text size="sm" c="dimmed">
        That opens another tab. Come back to this one when you are signed in.
      </Text>
    </>
  );
}

function TokenForm() {
  const [token, setToken] = useState("");
  const client = useQueryClient();
  const { mutate, error, isPending } = useMutation({
    mutationFn: (body: { readonly token: string }) =>
      ask<Session>("session", { method: "POST", body, isRepeatable: true }),
    onSuccess: (session) => signedIn(client, session),
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
