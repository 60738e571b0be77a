/** What it means when the server says no to a gateway. */
import { PeerError, UsageError } from "@airlift/protocol/lib/errors";

/** What an operator has to mend when the server does not want this gateway; undefined when it is something else. */
export function refusalOf(
  error: unknown,
  { id, serverUrl }: { readonly id: string; readonly serverUrl: string },
): UsageError | undefined {
  if (!(error instanceof PeerError) || error.code !== "SERVER_REFUSED") return undefined;
  const reasons: Readonly<Record<number, string>> = {
    401: `${serverUrl} does not take the token: give the one that "airlift gateway add ${id}" printed, as --token or AIRLIFT_TOKEN`,
    403: `${serverUrl} has no rights for ${id} with this token: each gateway has its own, which "airlift gateway add ${id}" prints`,
    404: `${serverUrl} knows no gateway ${id}: "airlift gateway add ${id} --cell CELL" makes it known`,
  };
  const reason = reasons[Number(error.facts["status"])];
  return reason === undefined ? undefined : new UsageError("GATEWAY_REFUSED", reason, { id });
}
