/** What a page says when it has nothing to show, or cannot show it. */
import { mistakesIn, mistakeText } from "@airlift/protocol/api/mistakes";
import { Alert, Button, List, Stack, Text, Title } from "@mantine/core";
import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { ApiError } from "../api/request.ts";

/** An error in words for people, with what they can do. */
export function Failure({ error, retry }: { readonly error: Error; readonly retry?: (() => void) | undefined }) {
  return (
    <Alert color="red" variant="light" title={titleOf(error)} role="alert">
      <Stack gap="xs" align="flex-start">
        <Mistakes error={error} />
        {error instanceof ApiError && (
          <Text size="xs" className="mono">
            {error.code}
          </Text>
        )}
        {retry && (
          <Button size="xs" variant="default" onClick={retry}>
            Try again
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

/** All that is wrong with what was sent, each with its place in it. */
function Mistakes({ error }: { readonly error: Error }) {
  const mistakes = error instanceof ApiError ? mistakesIn(error.facts) : [];
  if (mistakes.length < 2) return <Text size="sm">{error.message}</Text>;
  return (
    <List size="sm">
      {mistakes.map((mistake) => (
        <List.Item key={mistakeText(mistake)} className="anywhere">
          {mistakeText(mistake)}
        </List.Item>
      ))}
    </List>
  );
}

export const PageFailure = ({ error, reset }: ErrorComponentProps) => (
  <Failure error={error instanceof Error ? error : new Error(String(error))} retry={reset} />
);

export const PageOnItsWay = () => <Empty title="The page is on its way" />;

export const NotFound = () => (
  <Empty title="Nothing is here">
    <Link to="/">To the overview</Link>
  </Empty>
);

export const isMissing = (error: unknown): boolean => error instanceof ApiError && error.status === 404;

export function Empty({ title, children }: { readonly title: string; readonly children?: ReactNode }) {
  return (
    <Stack align="center" gap="xs" py="xl">
      <Title order={2} size="h4">
        {title}
      </Title>
      {children}
    </Stack>
  );
}

function titleOf(error: Error): string {
  if (!(error instanceof ApiError)) return "This page has a fault";
  if (error.status === 0) return "The server cannot be reached";
  if (error.code === "TOKEN_REFUSED") return "This token is not known here";
  if (error.status === 401) return "Sign in first";
  if (error.status === 403) return "Your role does not allow this";
  if (error.status === 404) return "This is not here, or not any more";
  if (error.status >= 500) return "The server could not do this";
  return "This was refused";
}
