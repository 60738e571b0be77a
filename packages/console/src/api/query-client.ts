/** What is known of the server, shared by all pages. The live feed tells when to ask again; a minute is for what it misses. */
import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError, isSignedOut } from "./request.ts";
import { sessionEnded } from "./session.ts";

/** A refusal stays one; a server that is away is asked again. */
const mayPass = (error: Error): boolean => !(error instanceof ApiError) || error.status >= 500 || error.status === 0;

/** Whatever is refused for want of a session leads to the sign-in; the page stays where it is behind it. */
export const noteRefusal = (error: unknown): void => {
  if (isSignedOut(error)) sessionEnded(queryClient);
};

export const queryClient: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError: noteRefusal }),
  mutationCache: new MutationCache({ onError: noteRefusal }),
  defaultOptions: {
    queries: {
      staleTime: 60_000,
      gcTime: 5 * 60_000,
      retry: (failureCount, error) => failureCount < 3 && mayPass(error),
    },
  },
});
