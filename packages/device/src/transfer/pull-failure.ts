/** Why a pull failed, what that is in the Update Result, and whether another try may help (rows 12, 13, 19 … 23). */
import type { FailureResult } from "@airlift/protocol/update/firmware-update";

export type PullFailure =
  /** No answer, a connection or handshake that broke, a link that is down. */
  | "connection"
  /** The server has too much to do (CoAP 5.03, HTTP 429 or 503). */
  | "busy"
  /** Its name has no address. */
  | "noSuchHost"
  /** CoAP 4.04, HTTP 404 or 410. */
  | "notFound"
  /** Any other status. */
  | "refused"
  /** It is not the image that the download began with, or the server knows no such part of it. */
  | "changed"
  | "outOfMemory"
  /** The scheme cannot be used, or there are no credentials for it. */
  | "unsupported"
  | "badUri";

/** The Update Result of a failure that is final. */
export const RESULT_OF_FAILURE: Readonly<Record<PullFailure, FailureResult>> = {
  connection: "connectionLost",
  busy: "connectionLost",
  noSuchHost: "invalidUri",
  notFound: "invalidUri",
  refused: "connectionLost",
  changed: "connectionLost",
  outOfMemory: "noMemory",
  unsupported: "unsupportedProtocol",
  badUri: "invalidUri",
};

/**
 * Whether the same download may succeed later without anybody's help.
 *
 * @param hasAnswered The server has been reached in this download: its name did have an address then, so a link that is
 * down is the likelier reason.
 */
export function isWorthRetrying(failure: PullFailure, hasAnswered: boolean): boolean {
  return failure === "connection" || failure === "busy" || (failure === "noSuchHost" && hasAnswered);
}
