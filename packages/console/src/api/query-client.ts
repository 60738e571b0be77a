/** What is known of the server, shared by all pages. The live feed tells when to ask again; a minute is for what it misses. */
import { QueryClient } from "@tanstack/react-query";
import { ApiError } from "./request.ts";

/** A refusal stays one; a server that is away is asked again. */
const mayPass = (error: Error): boolean => !(error instanceof ApiError) || error.status >= 500;

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 60_000,
      gcTime: 5 * 60_000,
      retry: (failureCount, error) => failureCount < 3 && mayPass(error),
    },
  },
});
