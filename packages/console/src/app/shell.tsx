/** Around every page: where one can go, who one is, and whether what one sees is true now. */
import type { Session } from "@airlift/protocol/api/credentials";
import { ActionIcon, Anchor, Button, Skeleton, Text, Title, useMantineColorScheme } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { useCallback, useEffect, useRef, useState } from "react";
import { useFeedKeepsPagesFresh } from "../api/fresh.ts";
import { serverQuery } from "../api/queries.ts";
import { ask } from "../api/request.ts";
import { ownerOf, personOf, sessionQuery, signedOut, useMay } from "../api/session.ts";
import { Covered, useCovered } from "../parts/covered.ts";
import { useCurrentLinkInSight } from "../parts/current-link.ts";
import { useKeptFocus } from "../parts/kept-focus.ts";
import { mayLeave } from "../parts/leave-guard.ts";
import { LineState } from "../parts/line-state.tsx";
import { Failure } from "../parts/notices.tsx";
import { takePlace } from "../session/place-to-return.ts";
import { SignIn } from "../session/sign-in.tsx";
import { Help } from "./help.tsx";
import { PLACES, type Place } from "./places.ts";
import { useShortcuts } from "./shortcuts.ts";

/**
 * Without a session the sign-in stands where the page would be, and the page comes when there is one. When a session ends
 * the page is kept behind the sign-in for the one whose it is; another person gets a page of their own.
 */
export function Shell() {
  const { data: session, error, refetch } = useQuery(sessionQuery());
  const owner = ownerOf(useQueryClient());
  if (session === undefined)
    return (
      <main className="lone">
        {error ? <Failure error={error} retry={() => void refetch()} /> : <Skeleton height={200} />}
      </main>
    );
  return (
    <>
      {owner && (
        <Covered value={session === null}>
          <Page key={personOf(owner)} session={owner} />
        </Covered>
      )}
      {session === null && <SignIn owner={owner} />}
    </>
  );
}

function Page({ session }: { readonly session: Session }) {
  const isCovered = useCovered();
  useFeedKeepsPagesFresh(!isCovered);
  useWayBack();
  const [isHelping, setHelping] = useState(false);
  useShortcuts(useCallback(() => setHelping(true), []));
  const element = useRef<HTMLDivElement>(null);
  useKeptFocus(element);
  return (
    <div ref={element} className="shell" inert={isCovered}>
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <header className="shell-head">
        <Title order={1} size="h3">
          <Anchor component={Link} to="/" inherit c="inherit" underline="never">
            Airlift
          </Anchor>
        </Title>
        <LineState />
        <div className="shell-tools">
          <Who session={session} />
          <ActionIcon variant="default" aria-label="Keys" onClick={() => setHelping(true)}>
            <Text aria-hidden>?</Text>
          </ActionIcon>
          <ColorSchemeSwitch />
        </div>
      </header>
      <Places />
      <Main />
      {isHelping && <Help onClose={() => setHelping(false)} />}
    </div>
  );
}

/** From the sign-in provider to the page that was wanted. */
function useWayBack(): void {
  const navigate = useNavigate();
  useEffect(() => {
    const path = location.pathname === "/" ? takePlace() : undefined;
    if (path !== undefined && path !== "/") void navigate({ href: path });
  }, [navigate]);
}

/** Whoever goes to another page, or comes back to this one, hears and reads on there, not at the link. */
function Main() {
  const element = useRef<HTMLElement>(null);
  const path = useRouterState({ select: ({ location }) => location.pathname });
  const lastPath = useRef(path);
  useEffect(() => {
    if (lastPath.current !== path) element.current?.focus({ preventScroll: true });
    lastPath.current = path;
  }, [path]);
  const isCovered = useCovered();
  const wasCovered = useRef(isCovered);
  useEffect(() => {
    if (wasCovered.current && !isCovered) element.current?.focus({ preventScroll: true });
    wasCovered.current = isCovered;
  }, [isCovered]);
  return (
    <main ref={element} className="shell-main" id="main" tabIndex={-1}>
      <Outlet />
    </main>
  );
}

function Places() {
  const row = useCurrentLinkInSight();
  return (
    <nav ref={row} className="shell-nav" aria-label="Pages">
      {PLACES.map((place) => (
        <PlaceLink key={place.to} place={place} />
      ))}
    </nav>
  );
}

function PlaceLink({ place: { to, name, least, noun } }: { readonly place: Place }) {
  const mayGo = useMay(least);
  const { data: server } = useQuery(serverQuery());
  if (!mayGo || (noun !== undefined && server?.nouns.includes(noun) !== true)) return null;
  return (
    <Link to={to} className="place" activeOptions={{ exact: to === "/" }}>
      {name}
    </Link>
  );
}

function Who({ session }: { readonly session: Session }) {
  const client = useQueryClient();
  const signOut = useMutation({
    mutationFn: () => ask("session", { method: "DELETE" }),
    onSuccess: () => signedOut(client),
  });
  const { data: server } = useQuery(serverQuery());
  if (server?.wantsTokens === false) return null;
  return (
    <>
      <Text size="sm" className="who">
        {session.name} <span className="quiet">({session.role})</span>
      </Text>
      <Button
        size="compact-sm"
        variant="default"
        loading={signOut.isPending}
        onClick={() => mayLeave() && signOut.mutate()}
      >
        Sign out
      </Button>
    </>
  );
}

const SCHEMES = { auto: ["◐", "light"], light: ["☀", "dark"], dark: ["☾", "auto"] } as const;
const SCHEME_WORDS = { auto: "as the system has them", light: "light", dark: "dark" } as const;

function ColorSchemeSwitch() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const [sign, next] = SCHEMES[colorScheme];
  return (
    <ActionIcon
      variant="default"
      aria-label={`Colours: ${SCHEME_WORDS[colorScheme]}; change to ${SCHEME_WORDS[next]}`}
      title={`Colours: ${SCHEME_WORDS[colorScheme]}`}
      onClick={() => setColorScheme(next)}
    >
      <Text aria-hidden>{sign}</Text>
    </ActionIcon>
  );
}
