/** Who looks at the page, and what they may do. The server decides; the page leaves out what it would refuse. */
import type { Role, Session } from "@airlift/protocol/api/credentials";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { ask, isSignedOut } from "./request.ts";

/** Each may do what those before it may. */
const ROLES: readonly Role[] = ["viewer", "operator", "approver", "admin"];

/** null = nobody is signed in. */
export const sessionQuery = () =>
  queryOptions({
    queryKey: ["session"],
    queryFn: async ({ signal }) =>
      await ask<Session>("session", { signal }).catch((error: unknown) => {
        if (isSignedOut(error)) return null;
        throw error;
      }),
    staleTime: Number.POSITIVE_INFINITY,
  });

/** Whether the one who looks has this role or a greater one; false until it is known. */
export function useMay(least: Role): boolean {
  const { data } = useQuery(sessionQuery());
  return data != null && ROLES.indexOf(data.role) >= ROLES.indexOf(least);
}
