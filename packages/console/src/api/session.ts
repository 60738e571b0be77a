/** Who looks at the page, and what they may do. The server decides; the page leaves out what it would refuse. */
import type { Role, Session } from "@airlift/protocol/api/credentials";
import { type QueryClient, queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import { ask, isSignedOut } from "./request.ts";

/** Each may do what those before it may. */
const ROLES: readonly Role[] = ["viewer", "operator", "approver", "admin"];
const KEY = ["session"] as const;

/** Whose page it is: who is signed in, or whoever was when their session ended. */
const owners = new WeakMap<QueryClient, Session>();

/** null = nobody is signed in. */
export const sessionQuery = () =>
  queryOptions({
    queryKey: KEY,
    queryFn: async ({ signal, client }) => {
      try {
        return welcome(client, await ask<Session>("session", { signal }));
      } catch (error) {
        if (isSignedOut(error)) return null;
        throw error;
      }
    },
    staleTime: Number.POSITIVE_INFINITY,
  });

/** Somebody signs in: the page becomes theirs. */
export function signedIn(client: QueryClient, session: Session): void {
  stand(client, welcome(client, session));
}

/** A session has ended by itself: the page waits for whoever it belongs to. */
export const sessionEnded = (client: QueryClient): void => stand(client, null);

/** Somebody leaves: nothing stays of what they saw. */
export function signedOut(client: QueryClient): void {
  owners.delete(client);
  forget(client);
  stand(client, null);
}

/** Undefined = it is nobody's: there is nothing behind the sign-in. */
export const ownerOf = (client: QueryClient): Session | undefined => owners.get(client);

/**
 * Tells people apart, and one in two roles: they see different things. Two may be called the same by a sign-in provider;
 * whoever gives tokens their names gives one name to one person.
 */
export const personOf = ({ name, role, account }: Session): string => `${role} ${account ?? name}`;

/** Whether the one whose page it is has this role or a greater one; false until that is known. */
export function useMay(least: Role): boolean {
  const client = useQueryClient();
  const { data } = useQuery(sessionQuery());
  const person = data ?? ownerOf(client);
  return person !== undefined && ROLES.indexOf(person.role) >= ROLES.indexOf(least);
}

/** An answer on its way, of how it was before, changes nothing any more. */
function stand(client: QueryClient, session: Session | null): void {
  void client.cancelQueries({ queryKey: KEY });
  client.setQueryData(KEY, session);
}

/** What one person saw is not the next one's to see, however they came: by the sign-in, or in another tab. */
function welcome(client: QueryClient, session: Session): Session {
  const owner = owners.get(client);
  if (owner !== undefined && personOf(owner) !== personOf(session)) forget(client);
  owners.set(client, session);
  return session;
}

/** Whatever was answered but who asks; also what fails or is on its way. */
function forget(client: QueryClient): void {
  client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== KEY[0] });
  client.getMutationCache().clear();
}
